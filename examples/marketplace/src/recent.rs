//! A map that forgets: what keeps a service's memory bounded.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// At most `max` entries; a new one pushes out the one that was written longest ago.
pub struct Recent<K, V> {
    max: usize,
    written: u64,
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// An empty map of at most `max` entries, at least one.
    pub fn new(max: usize) -> Self {
        Recent { max: max.max(1), written: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    /// Writes an entry and returns the one that had to go, if any.
    pub fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        self.written += 1;
        if let Some((old, _)) = self.entries.insert(key.clone(), (self.written, value)) {
            self.order.remove(&old);
        }
        self.order.insert(self.written, key);
        if self.entries.len() <= self.max {
            return None;
        }
        let (_, oldest) = self.order.pop_first()?;
        self.entries.remove_entry(&oldest).map(|(key, (_, value))| (key, value))
    }

    /// The entry, if it is still known.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Takes an entry out.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (written, value) = self.entries.remove(key)?;
        self.order.remove(&written);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_written_longest_ago_goes() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        recent.insert("a", 3);
        assert_eq!(recent.insert("c", 4), Some(("b", 2)));
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (Some(&3), None, Some(&4)));
    }

    #[test]
    fn what_was_removed_leaves_room() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        assert_eq!(recent.remove("a"), Some(1));
        assert_eq!(recent.insert("c", 3), None);
        assert_eq!(recent.entries.len(), recent.order.len());
    }
}
