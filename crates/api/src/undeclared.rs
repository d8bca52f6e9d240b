//! Names that were used and are declared nowhere, so that each is spoken of once.
//!
//! A list that only grows at its end: who looks takes no lock, for that is on the way of requests.

use std::sync::OnceLock;

use crate::api::Api;

impl Api {
    /// Whether what is declared nowhere may be used, as the component `FAMILY.colony`: it is kept in the folder of the
    /// data, and a line says so. Not one that is declared for others, nor one of a name that cannot be.
    pub(crate) fn may_be_undeclared(&self, family: &'static str, what: &str, name: &str) -> bool {
        let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
        if !fits || self.config.foreign.iter().any(|foreign| foreign == name) {
            return false;
        }
        if self.undeclared.note(family, name) {
            self.say(&format!(
                "{what} {name:?} is declared in no file of the resources: it is kept in the folder of the data"
            ));
        }
        true
    }
}

/// The names, in the order in which they were first used.
#[derive(Debug, Default)]
pub(crate) struct Undeclared(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    family: &'static str,
    name: String,
    next: Undeclared,
}

impl Undeclared {
    /// Takes a name down. Whether it is new; beyond [`NAMES_MAX`] no name is.
    pub(crate) fn note(&self, family: &'static str, name: &str) -> bool {
        let mut list = self;
        for _ in 0..NAMES_MAX {
            let mut new = false;
            let node = list.0.get_or_init(|| {
                new = true;
                Box::new(Node { family, name: name.to_owned(), next: Undeclared::default() })
            });
            if node.family == family && node.name == name {
                return new;
            }
            list = &node.next;
        }
        false
    }

    /// All of them, each with its family.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        std::iter::successors(self.0.get(), |node| node.next.0.get())
            .map(|node| (node.family, node.name.as_str()))
    }
}

/// Longest name of a store, as the engine has it.
const NAME_BYTES_MAX: usize = 255;
/// How many names are spoken of.
const NAMES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_new_once() {
        let names = Undeclared::default();
        assert!(names.note("state", "a") && names.note("state", "b") && names.note("lock", "a"));
        assert!(!names.note("state", "a") && !names.note("state", "b") && !names.note("lock", "a"));
        assert_eq!(names.names().collect::<Vec<_>>(), [("state", "a"), ("state", "b"), ("lock", "a")]);
    }

    #[test]
    fn there_is_an_end_to_names() {
        let names = Undeclared::default();
        assert_eq!((0..2 * NAMES_MAX).filter(|n| names.note("state", &n.to_string())).count(), NAMES_MAX);
    }
}
