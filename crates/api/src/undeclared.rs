//! Names that were used and are declared nowhere, so that each is spoken of once.
//!
//! A list that only grows at its end: who looks takes no lock, for that is on the way of requests.

use std::sync::OnceLock;

/// The names, in the order in which they were first used.
#[derive(Debug, Default)]
pub(crate) struct Undeclared(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    name: String,
    next: Undeclared,
}

impl Undeclared {
    /// Takes a name down. Whether it is new; beyond [`NAMES_MAX`] no name is.
    pub(crate) fn note(&self, name: &str) -> bool {
        let mut list = self;
        for _ in 0..NAMES_MAX {
            let mut new = false;
            let node = list.0.get_or_init(|| {
                new = true;
                Box::new(Node { name: name.to_owned(), next: Undeclared::default() })
            });
            if node.name == name {
                return new;
            }
            list = &node.next;
        }
        false
    }

    /// All of them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.0.get(), |node| node.next.0.get()).map(|node| node.name.as_str())
    }
}

/// How many names are spoken of.
const NAMES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_new_once() {
        let names = Undeclared::default();
        assert!(names.note("a") && names.note("b"));
        assert!(!names.note("a") && !names.note("b"));
        assert_eq!(names.names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn there_is_an_end_to_names() {
        let names = Undeclared::default();
        assert_eq!((0..2 * NAMES_MAX).filter(|n| names.note(&n.to_string())).count(), NAMES_MAX);
    }
}
