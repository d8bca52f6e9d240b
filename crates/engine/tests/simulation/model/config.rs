//! Configuration as users think of it, with everything that ever changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::config::{self, What};
use machine::{Code, Read};

use super::{Payloads, Step};

/// Stores by name.
#[derive(Default)]
pub struct Configs {
    stores: BTreeMap<String, Items>,
}

#[derive(Default)]
struct Items {
    items: BTreeMap<String, Item>,
    changes: Vec<Change>,
}

struct Item {
    revision: u64,
    value: Bytes,
    version: String,
}

/// The item that changed, and its revision since; zero if it is gone.
pub type Change = (String, u64);

impl Configs {
    pub(super) fn apply(
        &mut self,
        step: &Step<'_>,
        command: &config::Command,
    ) -> Result<config::Reply, Code> {
        let Some(config::Kind::Write(write)) = &command.kind else { panic!("the log says what it is") };
        let store = self.stores.entry(write.store.clone()).or_default();
        for edit in &write.edits {
            if edit.revision.is_some_and(|revision| revision != store.revision(&edit.key)) {
                return Err(Code::Conflict);
            }
        }
        for edit in &write.edits {
            let revision = match edit.what.as_ref().expect("an edit does something") {
                What::Set(set) => {
                    let value = step.bodies[set.body as usize].clone();
                    let item = Item { revision: step.sequence, value, version: set.version.clone() };
                    store.items.insert(edit.key.clone(), item);
                    step.sequence
                }
                What::Delete(()) if store.items.remove(&edit.key).is_some() => 0,
                What::Delete(()) => continue,
            };
            store.changes.push((edit.key.clone(), revision));
        }
        Ok(config::Reply { revision: step.sequence })
    }

    /// The revision of an item, for a client that has read it.
    pub fn revision(&self, store: &str, key: &str) -> u64 {
        self.stores.get(store).map_or(0, |store| store.revision(key))
    }

    /// Everything that ever changed in a store.
    pub fn changes(&self, store: &str) -> &[Change] {
        self.stores.get(store).map_or(&[], |store| &store.changes)
    }

    pub(super) fn assert_read(&self, state: &impl Read, payloads: Payloads<'_>) {
        for (name, store) in &self.stores {
            let read: Vec<_> = config::list(state, name, "", usize::MAX)
                .into_iter()
                .map(|(key, item)| (key, item.revision, payloads(&item.value), item.version))
                .collect();
            let items = store.items.iter();
            let should: Vec<_> = items
                .map(|(key, item)| (key.clone(), item.revision, item.value.clone(), item.version.clone()))
                .collect();
            assert_eq!(read, should, "the items of {name:?}, and what they should be");
            let last = config::position(state, name);
            assert_eq!(last, store.changes.len() as u64, "how often {name:?} has changed");
        }
    }
}

impl Items {
    fn revision(&self, key: &str) -> u64 {
        self.items.get(key).map_or(0, |item| item.revision)
    }
}
