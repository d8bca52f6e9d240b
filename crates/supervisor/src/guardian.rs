//! The guardian: a second, tiny process that outlives this one just long enough to end what it started.
//!
//! It reads lines from its standard input, which is a pipe whose other end only the supervisor holds: `add
//! GROUP STARTED` and `del GROUP`. When the supervisor ends in any way, SIGKILL included, the kernel closes
//! the pipe, and the guardian ends every group that is still registered: SIGTERM, then SIGKILL. It is in its
//! own session and ignores the signals a terminal sends, so Ctrl-C does not take it away first.
//!
//! A group is named by the number of its leader. The leader's start time guards against a number that the
//! kernel has given to somebody else: then the group is left alone. The kernel does not reuse a number while
//! a group of that number has members, so a group without its leader is still the same group.

use crate::procfs::{self, Stat};
use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::thread;
use std::time::{Duration, Instant};

/// The first argument that makes an executable the guardian.
pub const GUARDIAN_ARGUMENT: &str = "__guardian";

/// Runs the guardian. Call it first thing in `main` when the first argument is [`GUARDIAN_ARGUMENT`], before
/// any thread is started or file opened: it closes all files but the standard ones.
pub fn guardian_main() -> ! {
    detach();
    let mut groups = BTreeMap::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        register(&mut groups, &line);
    }
    let alive: Vec<i32> =
        groups.iter().filter(|&(&group, &started)| is_ours(group, started)).map(|(&g, _)| g).collect();
    end_groups(&alive, TERM_GRACE);
    #[allow(clippy::disallowed_methods, reason = "the whole of this process; nothing is held")]
    std::process::exit(0)
}

fn register(groups: &mut BTreeMap<i32, u64>, line: &str) {
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next().and_then(|w| w.parse().ok()), words.next().and_then(|w| w.parse().ok()))
    {
        (Some("add"), Some(group), Some(started)) if group > 1 => drop(groups.insert(group, started)),
        (Some("del"), Some(group), None) => drop(groups.remove(&group)),
        _ => {}
    }
}

/// Whether the group is the one that was registered.
pub(crate) fn is_ours(group: i32, started: u64) -> bool {
    Stat::of(group).is_none_or(|stat| stat.started == started)
}

/// Ends groups: SIGTERM, and SIGKILL for what is left after `grace`. Blocks until they are gone, at most a
/// second longer than `grace`.
pub(crate) fn end_groups(groups: &[i32], grace: Duration) {
    for (signal, patience) in [(libc::SIGTERM, grace), (libc::SIGKILL, KILL_PATIENCE)] {
        let left: Vec<i32> = groups.iter().copied().filter(|&group| procfs::group_is_alive(group)).collect();
        left.iter().for_each(|&group| procfs::signal_group(group, signal));
        let until = Instant::now() + patience;
        while Instant::now() < until && left.iter().any(|&group| procfs::group_is_alive(group)) {
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// Away from the terminal, from its signals and from inherited files.
fn detach() {
    // SAFETY: these calls touch no memory of ours. No other thread runs yet and nothing in this process has
    // opened a file above 2, so closing them takes nothing away that somebody uses.
    unsafe {
        for signal in IGNORED {
            libc::signal(signal, libc::SIG_IGN);
        }
        libc::setsid();
        libc::close_range(3, libc::c_uint::MAX, 0);
    }
    // A working directory would keep its file system from being unmounted.
    let _ = std::env::set_current_dir("/");
}

/// What a terminal or a stop of the whole session sends.
pub(crate) const IGNORED: [libc::c_int; 5] =
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE];
/// How long processes have between SIGTERM and SIGKILL when the supervisor is gone.
pub(crate) const TERM_GRACE: Duration = Duration::from_secs(2);
const KILL_PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_and_go_and_nonsense_is_ignored() {
        let mut groups = BTreeMap::new();
        for line in ["add 12 99", "add 13 98", "del 12", "add 1 5", "add -4 5", "add x", "", "del 77"] {
            register(&mut groups, line);
        }
        assert_eq!(groups, BTreeMap::from([(13, 98)]));
    }

    #[test]
    fn a_reused_number_is_not_ours() {
        let me = std::process::id() as i32;
        let started = Stat::of(me).unwrap().started;
        assert!(is_ours(me, started));
        assert!(!is_ours(me, started + 1));
    }
}
