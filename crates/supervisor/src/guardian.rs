//! The guardian: a second, tiny process that outlives this one just long enough to end what it started.
//!
//! It reads lines from its standard input, which is a pipe whose other end only the supervisor holds: `add
//! GROUP STARTED`, `del GROUP`, and once `node NAME`. When the supervisor ends in any way, SIGKILL included, the kernel closes
//! the pipe, and the guardian ends every group that is still registered, and whoever carries the node's mark:
//! SIGTERM, then SIGKILL. It is in its own session and ignores the signals a terminal sends, so Ctrl-C does not
//! take it away first.
//!
//! A group is named by the number of its leader. The leader's start time guards against a number that the
//! kernel has given to somebody else: then the group is left alone. The kernel does not reuse a number while
//! a group of that number has members, so a group without its leader is still the same group.

use crate::mark::Mark;
use crate::procfs::{self, Stat};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::thread;
use std::time::{Duration, Instant};

/// The first argument that makes an executable the guardian.
pub const GUARDIAN_ARGUMENT: &str = "__guardian";

/// Runs the guardian. Call it first thing in `main` when the first argument is [`GUARDIAN_ARGUMENT`], before
/// any thread is started or file opened: it closes all files but the standard ones.
pub fn guardian_main() -> ! {
    detach();
    let mut charges = Charges::default();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        charges.register(&line);
    }
    let ours = |&(&group, &started): &(&i32, &u64)| is_ours(group, started);
    let groups = charges.groups.iter().filter(ours).map(|(&group, _)| group).collect();
    end_all(groups, charges.node.as_ref(), TERM_GRACE);
    #[allow(clippy::disallowed_methods, reason = "the whole of this process; nothing is held")]
    std::process::exit(0)
}

/// Who is ended with the supervisor.
#[derive(Default)]
struct Charges {
    node: Option<Mark>,
    /// By the number of the leader, with its start time.
    groups: BTreeMap<i32, u64>,
}

impl Charges {
    fn register(&mut self, line: &str) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let group = words.get(1).and_then(|word| word.parse().ok()).filter(|&group| group > 1);
        match (words.as_slice(), group) {
            (["node", name], _) => self.node = Some(Mark::of_node(name)),
            (["add", _, started], Some(group)) => {
                if let Ok(started) = started.parse() {
                    self.groups.insert(group, started);
                }
            }
            (["del", _], Some(group)) => drop(self.groups.remove(&group)),
            _ => {}
        }
    }
}

/// Whether the group is the one that was registered.
pub(crate) fn is_ours(group: i32, started: u64) -> bool {
    Stat::of(group).is_none_or(|stat| stat.started == started)
}

/// Ends groups and who carries the mark: SIGTERM, and SIGKILL for what is left after `grace`. Blocks until they
/// are gone, at most a second longer than `grace`.
pub(crate) fn end_all(mut groups: Vec<i32>, mark: Option<&Mark>, grace: Duration) {
    let strays = |groups: &[i32]| mark.map(|mark| mark.strays(groups)).unwrap_or_default();
    for (signal, patience) in [(libc::SIGTERM, grace), (libc::SIGKILL, KILL_PATIENCE)] {
        let until = Instant::now() + patience;
        let mut told = BTreeSet::new();
        loop {
            groups.retain(|&group| procfs::group_is_alive(group));
            let strays: Vec<i32> = strays(&groups).into_iter().map(|(pid, _)| pid).collect();
            if groups.is_empty() && strays.is_empty() {
                return;
            }
            // Some may just have been started by those that were told before.
            groups
                .iter()
                .filter(|group| told.insert(-**group))
                .for_each(|&g| procfs::signal_group(g, signal));
            strays.iter().filter(|pid| told.insert(**pid)).for_each(|&pid| procfs::signal(pid, signal));
            if Instant::now() >= until {
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// Away from the terminal, from its signals and from inherited files.
fn detach() {
    // SAFETY: these calls touch no memory of ours but a constant string, which is only read. No other thread runs yet and nothing in this process has
    // opened a file above 2, so closing them takes nothing away that somebody uses.
    unsafe {
        for signal in IGNORED {
            libc::signal(signal, libc::SIG_IGN);
        }
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
        libc::close_range(3, libc::c_uint::MAX, 0);
    }
    // A working directory would keep its file system from being unmounted.
    let _ = std::env::set_current_dir("/");
}

/// As `ps` and `pgrep` know it; otherwise it would be called after the number of an open file.
const NAME: &std::ffi::CStr = c"colony-guardian";
/// What a terminal or a stop of the whole session sends.
pub(crate) const IGNORED: [libc::c_int; 5] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE];
/// How long processes have between SIGTERM and SIGKILL when the supervisor is gone.
pub(crate) const TERM_GRACE: Duration = Duration::from_secs(2);
const KILL_PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_and_go_and_nonsense_is_ignored() {
        let mut charges = Charges::default();
        let lines =
            ["add 12 99", "node n1", "add 13 98", "del 12", "add 1 5", "add -4 5", "add x", "", "del 77"];
        lines.iter().for_each(|line| charges.register(line));
        assert_eq!(charges.groups, BTreeMap::from([(13, 98)]));
        assert_eq!(charges.node, Some(Mark::of_node("n1")));
    }

    #[test]
    fn a_reused_number_is_not_ours() {
        let me = std::process::id() as i32;
        let started = Stat::of(me).unwrap().started;
        assert!(is_ours(me, started));
        assert!(!is_ours(me, started + 1));
    }
}
