//! Where groups are put together: memory that is used again and again.
//!
//! A group is as large as all that waited, up to megabytes, and stays in memory for a while as it was written (`cache`). To
//! allocate each anew has the kernel clear pages for it, by 2 MiB at a time where it gives out such, which costs as much as
//! the copies and the checksums of what is in it. So groups lie one behind the other in *rooms*, and a room is begun anew when
//! nobody has any of its groups any more.

use std::collections::VecDeque;

use bytes::BytesMut;

/// Where groups are put together.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// What is left of the one that is used now.
    current: Option<BytesMut>,
    /// Those that are full, the oldest first; each as what is left of it, which holds on to all of it.
    full: VecDeque<BytesMut>,
    room_bytes: usize,
}

impl Rooms {
    /// For groups of which `cache_bytes` are kept.
    pub fn new(cache_bytes: usize) -> Rooms {
        let room_bytes = (cache_bytes / ROOMS_CACHED).max(ROOM_BYTES_MIN);
        Rooms { current: None, full: VecDeque::new(), room_bytes }
    }

    /// An empty buffer with room for `bytes`, and how many bytes of memory are lost by beginning another one. What is
    /// [split](BytesMut::split) off has to be all that is put into it.
    pub fn take(&mut self, bytes: usize) -> (&mut BytesMut, usize) {
        let left = self.current.as_ref().map_or(0, BytesMut::capacity);
        if left >= bytes {
            return (self.current.get_or_insert_default(), 0);
        }
        let wanted = bytes.next_multiple_of(self.room_bytes);
        let next = self.empty(wanted).unwrap_or_else(|| BytesMut::with_capacity(wanted));
        self.full.extend(self.current.replace(next));
        (self.current.get_or_insert_default(), left)
    }

    /// A room that was full, and of which nobody has anything any more.
    fn empty(&mut self, bytes: usize) -> Option<BytesMut> {
        // Fewer are all still in the cache; one that is not given back by then is somebody's who reads slowly.
        let mut oldest = self.full.pop_front()?;
        if oldest.try_reclaim(bytes) {
            return Some(oldest);
        }
        if self.full.len() < ROOMS_FULL_MAX {
            self.full.push_front(oldest);
        }
        None
    }
}

/// How many rooms what is cached fills, about.
const ROOMS_CACHED: usize = 8;
/// How many full ones are remembered: those of the cache, the one that it is about to give up, and one more.
const ROOMS_FULL_MAX: usize = ROOMS_CACHED + 2;
/// None is smaller.
const ROOM_BYTES_MIN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn put(rooms: &mut Rooms, bytes: usize) -> (bytes::Bytes, usize) {
        let (buffer, lost) = rooms.take(bytes);
        buffer.resize(bytes, 7);
        (buffer.split().freeze(), lost)
    }

    #[test]
    fn what_nobody_has_any_more_is_used_again() {
        let mut rooms = Rooms::new(8 << 20);
        let mut kept = VecDeque::new();
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let (group, _) = put(&mut rooms, 300 << 10);
            places.insert(group.as_ptr().addr());
            kept.push_back(group);
            if kept.len() > 8 {
                kept.pop_front();
            }
        }
        assert!(places.len() <= 3 * (ROOMS_FULL_MAX + 1), "{} places in memory", places.len());
    }

    #[test]
    fn who_keeps_one_keeps_others_from_nothing() {
        let mut rooms = Rooms::new(8 << 20);
        let (kept, _) = put(&mut rooms, 1000);
        for _ in 0..1000 {
            drop(put(&mut rooms, 300 << 10));
        }
        assert!(rooms.full.len() <= ROOMS_FULL_MAX + 1);
        assert_eq!(&kept[..], &[7; 1000]);
    }

    #[test]
    fn what_is_left_over_is_told() {
        let mut rooms = Rooms::new(8 << 20);
        assert_eq!(put(&mut rooms, 300 << 10).1, 0);
        assert_eq!(put(&mut rooms, 300 << 10).1, 0);
        assert_eq!(put(&mut rooms, 300 << 10).1, 0);
        assert_eq!(put(&mut rooms, 300 << 10).1, (1 << 20) - 3 * (300 << 10));
    }
}
