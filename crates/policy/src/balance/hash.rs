//! The hash under the consistent ones: XXH64, as in Envoy, of which every core and every node makes the
//! same. It is no secret and no defence: who picks keys can pick where they go.

use xxhash_rust::xxh64::xxh64;

/// Hash of a request's key.
pub fn hash(key: &[u8]) -> u64 {
    xxh64(key, 0)
}

/// One of a family of independent hashes of the same name.
pub(super) fn nth(name: &str, nth: u64) -> u64 {
    xxh64(name.as_bytes(), nth.wrapping_add(1))
}

/// Another place for the same key.
pub(super) fn again(key: u64, time: u64) -> u64 {
    xxh64(&key.to_le_bytes(), time.wrapping_add(1))
}
