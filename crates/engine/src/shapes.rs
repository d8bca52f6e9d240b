//! Where things lie that are spread, by name: what decides the shard of a command, without a look at the state for each.
//!
//! What has been defined is settled, so it is kept in mind for good; what has not is looked for again when it is defined
//! by [`crate::blocks`].

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use machine::kv::Placement;
use machine::stream::Spread;

/// What is known of one kind of things.
#[derive(Debug)]
pub(crate) struct Known<T>(RwLock<HashMap<String, T>>);

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
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if known.is_some() {
            return Ok(known);
        }
        let found = look()?;
        if let Some(found) = found {
            self.set(name, found);
        }
        Ok(found)
    }

    /// Keeps in mind what was defined.
    pub(crate) fn set(&self, name: &str, is: T) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= NAMES_MAX && !known.contains_key(name) {
            known.clear();
        }
        known.insert(name.to_owned(), is);
    }
}

impl<T> Default for Known<T> {
    fn default() -> Known<T> {
        Known(RwLock::default())
    }
}

/// How many names are kept in mind of each kind; then it begins anew.
const NAMES_MAX: usize = 65_536;
