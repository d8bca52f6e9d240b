//! The few things that are read from `/proc`: who a process is (its start time tells it from a later one with
//! the same number), who is in a process group, and what a process uses.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    /// As in `ps`: `R`, `S`, `Z`, ...
    pub state: u8,
    /// The process group.
    pub group: i32,
    /// User and system time with that of waited-for children, in ticks.
    pub cpu_ticks: u64,
    /// Ticks since boot when it was started.
    pub started: u64,
    /// Resident pages.
    pub rss_pages: u64,
}

/// Memory and processor time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    pub rss_kib: u64,
    pub cpu_ms: u64,
}

impl Stat {
    pub fn of(pid: i32) -> Option<Stat> {
        parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// It runs: neither a zombie nor on its way out.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The command's name is in parentheses and may hold anything, so fields are counted from the last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let rest = text.get(text.rfind(')')? + 1..)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        group: fields.get(2)?.parse().ok()?,
        cpu_ticks: number(14)? + number(15)? + number(16)? + number(17)?,
        started: number(22)?,
        rss_pages: number(24)?,
    })
}

/// All process numbers of this moment.
pub(crate) fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The members of a process group that still run.
pub(crate) fn group_members(group: i32) -> Vec<i32> {
    pids().filter(|&pid| Stat::of(pid).is_some_and(|stat| stat.group == group && stat.is_alive())).collect()
}

/// Whether a process group has members that still run. Zombies do not count: in a container nobody may ever
/// collect them.
pub(crate) fn group_is_alive(group: i32) -> bool {
    // SAFETY: `kill` with signal 0 touches no memory and sends nothing.
    let has_members = unsafe { libc::kill(-group, 0) } == 0;
    has_members && !group_members(group).is_empty()
}

/// Sends a signal to a whole group. A group that is gone is no error: that is what was wanted.
pub(crate) fn signal_group(group: i32, signal: libc::c_int) {
    if group > 1 {
        // SAFETY: `kill` touches no memory of this process.
        unsafe { libc::kill(-group, signal) };
    }
}

/// Sends a signal to one process. One that is gone is no error.
pub(crate) fn signal(pid: i32, signal: libc::c_int) {
    if pid > 1 {
        // SAFETY: `kill` touches no memory of this process.
        unsafe { libc::kill(pid, signal) };
    }
}

/// The command line of a process, words joined by blanks.
pub(crate) fn command_line(pid: i32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        bytes.split(|&b| b == 0).filter(|w| !w.is_empty()).map(String::from_utf8_lossy).collect();
    if words.is_empty() {
        return Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned());
    }
    Some(words.join(" "))
}

/// A variable of the environment that a process was started with. `None` also when that may not be read.
pub(crate) fn variable(pid: i32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value =
        |entry| String::from_utf8_lossy(entry).strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    bytes.split(|&b| b == 0).find_map(value)
}

/// What a process and its descendants use together.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let first = i32::try_from(pid).ok()?;
    Stat::of(first)?;
    let (mut pages, mut ticks) = (0, 0);
    let mut queue = VecDeque::from([first]);
    let mut seen = 0;
    while let Some(pid) = queue.pop_front() {
        let Some(stat) = Stat::of(pid) else { continue };
        pages += stat.rss_pages;
        ticks += stat.cpu_ticks;
        seen += 1;
        if seen < DESCENDANTS_MAX {
            queue.extend(children(pid));
        }
    }
    Some(Usage { rss_kib: pages * page_size() / 1024, cpu_ms: ticks * 1000 / ticks_per_second() })
}

fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")) else {
        return Vec::new();
    };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn page_size() -> u64 {
    sysconf(libc::_SC_PAGESIZE, 4096)
}

fn ticks_per_second() -> u64 {
    sysconf(libc::_SC_CLK_TCK, 100)
}

fn sysconf(name: libc::c_int, otherwise: u64) -> u64 {
    // SAFETY: `sysconf` only returns a number.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|&n| n > 0).unwrap_or(otherwise)
}

/// Processes that are counted for one instance; further ones are left out.
const DESCENDANTS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_is_no_trouble() {
        let fields: Vec<String> = (3..=52).map(|n| if n == 3 { "S".into() } else { n.to_string() }).collect();
        let stat = parse_stat(&format!("12 (a) b (c)) {}", fields.join(" "))).unwrap();
        let expected =
            Stat { state: b'S', group: 5, cpu_ticks: 14 + 15 + 16 + 17, started: 22, rss_pages: 24 };
        assert_eq!(stat, expected);
    }

    #[test]
    fn this_process_has_memory_and_a_group() {
        let pid = std::process::id();
        assert!(usage(pid).unwrap().rss_kib > 100);
        let stat = Stat::of(pid as i32).unwrap();
        assert!(group_members(stat.group).contains(&(pid as i32)));
        assert!(command_line(pid as i32).unwrap().contains("supervisor"));
    }
}
