//! Which process groups run, in a file: so that a later run ends what an earlier one left behind when both it
//! and its guardian were killed.
//!
//! A line a group: `PGID STARTED INSTANCE`, behind a line with the boot's id, the node's name, and which folder the file
//! lies in: what a copy of the folder tells of may be another node's, which runs. Nothing is ended on the number alone: the leader must have the start time, or, when the leader is gone, a member must
//! carry the instance's name in its environment. What has left its group is found by the node's mark.

use crate::guardian;
use crate::mark::Mark;
use crate::procfs::{self, Stat};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process group of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub started: u64,
    pub instance: String,
}

/// What the file held.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Before {
    node: String,
    groups: BTreeMap<i32, Entry>,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    folder: String,
    node: String,
    groups: BTreeMap<i32, Entry>,
}

impl Ledger {
    /// Begins anew. What the file held before is returned.
    pub fn open(path: PathBuf, node: &str) -> (Self, Before) {
        let folder = folder_of(&path);
        let before = fs::read_to_string(&path).ok().and_then(|text| parse(&text, &boot_id(), &folder));
        (Self { path, folder, node: node.to_owned(), groups: BTreeMap::new() }, before.unwrap_or_default())
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
        let text: String =
            std::iter::once(format!("{} {} {}\n", boot_id(), self.node, self.folder)).chain(lines).collect();
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(&fresh, &self.path)
    }
}

/// Ends what an earlier run has left behind and returns it, with the instances' names. Blocks for some seconds
/// at worst.
pub(crate) fn clean(before: &Before) -> Vec<(i32, String)> {
    let is_left = |(group, entry): &(&i32, &Entry)| is_left(**group, entry);
    let mut left: Vec<(i32, String)> =
        before.groups.iter().filter(is_left).map(|(group, entry)| (*group, entry.instance.clone())).collect();
    let groups: Vec<i32> = left.iter().map(|(group, _)| *group).collect();
    let mark = Some(Mark::of_node(&before.node)).filter(|_| !before.node.is_empty());
    left.extend(mark.iter().flat_map(|mark| mark.strays(&groups)));
    guardian::end_all(groups, mark.as_ref(), guardian::TERM_GRACE);
    left
}

fn is_left(group: i32, entry: &Entry) -> bool {
    match Stat::of(group) {
        // The leader may be a zombie that nobody has collected, with a group that still runs.
        Some(stat) => stat.started == entry.started && procfs::group_is_alive(group),
        None => procfs::group_members(group)
            .into_iter()
            .any(|member| procfs::variable(member, "COLONY_INSTANCE").as_ref() == Some(&entry.instance)),
    }
}

fn parse(text: &str, boot: &str, folder: &str) -> Option<Before> {
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let (of, node, within) = (words.next()?, words.next()?, words.next());
    let before = || Before { node: node.to_owned(), groups: lines.filter_map(parse_line).collect() };
    // An earlier version has not written in which folder.
    (of == boot && within.is_none_or(|within| within == folder)).then(before)
}

/// The folder that a file lies in, by device and inode: another one than that of a copy.
fn folder_of(path: &Path) -> String {
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    folder.map_or_else(String::new, |folder| format!("{}:{}", folder.dev(), folder.ino()))
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
        let (mut ledger, before) = Ledger::open(path.clone(), "n1");
        assert_eq!(before, Before::default());
        let entry = Entry { started: 77, instance: "catalog-1".to_owned() };
        ledger.add(4711, entry.clone()).unwrap();
        ledger.add(4712, entry.clone()).unwrap();
        ledger.remove(4712).unwrap();
        let (_, before) = Ledger::open(path.clone(), "n2");
        assert_eq!(before, Before { node: "n1".to_owned(), groups: BTreeMap::from([(4711, entry)]) });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(parse(&text, "another boot", &folder_of(&path)), None);
    }

    #[test]
    fn what_a_copy_of_the_folder_tells_of_is_not_ours() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, copy) = (folder.path().join("groups"), other.path().join("groups"));
        let entry = Entry { started: 77, instance: "catalog-1".to_owned() };
        Ledger::open(path.clone(), "n1").0.add(4711, entry.clone()).unwrap();
        fs::copy(&path, &copy).unwrap();
        assert_eq!(Ledger::open(copy, "n2").1, Before::default());
        // One that was only moved is the same.
        let moved = other.path().join("moved");
        fs::rename(folder.path(), &moved).unwrap();
        let (_, before) = Ledger::open(moved.join("groups"), "n2");
        assert_eq!(before.groups, BTreeMap::from([(4711, entry.clone())]));
        let earlier = format!("{} n1\n4711 77 catalog-1\n", boot_id());
        assert_eq!(parse(&earlier, &boot_id(), "1:2").unwrap().groups, BTreeMap::from([(4711, entry)]));
    }

    #[test]
    fn a_number_that_belongs_to_somebody_else_is_left_alone() {
        let me = std::process::id() as i32;
        let entry = Entry { started: 1, instance: "catalog-1".to_owned() };
        let before = Before { node: "n1".to_owned(), groups: BTreeMap::from([(me, entry)]) };
        assert!(clean(&before).is_empty());
    }
}
