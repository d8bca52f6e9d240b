//! What each application uses of what the node has, counted where the request that does is answered: so it is known who uses
//! what, whether anybody has declared it or not.
//!
//! A list that only grows at its end, as that of undeclared names: who counts takes no lock, for that is on the way of requests.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// In which way something is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Another application is called, not by way of a data plane: that counts its calls itself.
    Call,
    /// Messages are published to a topic.
    Publish,
    /// Messages of a topic are brought to the application.
    Consume,
    /// Items are sent to a queue.
    Send,
    /// Items of a queue are worked on.
    Work,
    /// A store of state is asked, or written to.
    State,
}

/// Something that an application has used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// In which way.
    pub how: How,
    /// What: an application, a queue or a store by its name, a topic by that of its pubsub, a slash and its own.
    pub name: String,
    /// Whether it is declared for the application in a resource. Of what can be declared in none (a queue, an application) false.
    pub declared: bool,
    /// How often, since the node has begun: calls, requests, messages or items.
    pub count: u64,
    /// How often of these in vain.
    pub failed: u64,
}

/// What one application has used, in the order in which it first did.
#[derive(Debug, Default)]
pub(crate) struct Uses(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    how: How,
    of: String,
    name: String,
    declared: AtomicBool,
    count: AtomicU64,
    failed: AtomicU64,
    next: Uses,
}

impl Uses {
    /// Counts so many, some of them in vain. What is beyond [`USES_MAX`] is not counted.
    pub(crate) fn count(&self, how: How, name: &str, count: u64, failed: u64) {
        self.count_of(how, "", name, (count, failed), false);
    }

    /// The same of something that is in a component.
    pub(crate) fn count_of(
        &self,
        how: How,
        of: &str,
        name: &str,
        (count, failed): (u64, u64),
        declared: bool,
    ) {
        let mut list = self;
        for _ in 0..USES_MAX {
            let node = list.0.get_or_init(|| Box::new(Node::new(how, of, name)));
            if node.how == how && node.name == name && node.of == of {
                node.declared.store(declared, Relaxed);
                node.count.fetch_add(count, Relaxed);
                node.failed.fetch_add(failed, Relaxed);
                return;
            }
            list = &node.next;
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = Used> {
        std::iter::successors(self.0.get(), |node| node.next.0.get()).map(|node| Used {
            how: node.how,
            name: if node.of.is_empty() { node.name.clone() } else { format!("{}/{}", node.of, node.name) },
            declared: node.declared.load(Relaxed),
            count: node.count.load(Relaxed),
            failed: node.failed.load(Relaxed),
        })
    }
}

impl Node {
    fn new(how: How, of: &str, name: &str) -> Node {
        Node {
            how,
            of: of.to_owned(),
            name: name.to_owned(),
            declared: AtomicBool::default(),
            count: AtomicU64::default(),
            failed: AtomicU64::default(),
            next: Uses::default(),
        }
    }
}

/// Most things that are told apart of an application: each request may go past all of them.
const USES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_counted_by_how_and_what() {
        let uses = Uses::default();
        uses.count(How::Send, "mails", 3, 0);
        uses.count(How::Work, "mails", 2, 1);
        uses.count(How::Send, "mails", 1, 0);
        uses.count_of(How::Publish, "events", "orders", (1, 0), true);
        uses.count_of(How::Publish, "other", "orders", (1, 1), false);
        let told: Vec<(How, String, bool, u64, u64)> =
            uses.all().map(|used| (used.how, used.name, used.declared, used.count, used.failed)).collect();
        assert_eq!(
            told,
            [
                (How::Send, "mails".to_owned(), false, 4, 0),
                (How::Work, "mails".to_owned(), false, 2, 1),
                (How::Publish, "events/orders".to_owned(), true, 1, 0),
                (How::Publish, "other/orders".to_owned(), false, 1, 1),
            ]
        );
    }

    #[test]
    fn there_is_an_end_to_what_is_told_apart() {
        let uses = Uses::default();
        (0..2 * USES_MAX).for_each(|at| uses.count(How::Send, &at.to_string(), 1, 0));
        assert_eq!(uses.all().count(), USES_MAX);
        uses.count(How::Send, "0", 1, 0);
        assert_eq!(uses.all().next().map(|used| used.count), Some(2), "who is known goes on being counted");
    }
}
