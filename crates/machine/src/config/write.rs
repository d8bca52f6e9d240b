//! Setting and deleting items.

use std::collections::BTreeSet;

use super::edit::{Edit, What};
use super::{EDITS_MAX, ITEMS_MAX, Item, KEEP, Reply, change_list, count_key, item_key};
use crate::changes::{Change, Recorder};
use crate::context::Context;
use crate::effect::Channel;
use crate::key::Key;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Sets and deletes items of a store, all or none.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Write {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// What is done, to each item once.
    #[prost(message, repeated, tag = "2")]
    pub edits: Vec<Edit>,
}

/// How many items a store has: a value under [`crate::Table::Config`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct Count {
    #[prost(uint64, tag = "1")]
    items: u64,
}

/// The key of each item that is edited, and the item as it is.
type Items = Vec<(Key, Option<Item>)>;

impl Write {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("store", &self.store)?;
        if self.edits.len() > EDITS_MAX {
            let many = format!("{} edits; {EDITS_MAX} are the most", self.edits.len());
            return Err(Refusal::new(Code::Invalid, many));
        }
        let mut keys = BTreeSet::new();
        for edit in &self.edits {
            edit.check()?;
            if !keys.insert(&edit.key) {
                let twice = format!("the configuration item {:?} is edited twice", edit.key);
                return Err(Refusal::new(Code::Invalid, twice));
            }
        }
        Ok(())
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (count, before) = self.look(context)?;
        let mut changes = Recorder::new(context, change_list(&self.store), KEEP);
        for (edit, (at, before)) in self.edits.iter().zip(before) {
            let was_there = before.is_some();
            if let Some(before) = before {
                context.release(&before.value);
            }
            let revision = context.sequence();
            let etag = match &edit.what {
                Some(What::Set(set)) => {
                    let value = context.store(set.body)?;
                    let (version, metadata) = (set.version.clone(), set.metadata.clone());
                    context.put(at, &Item { revision, value, version, metadata });
                    revision
                }
                _ if was_there => {
                    context.delete(at);
                    0
                }
                _ => continue,
            };
            let key = edit.key.clone().into();
            changes.add(context, Change { key, etag, ..Change::default() });
        }
        if changes.close(context) {
            context.put(count_key(&self.store), &count);
            context.wake(Channel::config(&self.store));
        }
        Ok(Reply { revision: context.sequence() })
    }

    /// How many items there will be, and each as it is, if nothing is in the way.
    fn look(&self, context: &Context<'_>) -> Result<(Count, Items), Refusal> {
        let mut count: Count = context.get_or_default(&count_key(&self.store));
        let mut all = Vec::with_capacity(self.edits.len());
        for edit in &self.edits {
            let at = item_key(&self.store, &edit.key);
            let before: Option<Item> = context.get(&at);
            let is = before.as_ref().map_or(0, |item| item.revision);
            if edit.revision.is_some_and(|wanted| wanted != is) {
                let changed = format!("the configuration item {:?} has revision {is} by now", edit.key);
                return Err(Refusal::new(Code::Conflict, changed));
            }
            count.items -= u64::from(before.is_some());
            if let Some(What::Set(set)) = &edit.what {
                context.length(set.body)?;
                count.items += 1;
            }
            all.push((at, before));
        }
        if count.items > ITEMS_MAX {
            let many = format!("the store would have {} items; {ITEMS_MAX} are the most", count.items);
            return Err(Refusal::new(Code::Limit, many));
        }
        Ok((count, all))
    }
}
