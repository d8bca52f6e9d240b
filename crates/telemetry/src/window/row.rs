//! What a block can be made of: parts of traces, or records of logs.

use super::zone::Zone;

/// Of one kind. What is encoded decodes to the same, and anything else decodes to something or none, without a panic and with no
/// more memory than a small multiple of the bytes given.
pub(crate) trait Row: Clone {
    /// Tells the kinds apart in a file.
    const KIND: u8;

    /// What is known of these without reading them.
    fn zone(rows: &[Self]) -> Zone;

    /// As columns, not compressed.
    fn encode(rows: &[Self]) -> Vec<u8>;

    /// What was encoded.
    fn decode(packed: &[u8]) -> Option<Vec<Self>>;

    /// How many spans or records it is.
    fn count(&self) -> usize;

    /// Roughly what it takes in memory.
    fn bytes(&self) -> usize;
}
