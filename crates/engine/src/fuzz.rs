//! What must hold of any bytes that may be given as a backup, for the fuzz target in `fuzz`: it panics if something does
//! not hold. The corpus that fuzzing has found is played by the tests.

use std::sync::Arc;

use bytes::Buf;
use log::Log;
use machine::Shards;

use crate::backup::{Part, Reader, Unreadable, fuzz::forge, restore};
use crate::replica;
use crate::store::Memory;

/// Bytes are refused or a backup. As frames, whose checksums fit as whoever forges them would make them, they are refused
/// and nothing is restored of them, or they are all restored and can be opened.
pub fn backup(bytes: &[u8]) {
    let _ = parts(bytes);
    let forged = forge(&frames(bytes));
    let (log, store) = (log::Memory::new(), Arc::new(Memory::new()));
    let restored = restore(forged.as_slice(), &log, store.as_ref(), &mut |_| {});
    let Ok(summary) = restored else {
        assert_eq!(log.last(0), 0, "the log of what was not restored has begun");
        return;
    };
    let parts = parts(&forged).expect("it was restored");
    let shards = Shards::new(summary.shards).expect("it was restored");
    let mut pairs = Vec::new();
    for shard in shards.all() {
        let opened = replica::open(shard, &log, &store).expect("what was restored can be opened");
        pairs.extend(replica::pairs(&opened.read().state));
    }
    let mut read = Vec::new();
    for part in parts {
        match part {
            Part::Shard(at) => assert!(log.last(at.shard.0) > at.sequence, "a sequence would be given again"),
            Part::Pairs(pairs) => read.extend(pairs),
            Part::End(end) => assert_eq!(end, summary),
        }
    }
    assert_eq!(pairs.len() as u64, summary.pairs);
    assert!(pairs == read, "what was restored is something else");
}

fn parts(bytes: &[u8]) -> Result<Vec<Part>, Unreadable> {
    let mut reader = Reader::new(bytes)?;
    let mut parts = Vec::new();
    while !matches!(parts.last(), Some(Part::End(_))) {
        parts.push(reader.part()?);
    }
    Ok(parts)
}

/// Frames, each with its kind in a byte and its length in two.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while bytes.len() >= 3 {
        let (kind, length) = (bytes.get_u8(), bytes.get_u16() as usize);
        let (payload, rest) = bytes.split_at(length.min(bytes.len()));
        frames.push((kind, payload));
        bytes = rest;
    }
    frames
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_found_holds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/backup");
        let mut played = 0;
        for entry in std::fs::read_dir(folder).expect("there is a corpus") {
            super::backup(&std::fs::read(entry.expect("it is listed").path()).expect("it is read"));
            played += 1;
        }
        assert!(played > 3);
    }
}
