//! Which process groups run, in a file: so that a later run ends what an earlier one left behind when both it
//! and its guardian were killed.
//!
//! A line a group: `PGID STARTED INSTANCE`, behind a line with the boot's id. Nothing is ended on the number
//! alone: the leader must have the start time, or, when the leader is gone, a member must carry the
//! instance's name in its environment.

use crate::guardian;
use crate::procfs::{self, Stat};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A process group of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub started: u64,
    pub instance: String,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    groups: BTreeMap<i32, Entry>,
}

impl Ledger {
    /// Begins anew. What the file held before is returned.
    pub fn open(path: PathBuf) -> (Self, BTreeMap<i32, Entry>) {
        let before =
            fs::read_to_string(&path).ok().and_then(|text| parse(&text, &boot_id())).unwrap_or_default();
        (Self { path, groups: BTreeMap::new() }, before)
    }

    pub fn add(&mut self, group: i32, entry: Entry) -> io::Result<()> {
        self.groups.insert(group, entry);
        self.write()
    }

    pub fn remove(&mut self, group: i32) -> io::Result<()> {
        self.groups.remove(&group);
        self.write()
    }

    pub fn groups(&self) -> &BTreeMap<i32, Entry> {
        &self.groups
    }

    fn write(&self) -> io::Result<()> {
        let lines = self.groups.iter().map(|(group, e)| format!("{group} {} {}\n", e.started, e.instance));
        let text: String = std::iter::once(boot_id() + "\n").chain(lines).collect();
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.path)
    }
}

/// Ends what an earlier run has left behind and returns it. Blocks for some seconds at worst.
pub(crate) fn clean(before: &BTreeMap<i32, Entry>) -> Vec<(i32, Entry)> {
    let left: Vec<(i32, Entry)> = before
        .iter()
        .filter(|(group, entry)| is_left(**group, entry))
        .map(|(g, e)| (*g, e.clone()))
        .collect();
    let groups: Vec<i32> = left.iter().map(|(group, _)| *group).collect();
    guardian::end_groups(&groups, guardian::TERM_GRACE);
    left
}

fn is_left(group: i32, entry: &Entry) -> bool {
    match Stat::of(group) {
        // The leader may be a zombie that nobody has collected, with a group that still runs.
        Some(stat) => stat.started == entry.started && procfs::group_is_alive(group),
        None => procfs::group_members(group)
            .into_iter()
            .any(|member| procfs::has_variable(member, "COLONY_INSTANCE", &entry.instance)),
    }
}

fn parse(text: &str, boot: &str) -> Option<BTreeMap<i32, Entry>> {
    let mut lines = text.lines();
    (lines.next()? == boot).then(|| lines.filter_map(parse_line).collect())
}

fn parse_line(line: &str) -> Option<(i32, Entry)> {
    let mut words = line.split(' ');
    let group = words.next()?.parse().ok().filter(|&group| group > 1)?;
    Some((group, Entry { started: words.next()?.parse().ok()?, instance: words.next()?.to_owned() }))
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_another_boot_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups");
        let (mut ledger, before) = Ledger::open(path.clone());
        assert!(before.is_empty());
        let entry = Entry { started: 77, instance: "catalog-1".to_owned() };
        ledger.add(4711, entry.clone()).unwrap();
        ledger.add(4712, entry.clone()).unwrap();
        ledger.remove(4712).unwrap();
        let (_, before) = Ledger::open(path.clone());
        assert_eq!(before, BTreeMap::from([(4711, entry)]));
        assert_eq!(parse(&fs::read_to_string(path).unwrap(), "another boot"), None);
    }

    #[test]
    fn a_number_that_belongs_to_somebody_else_is_left_alone() {
        let me = std::process::id() as i32;
        let entry = Entry { started: 1, instance: "catalog-1".to_owned() };
        assert!(clean(&BTreeMap::from([(me, entry)])).is_empty());
    }
}
