//! Keys: how what the blocks keep is ordered.
//!
//! A key is its table's byte and then components that sort as what they mean: numbers big-endian,
//! names ended by a zero byte (no name contains one), and at the end, where an application's own key
//! stands, its bytes as they are. So all that belongs together lies together, and a prefix of
//! components is a range.

mod bytes;

use std::borrow::Borrow;
use std::fmt;

use bytes::KeyBytes;

/// What kind of thing a key is of: the first byte of every key.
///
/// The numbers are in files on disk: they are never used for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// What the shard knows of itself.
    Shard = 0x01,
    /// Timers by when they are due.
    Timer = 0x02,
    /// How often a payload in the log is still pointed to.
    Kept = 0x03,
    /// Commands on their way to other shards.
    Outbox = 0x04,
    /// Up to where commands of other shards have been applied.
    Inbox = 0x05,
    /// Replies to requests that may come again.
    Idempotency = 0x06,
    /// Items of key-value state: `kv`.
    KvItem = 0x10,
    /// Their changes in order.
    KvChange = 0x11,
    /// What is known of a store as a whole.
    KvStore = 0x12,
    /// Topics' settings and counters.
    Topic = 0x20,
    /// Messages of a partition by offset.
    TopicMessage = 0x21,
    /// Consumer groups and their cursors.
    TopicGroup = 0x22,
    /// Messages that a group has set aside, since they failed or are behind one that did.
    TopicAside = 0x23,
    /// Messages that expire, by when they do.
    TopicExpiry = 0x24,
    /// Messages that are not due yet, in the order in which they were published.
    TopicDelayed = 0x25,
    /// Queues' settings and counters.
    Queue = 0x30,
    /// Items of queues.
    QueueItem = 0x31,
    /// Items of queues that may be had, by priority and order.
    QueueReady = 0x32,
    /// Items of queues that somebody holds.
    QueueLease = 0x33,
    /// What a queue has seen before.
    QueueSeen = 0x34,
    /// Dead letters of queues.
    QueueDead = 0x35,
    /// Counters of a queue by key.
    QueueKey = 0x36,
    /// A further index of queues.
    QueueIndex = 0x37,
    /// Streams' versions.
    Stream = 0x40,
    /// Events by stream and version.
    StreamEvent = 0x41,
    /// Events of all streams in order.
    StreamAll = 0x42,
    /// Snapshots of streams.
    StreamSnapshot = 0x43,
    /// Projections' checkpoints.
    StreamProjection = 0x44,
    /// Stores of streams: settings and how many events there ever were.
    StreamStore = 0x45,
    /// What is said about streams.
    StreamDescription = 0x46,
    /// Jobs by name.
    Job = 0x50,
    /// Locks by name.
    Lock = 0x60,
    /// Configuration items.
    Config = 0x70,
    /// Their changes in order.
    ConfigChange = 0x71,
}

/// A key, or the beginning of some.
///
/// The usual one lies in place: whoever orders keys by the million looks at them where they are, and building one
/// allocates nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(KeyBytes);

impl Key {
    /// The beginning of all keys of `table`.
    pub fn new(table: Table) -> Key {
        Key(KeyBytes::new(&[table as u8]))
    }

    /// With a name, which must not contain a zero byte ([`crate::limits::name`] sees to it).
    #[must_use]
    pub fn name(mut self, name: &str) -> Key {
        debug_assert!(!name.as_bytes().contains(&0), "a name with a zero byte");
        self.0.extend(name.as_bytes());
        self.0.extend(&[0]);
        self
    }

    /// With a number of 64 bits.
    #[must_use]
    pub fn u64(mut self, number: u64) -> Key {
        self.0.extend(&number.to_be_bytes());
        self
    }

    /// With a number of 64 bits that sorts from the largest to the smallest.
    #[must_use]
    pub fn u64_descending(self, number: u64) -> Key {
        self.u64(!number)
    }

    /// With a number of 32 bits.
    #[must_use]
    pub fn u32(mut self, number: u32) -> Key {
        self.0.extend(&number.to_be_bytes());
        self
    }

    /// With one byte.
    #[must_use]
    pub fn u8(mut self, number: u8) -> Key {
        self.0.extend(&[number]);
        self
    }

    /// With bytes as they are: only as the last component.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend(bytes);
        self
    }

    /// The smallest key that is greater than all that begin with this one.
    #[must_use]
    pub fn end(&self) -> Key {
        let bytes = self.as_bytes();
        let Some(at) = bytes.iter().rposition(|byte| *byte < u8::MAX) else { return Key(KeyBytes::new(&[])) };
        let mut end = KeyBytes::new(&bytes[..at]);
        end.extend(&[bytes[at] + 1]);
        Key(end)
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// How many bytes of memory it takes besides its own size.
    pub fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// What follows this prefix in `key`; nothing if `key` does not begin with it.
    pub fn rest_of<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        key.strip_prefix(self.as_bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.as_bytes()).finish()
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Key {
        Key(KeyBytes::new(bytes))
    }
}

/// Keys sort as their bytes do.
impl Borrow<[u8]> for Key {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Takes the components of a key apart, in the order in which they were put on.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// Of what follows a table's byte.
    pub fn of(key: &'a [u8]) -> Parts<'a> {
        Parts(key.get(1..).unwrap_or_default())
    }

    /// Of what follows a prefix ([`Key::rest_of`]).
    pub fn within(rest: &'a [u8]) -> Parts<'a> {
        Parts(rest)
    }

    /// A name.
    pub fn name(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (name, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        std::str::from_utf8(name).ok()
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    /// A number of 64 bits put on descending.
    pub fn u64_descending(&mut self) -> Option<u64> {
        self.u64().map(|number| !number)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// The number of 64 bits that a key ends with.
///
/// # Panics
///
/// If the key is too short for one: it is none of those that end so.
pub(crate) fn last_number(key: &[u8]) -> u64 {
    u64::from_be_bytes(*key.last_chunk().expect("the key ends with a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_their_components() {
        let key = |name: &str, number| Key::new(Table::TopicMessage).name(name).u64(number);
        assert!(key("a", 2) < key("a", 10));
        assert!(key("a", 10) < key("ab", 0));
        assert!(key("ab", 0) < key("b", 0));
        let descending = |number| Key::new(Table::QueueReady).u64_descending(number);
        assert!(descending(10) < descending(2));
    }

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        let end = |bytes: &[u8]| Key::from(bytes).end();
        assert_eq!(end(&[1, 2]).as_bytes(), [1, 3]);
        assert_eq!(end(&[1, 255]).as_bytes(), [2]);
        assert!(Key::new(Table::Topic).name("a").u64(u64::MAX) < Key::new(Table::Topic).name("a").end());
    }

    #[test]
    fn components_come_back_as_they_were_put_on() {
        let key = Key::new(Table::Lock).name("orders").u32(7).u64_descending(9).u8(3).bytes(b"\0rest");
        let mut parts = Parts::of(key.as_bytes());
        assert_eq!(parts.name(), Some("orders"));
        assert_eq!(parts.u32(), Some(7));
        assert_eq!(parts.u64_descending(), Some(9));
        assert_eq!(parts.u8(), Some(3));
        assert_eq!(parts.rest(), b"\0rest");
    }
}
