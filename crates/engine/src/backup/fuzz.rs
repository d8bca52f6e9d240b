//! Backups as somebody would forge them, for fuzzing.

use prost::Message;

use super::format::{Encoder, Kind, Pairs, Trailer, checksum};

/// A backup of these frames, of whatever kinds, with checksums that fit and a trailer that says that there were as many.
pub(crate) fn forge(frames: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = Encoder::begin(&mut out);
    let mut pairs = 0;
    for (place, (kind, payload)) in (0..).zip(frames) {
        let known = Kind::of(*kind).unwrap_or(Kind::Pairs);
        if known == Kind::Pairs {
            pairs += Pairs::decode(*payload).map_or(0, |pairs| pairs.pairs.len() as u64);
        }
        push(&mut out, *kind, checksum(place, known, payload), payload);
    }
    let trailer = Trailer { frames: frames.len() as u64, pairs, checksum: crc32c::crc32c(&out) };
    let trailer = trailer.encode_to_vec();
    let place = frames.len() as u64;
    push(&mut out, Kind::Trailer as u8, checksum(place, Kind::Trailer, &trailer), &trailer);
    out
}

fn push(out: &mut Vec<u8>, kind: u8, sum: u32, payload: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(payload);
}
