//! What was decided of traces whose spans may still come, in bounded memory: two generations, of which the older is forgotten
//! when the younger is full.

use std::collections::{HashMap, HashSet};

use crate::part::Kept;

/// Most kept traces in a generation.
const KEPT_MAX: usize = 32_768;
/// Most dropped ones.
const DROPPED_MAX: usize = 65_536;

/// The decisions.
#[derive(Debug, Default)]
pub(super) struct Decided {
    kept: [HashMap<[u8; 16], Place>; 2],
    dropped: [HashSet<u64>; 2],
}

/// What a part that comes late shares with those before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) kept: Kept,
    pub(super) start_ns: u64,
    /// How many spans it has.
    pub(super) spans: usize,
}

impl Decided {
    pub(super) fn keep(&mut self, trace_id: [u8; 16], place: Place) {
        let [young, old] = &mut self.kept;
        if young.len() >= KEPT_MAX {
            *old = std::mem::take(young);
        }
        young.insert(trace_id, place);
    }

    pub(super) fn drop(&mut self, trace_id: &[u8; 16]) {
        let [young, old] = &mut self.dropped;
        if young.len() >= DROPPED_MAX {
            *old = std::mem::take(young);
        }
        young.insert(short(trace_id));
    }

    pub(super) fn kept(&mut self, trace_id: &[u8; 16]) -> Option<&mut Place> {
        self.kept.iter_mut().find_map(|generation| generation.get_mut(trace_id))
    }

    pub(super) fn is_dropped(&self, trace_id: &[u8; 16]) -> bool {
        self.dropped.iter().any(|generation| generation.contains(&short(trace_id)))
    }
}

/// Of dropped ones half an id is enough: that two share it is as likely as that a bit flips.
fn short(trace_id: &[u8; 16]) -> u64 {
    super::mixed(trace_id, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::Why;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut decided = Decided::default();
        let place = Place { kept: Kept { why: Why::Error, weight: 1.0 }, start_ns: 0, spans: 1 };
        let id = |n: u128| n.to_be_bytes();
        for n in 0..3 * DROPPED_MAX as u128 {
            decided.drop(&id(n));
            decided.keep(id(n), place);
        }
        assert!(!decided.is_dropped(&id(0)) && decided.kept(&id(0)).is_none());
        let last = 3 * DROPPED_MAX as u128 - 1;
        assert!(decided.is_dropped(&id(last)) && decided.kept(&id(last)).is_some());
        assert!(decided.kept.iter().all(|generation| generation.len() <= KEPT_MAX));
    }
}
