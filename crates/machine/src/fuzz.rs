//! What must hold of any bytes that a log may give back, for the fuzz targets in `fuzz`: each function takes
//! bytes and panics if something does not hold. The corpus that fuzzing has found is played by the tests.

use bytes::{Buf, Bytes, BytesMut};

use crate::entry::{self, Entry};
use crate::limits::BODY_BYTES_MAX;
use crate::memory::Memory;
use crate::placement::Shard;
use crate::time::Time;
use crate::timer::Fire;

/// An entry is refused or read, and what was read is written as bytes that are read as the same.
pub fn entry(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let time = entry::time(&bytes);
    let bodies: Vec<_> = (0..4).map(|index| entry::body(bytes.clone(), index)).collect();
    let Ok(read) = Entry::decode(bytes) else { return };
    assert_eq!(time, Ok(read.time));
    for (index, body) in bodies.iter().enumerate() {
        assert_eq!(body.as_ref().ok(), read.bodies.get(index), "payload {index} differs by who reads it");
    }
    let written = written(&read);
    assert_eq!(written.len(), read.encoded_len());
    let again = Entry::decode(written.clone()).expect("what was written can be read");
    assert_eq!(self::written(&again), written);
}

/// Entries, each after its length in two bytes, that get into a log are applied: without a panic, and when they
/// are applied anew the same comes of it. One that is refused has written nothing.
pub fn machine(mut bytes: &[u8]) {
    let mut log: Vec<Entry> = Vec::new();
    let mut state = Memory::new();
    while bytes.len() >= 2 && log.len() < ENTRIES_MAX {
        let length = bytes.get_u16() as usize;
        let (entry, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        let Ok(mut entry) = Entry::decode(Bytes::copy_from_slice(entry)) else { continue };
        if entry.check(BODY_BYTES_MAX).is_err() {
            continue;
        }
        let last = log.last().map_or(Time::ZERO, |last| last.time);
        // What the leader does, but that a few milliseconds pass with each entry.
        entry.time = last.after(entry.time.as_millis() % 64);
        for entry in [entry.clone(), Entry { time: entry.time, ..Entry::new(Fire {}) }] {
            let before = state.clone();
            let outcome = apply(&mut state, log.len(), &entry);
            assert!(
                outcome || entry.idempotency.is_some() || state == before,
                "a refused command has written"
            );
            log.push(entry);
        }
    }
    let mut again = Memory::new();
    for (index, entry) in log.iter().enumerate() {
        apply(&mut again, index, entry);
    }
    assert!(again == state, "another state came of the same entries");
}

fn apply(state: &mut Memory, index: usize, entry: &Entry) -> bool {
    crate::apply(state, Shard(0), index as u64 + 1, entry, &mut Vec::new()).is_ok()
}

fn written(entry: &Entry) -> Bytes {
    let mut buffer = BytesMut::new();
    entry.encode(&mut buffer);
    buffer.freeze()
}

const ENTRIES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    /// Plays what is kept of a target.
    fn play(target: &str, check: fn(&[u8])) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut played = 0;
        #[allow(clippy::disallowed_methods, reason = "the corpus is in files")]
        for entry in std::fs::read_dir(&folder).expect("a corpus").flatten() {
            check(&std::fs::read(entry.path()).expect("a file"));
            played += 1;
        }
        assert!(played > 0, "nothing is kept in {}", folder.display());
    }

    #[test]
    fn what_fuzzing_found_holds() {
        play("entry", super::entry);
        play("machine", super::machine);
    }
}
