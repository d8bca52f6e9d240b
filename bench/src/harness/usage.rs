//! What a process and all its children have cost, from `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

/// CPU time since the start and memory now, of a whole process tree.
///
/// Memory is the sum of resident sizes as `ps` shows them; pages that forked workers share count
/// once for each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub user: Duration,
    pub kernel: Duration,
    pub rss_kib: u64,
}

impl Usage {
    /// The CPU time that has passed since `earlier`: user and kernel.
    pub fn cpu_since(&self, earlier: &Usage) -> (Duration, Duration) {
        (self.user.saturating_sub(earlier.user), self.kernel.saturating_sub(earlier.kernel))
    }
}

/// Adds up `root` and its descendants, those included that have ended and were waited for.
pub fn of_tree(root: u32) -> Usage {
    let mut tree = vec![root];
    let all = processes();
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    let mut usage = Usage::default();
    for pid in tree {
        let Some(stat) = all.get(&pid) else { continue };
        usage.user += ticks(stat.user);
        usage.kernel += ticks(stat.kernel);
        usage.rss_kib += rss_kib(pid);
    }
    usage
}

fn processes() -> BTreeMap<u32, Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parse(&text)?))
    })
    .collect()
}

#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    user: u64,
    kernel: u64,
}

/// Fields as `proc_pid_stat(5)` numbers them; the name in brackets may hold anything.
fn parse(text: &str) -> Option<Stat> {
    let rest = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        user: field(14)? + field(16)?,
        kernel: field(15)? + field(17)?,
    })
}

fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / USER_HZ)
}

/// The unit of `/proc/PID/stat`: fixed by Linux's interface to programs, whatever the kernel's own is.
const USER_HZ: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 150 30 20 5 20 0 1 0 100 1 1";
        assert_eq!(parse(text), Some(Stat { parent: 7, user: 170, kernel: 35 }));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(of_tree(std::process::id()).rss_kib > 100);
    }
}
