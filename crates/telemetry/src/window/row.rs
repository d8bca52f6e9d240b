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

/// What is packed at a time, in bytes in memory: a lot takes about three times as much while it is packed.
pub(super) const LOT_BYTES: usize = 2 << 20;

/// Rows in their order, in lots of at most [`LOT_BYTES`], or of one row that has more.
pub(super) fn lots<R: Row>(rows: &[R]) -> impl Iterator<Item = &[R]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |row: &&R| {
            bytes += row.bytes();
            bytes <= LOT_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (lot, behind) = rest.split_at_checked(count)?;
        rest = behind;
        Some(lot)
    })
}
