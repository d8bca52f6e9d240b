//! The mark in the environment of every instance, by which is found what has left the instance's process
//! group: a daemon that made itself a session, and was handed to `init` when its parent ended.
//!
//! Groups and the tree of processes lose such a one; the environment is handed down to every descendant and
//! can be read of any process of this user. A mark is `NODE/INSTANCE`, where `NODE` is another at each start of
//! a supervisor. One that is itself an instance of another hands on what it was given, so the variable holds a
//! list, and each finds its own.
//!
//! Not found is who empties its environment, writes over it (some programs do to show a title in `ps`), or has
//! become another user.

use crate::procfs::{self, Stat};

/// The variable that holds the marks, separated by blanks.
pub(crate) const VARIABLE: &str = "COLONY_MARKS";

/// What to look for: one instance, or everything of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mark(String);

impl Mark {
    /// Of every instance of a node.
    pub fn of_node(node: &str) -> Self {
        Self(format!("{node}/"))
    }

    pub fn of_instance(node: &str, instance: &str) -> Self {
        Self(format!("{node}/{instance}"))
    }

    /// What a new process of the instance has in [`VARIABLE`].
    pub fn handed_down(&self) -> String {
        match std::env::var(VARIABLE) {
            Ok(inherited) if !inherited.is_empty() => format!("{inherited} {}", self.0),
            _ => self.0.clone(),
        }
    }

    /// Who runs and carries it, with the instance's name.
    pub fn bearers(&self) -> Vec<(i32, String)> {
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        let others = procfs::pids().filter(|&pid| pid != me);
        others.filter_map(|pid| Some((pid, self.find(&procfs::variable(pid, VARIABLE)?)?))).collect()
    }

    /// Those of the bearers that are in none of these groups.
    pub fn strays(&self, groups: &[i32]) -> Vec<(i32, String)> {
        let is_stray =
            |pid| Stat::of(pid).is_some_and(|stat| stat.is_alive() && !groups.contains(&stat.group));
        self.bearers().into_iter().filter(|(pid, _)| is_stray(*pid)).collect()
    }

    /// SIGKILL to all who carry it.
    pub fn kill(&self) {
        self.bearers().iter().for_each(|(pid, _)| procfs::signal(*pid, libc::SIGKILL));
    }

    /// The instance in a list of marks, when one of them is meant.
    fn find(&self, marks: &str) -> Option<String> {
        let is_meant = |mark: &&str| *mark == self.0 || (self.0.ends_with('/') && mark.starts_with(&self.0));
        let (_, instance) = marks.split(' ').find(is_meant)?.split_once('/')?;
        Some(instance.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_found_by_its_whole_name_and_a_node_finds_all() {
        let instance = Mark::of_instance("n2", "web-1");
        assert_eq!(instance.find("n1/api-1 n2/web-1"), Some("web-1".to_owned()));
        assert_eq!(instance.find("n2/web-11 n22/web-1 n1/web-1"), None);
        assert_eq!(Mark::of_node("n2").find("n1/api-1 n2/web-11"), Some("web-11".to_owned()));
        assert_eq!(Mark::of_node("n2").find("n22/web-1"), None);
    }
}
