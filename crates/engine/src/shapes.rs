//! Where things lie that are spread, by name: what decides the shard of a command, without a look at the state for each.
//!
//! What was found, be it that nothing is defined, is kept in mind until [`crate::blocks`] defines it: that is noticed where
//! the definition is applied, for whoever asked for it may have gone by then.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use machine::kv::Placement;
use machine::stream::Spread;

/// What is known of one kind of things.
#[derive(Debug)]
pub(crate) struct Known<T>(RwLock<Names<T>>);

#[derive(Debug)]
struct Names<T> {
    known: HashMap<String, T>,
    /// How often something was forgotten: who looked before must not say afterwards what they saw.
    forgotten: u64,
}

/// What is known of all.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// How the items of stores are placed.
    pub(crate) stores: Known<Placement>,
    /// How stores of streams are spread.
    pub(crate) streams: Known<Spread>,
    /// How many partitions topics have.
    pub(crate) topics: Known<u32>,
    /// Whether queues are spread.
    pub(crate) queues: Known<bool>,
}

impl<T: Copy> Known<T> {
    /// What is known of `name`; otherwise what `look` finds is, if it finds something.
    pub(crate) fn get<E>(
        &self,
        name: &str,
        look: impl FnOnce() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (known, forgotten) = (names.known.get(name).copied(), names.forgotten);
        drop(names);
        if known.is_some() {
            return Ok(known);
        }
        let found = look()?;
        if let Some(found) = found {
            let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if names.known.len() >= NAMES_MAX {
                names.known.clear();
            }
            if names.forgotten == forgotten {
                names.known.insert(name.to_owned(), found);
            }
        }
        Ok(found)
    }

    /// It has been defined: who asks next looks again.
    pub(crate) fn forget(&self, name: &str) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        names.known.remove(name);
        names.forgotten += 1;
    }
}

impl<T> Default for Known<T> {
    fn default() -> Known<T> {
        Known(RwLock::new(Names { known: HashMap::new(), forgotten: 0 }))
    }
}

/// How many names are kept in mind of each kind; then it begins anew.
const NAMES_MAX: usize = 65_536;
