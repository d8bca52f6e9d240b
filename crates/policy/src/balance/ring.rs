//! Consistent hashing on a ring: Karger et al., "Consistent Hashing and Random Trees" (STOC 1997), with
//! many points an instance as in Ketama.
//!
//! An instance owns the arcs that end at its points, so one that leaves gives its keys, and only these, to
//! those who follow it, and one that comes takes only what becomes its own. A key whose owner is not open
//! goes on to the next on the ring, and back when that is open again.

use crate::balance::hash;

/// Points of the heaviest instance; others have as many as their weight is of its. As Ketama: the busiest
/// of ten gets about a quarter more than the mean.
pub const POINTS: usize = 160;
/// Most points of a ring, 16 bytes each. Beyond 1,638 instances each has fewer.
pub const POINTS_MAX: usize = 1 << 18;

/// The ring.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Where a point lies and whose it is, sorted.
    points: Vec<(u64, u32)>,
}

impl Ring {
    /// The ring of these instances, by name and weight. Their order does not matter; weight zero: no point.
    pub fn new(instances: &[(&str, f64)]) -> Ring {
        let heaviest = instances.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
        let most = POINTS.min(POINTS_MAX / instances.len().max(1)).max(1);
        let mut points = Vec::new();
        for (at, (name, weight)) in instances.iter().enumerate() {
            let own = (most as f64 * weight / heaviest).ceil() as u64;
            points.extend((0..own).map(|nth| (hash::nth(name, nth), at as u32)));
        }
        points.sort_unstable_by_key(|(point, at)| (*point, instances[*at as usize].0));
        Ring { points }
    }

    /// The first open owner from the key on. None: nobody is open.
    pub fn find(&self, key: u64, open: impl Fn(usize) -> bool) -> Option<usize> {
        let first = self.points.partition_point(|(point, _)| *point < key);
        let (before, after) = self.points.split_at(first);
        after.iter().chain(before).map(|(_, at)| *at as usize).find(|at| open(*at))
    }
}
