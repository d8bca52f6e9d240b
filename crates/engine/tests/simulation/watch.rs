//! Somebody who watches configuration: what has changed since the last look, put into an own copy.

use std::collections::BTreeMap;

use machine::{Read, Shard, config};

use crate::model::Configs;
use crate::workload::config::STORE;

/// A copy of a shard's items, kept up by what changed.
pub struct Watch {
    shard: Shard,
    position: u64,
    revisions: BTreeMap<String, u64>,
}

impl Watch {
    pub fn new(shard: Shard) -> Watch {
        Watch { shard, position: 0, revisions: BTreeMap::new() }
    }

    /// Goes on from where it was: it must see every change, once and in order, and then have what is there.
    pub fn look(&mut self, model: &Configs, state: &impl Read) {
        let shard = self.shard;
        loop {
            let seen = config::changes(state, STORE, self.position, CHANGES_AT_ONCE);
            let seen = seen.unwrap_or_else(|refusal| panic!("{shard:?}: the watch is lost: {refusal:?}"));
            for (position, change) in &seen.changes {
                let key = String::from_utf8(change.key.to_vec()).expect("a key is text");
                let should = model.changes(STORE).get(self.position as usize);
                let is = (key.clone(), change.etag);
                assert_eq!((*position, Some(&is)), (self.position + 1, should), "{shard:?}: a change");
                self.position = *position;
                match change.etag {
                    0 => drop(self.revisions.remove(&key)),
                    revision => drop(self.revisions.insert(key, revision)),
                }
            }
            if self.position == seen.last {
                break;
            }
        }
        let there = config::list(state, STORE, "", usize::MAX);
        let there: BTreeMap<_, _> = there.into_iter().map(|(key, item)| (key, item.revision)).collect();
        assert_eq!(self.revisions, there, "{shard:?}: what a watch has, and what is there");
    }
}

const CHANGES_AT_ONCE: usize = 3;
