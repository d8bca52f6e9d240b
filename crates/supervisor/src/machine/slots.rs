//! Which slot an instance has: the place among its siblings that outlives it. Pure.
//!
//! Names rotate in a rolling replacement, for the new runs beside the old and cannot have its name. What belongs
//! to a place and not to a process, such as the keys of a hashing balancer, goes by the slot instead: a
//! replacement takes over that of the one that goes for it. So the slots after a replacement are those before
//! it, a service that grows only gets more of them, and one that shrinks loses its highest.
//!
//! No two have the same slot but one on its way in and the one it replaces. Both may be published for a moment;
//! then the one that came later is meant.

use super::Machine;
use super::instance::Instance;
use crate::config::Source;
use std::collections::BTreeSet;

impl Machine {
    /// The slot of a new instance, which stands for this authority if it is external: that of the same
    /// authority before; a new one while the service grows; else that of an old one, first of one that does
    /// not serve anyway.
    pub(super) fn slot_for(&self, authority: Option<&str>) -> u32 {
        let old = || self.old().filter(|i| !self.is_superseded(i));
        if let Some(same) = old().find(|i| authority.is_some() && i.authority.as_deref() == authority) {
            return same.slot;
        }
        let slots: BTreeSet<u32> = self.staying_ones().map(|i| i.slot).collect();
        if slots.len() < self.wanted as usize {
            return self.free_slot();
        }
        let replaced = old().filter(|i| !self.has_successor(i)).min_by_key(|i| (i.is_ready(), i.slot));
        replaced.map_or_else(|| self.free_slot(), |i| i.slot)
    }

    /// A new instance has taken its slot over.
    pub(super) fn is_superseded(&self, instance: &Instance) -> bool {
        let new = |i: &&Instance| i.generation == self.generation && i.slot == instance.slot;
        instance.generation != self.generation && self.staying_ones().any(|i| new(&i))
    }

    /// Gives the younger of two that were left with one slot by a replacement that was given up another one.
    pub(super) fn part_slots(&mut self) {
        let mut held = BTreeSet::new();
        let mut by_age: Vec<(u64, u32)> = self.staying_ones().map(|i| (i.run.0, i.number)).collect();
        by_age.sort_unstable();
        for (_, number) in by_age {
            let free = self.free_slot();
            if let Some(instance) = self.instances.get_mut(&number)
                && !held.insert(instance.slot)
            {
                instance.slot = free;
                held.insert(free);
            }
        }
    }

    /// Another instance is still to come for the authority that it stands for.
    pub(super) fn has_successor(&self, instance: &Instance) -> bool {
        let Source::Url { authorities } = &self.spec.source else { return false };
        instance.authority.as_ref().is_some_and(|authority| authorities.contains(authority))
    }

    fn free_slot(&self) -> u32 {
        (1..).find(|slot| self.staying_ones().all(|i| i.slot != *slot)).unwrap_or(u32::MAX)
    }

    fn old(&self) -> impl Iterator<Item = &Instance> {
        self.staying_ones().filter(|i| i.generation != self.generation)
    }

    pub(super) fn staying_ones(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(|i| !i.leaving)
    }
}
