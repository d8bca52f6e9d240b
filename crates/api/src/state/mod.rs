//! Key-value state: stores as they are declared, over the engine's.
//!
//! A store's name is a store of the engine, and the prefix of its keys a scope there, so an item is known by store,
//! prefix and key, as it is with Dapr by its prefixed key. An ETag is the engine's as a decimal number; it never comes
//! back, whatever happens to the item.
//!
//! What Dapr leaves to the backend is settled here: an ETag that is given is compared unless the request says
//! `last-write`; `first-write` without one only inserts; a delete with `first-write` and no ETag deletes. Values are
//! kept byte for byte, numbers and the order of keys included.

mod engine;
mod errors;
mod request;
mod store;

use std::collections::HashMap;

use crate::api::Api;
use crate::config::{Block, Config, Place, Prefix};
use crate::error::Error;
use crate::resiliency::Family;
use crate::uses::How;

pub use engine::{Engine, Kept};
pub use request::{Concurrency, Consistency, Delete, Operation, Options, Save, ttl};
use store::Keeper;
pub use store::{Item, Store};

pub(crate) use errors::{Failing, unknown_operation};

/// The stores that are declared, by name.
pub(crate) struct Stores {
    declared: HashMap<String, Declared>,
    /// What all others are.
    otherwise: Declared,
}

/// What a store is.
struct Declared {
    place: Place,
    scope: String,
}

impl Stores {
    pub(crate) fn new(config: &Config) -> Stores {
        let declared = config.components.iter().filter_map(|component| {
            let Block::State { place, prefix } = &component.block else { return None };
            let scope = config.scope(&component.name, prefix);
            Some((component.name.clone(), Declared { place: place.clone(), scope }))
        });
        let scope = config.scope("", &Prefix::AppId);
        let otherwise = Declared { place: Place::Disk, scope };
        Stores { declared: declared.collect(), otherwise }
    }
}

impl Api {
    /// The store of this name. One that is declared nowhere is in the folder of the data, and a line says so.
    ///
    /// # Errors
    ///
    /// If there cannot be a store of this name.
    pub fn store<'a>(&'a self, name: &'a str) -> Result<Store<'a>, Error> {
        let declared = match self.stores.declared.get(name) {
            Some(declared) => declared,
            None => {
                self.check_undeclared(name)?;
                &self.stores.otherwise
            }
        };
        self.uses.count_of(How::State, "", name, (1, 0), self.stores.declared.contains_key(name));
        let keeper = match (&declared.place, self.host.memory()) {
            (Place::Outside(store), _) => Keeper::Outside(&*store.0),
            (Place::Memory, Some(memory)) => Keeper::Engine(Kept::new(name, Engine::Memory(memory))),
            _ => Keeper::Engine(Kept::new(name, Engine::Disk(self.host.disk()))),
        };
        let asking = self.guards.asking(Family::State, name);
        Ok(Store { name, scope: &declared.scope, keeper, asking })
    }

    fn check_undeclared(&self, name: &str) -> Result<(), Error> {
        match self.may_be_undeclared("state", "state store", name) {
            true => Ok(()),
            false => Err(errors::not_found(name, &self.config.app_id)),
        }
    }
}

/// What parts a key from its prefix where keys are prefixed, and so is in no key.
const SEPARATOR: &str = "||";
