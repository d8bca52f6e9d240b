//! What must hold of a log's directory, whatever is in its files, for the fuzz target in `fuzz`.
//!
//! Checksums keep a fuzzer from ever getting anywhere. So the input is read as changes to a log that was whole:
//! each is a place and what is written there, and whether the checksum that covers the place is made to fit again, as one who knows
//! the format could. What is only damaged is noticed; what is forged may say anything, and does no harm but that.

use bytes::Bytes;

use crate::conformance::{fill, payload};
use crate::disk::{Disk, Simulated};
use crate::format::{Forgery, segment_number};
use crate::{Config, Embedded, Log, OpenError, ReadError, Upkeep, repair, verify};

/// Opens, reads, verifies and repairs a log that was changed as `bytes` say: nothing panics, what was only damaged is
/// never read as something else, and a log that was repaired opens.
pub fn log(bytes: &[u8]) {
    let disk = original();
    let is_forged = change(&disk, bytes);
    // Twice: as it is, and as repair leaves it.
    let _ = use_it(&disk, is_forged);
    let reported = verify(&disk);
    // What has been applied is stepped over: all in one of two inputs, else nothing.
    let applied = if bytes.len() % 8 < 4 { [u64::MAX; 3] } else { [0; 3] };
    let repaired = repair(&disk, &applied);
    if let (Err(OpenError::Version { .. }), _) | (_, Err(OpenError::Version { .. })) = (&reported, &repaired)
    {
        return;
    }
    let Ok(repaired) = repaired else {
        assert!(is_forged, "cannot be repaired: {repaired:?}");
        return;
    };
    let opened = use_it(&disk, is_forged);
    assert!(opened || is_forged, "was repaired and does not open: {repaired:?}");
}

/// A log of a few segments, sealed and not, with two shards and something trimmed.
fn original() -> Simulated {
    let disk = Simulated::new(1);
    let Ok(log) = Embedded::open(disk.clone(), config()) else { return disk };
    (0..20).for_each(|_| fill(&log, 0, 1, BYTES));
    fill(&log, 1, 3, BYTES);
    let _ = log.trim(0, 3);
    let _ = log.close();
    if let Ok(log) = Embedded::open(disk.clone(), config()) {
        (0..3).for_each(|_| fill(&log, 0, 2, BYTES));
    }
    disk.end_process();
    disk
}

/// Makes the changes that `bytes` say: 8 bytes each. Whether any of them is forged.
fn change(disk: &Simulated, bytes: &[u8]) -> bool {
    let mut names = disk.list().unwrap_or_default();
    names.retain(|name| name != "lock");
    let mut is_forged = false;
    let (changes, _) = bytes.as_chunks::<8>();
    for change in changes.iter().take(CHANGES_MAX) {
        let [file, how, at_low, at_high, value @ ..] = *change;
        let Some(name) = names.get(usize::from(file) % names.len().max(1)) else { return is_forged };
        let Some(mut content) = disk.content(name) else { continue };
        let mut at = usize::from(u16::from_le_bytes([at_low, at_high]));
        // Near the end lies the trailer, which is to be found as easily as the beginning.
        if how & 2 != 0 {
            at = content.len().saturating_sub(at % 512);
        }
        let length = 1 + usize::from(how >> 2) % 4;
        let Some(place) = content.get_mut(at..).and_then(|rest| rest.get_mut(..length)) else { continue };
        place.copy_from_slice(&value[..length]);
        if how & 1 != 0 {
            let number = segment_number(name);
            is_forged |= Forgery { is_segment: number.is_some() }.mend(&mut content, at);
        }
        disk.set_content(name, &content);
    }
    is_forged
}

/// Whether it opens. Reads all that is there then, and appends.
fn use_it(disk: &Simulated, is_forged: bool) -> bool {
    let Ok(log) = Embedded::open(disk.clone(), config()) else {
        disk.end_process();
        return false;
    };
    for shard in 0..3 {
        let (first, last) = (log.first(shard), log.last(shard));
        for sequence in (first..=last).take(READS_MAX) {
            let read = log.get(shard, sequence);
            let together = log.read(shard, sequence, 10_000);
            assert_eq!(read.is_ok(), together.is_ok(), "{shard}/{sequence}: {read:?} {together:?}");
            match read {
                Ok(bytes) => assert!(is_forged || is_original(&bytes, shard, sequence), "{shard}/{sequence}"),
                Err(ReadError::Damaged { .. } | ReadError::Lost { .. }) => {}
                Err(error) => assert!(is_forged, "{shard}/{sequence}: {error}"),
            }
        }
        assert!(is_forged || last <= LAST_MAX, "shard {shard} ends at {last}");
    }
    let _ = log.oldest();
    let _ = log.trim(0, log.last(0) / 2);
    true
}

fn is_original(bytes: &Bytes, shard: u32, sequence: u64) -> bool {
    *bytes == payload(shard, sequence, BYTES)
}

fn config() -> Config {
    Config {
        segment_bytes: 16 << 10,
        record_bytes_max: 2 << 10,
        cache_bytes: 0,
        upkeep: Upkeep::Inline,
        ..Config::default()
    }
}

const BYTES: usize = 900;
const LAST_MAX: u64 = 26;
const CHANGES_MAX: usize = 64;
const READS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    //! Plays what fuzzing has found.

    #[test]
    fn corpus() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/log");
        let mut played = 0;
        for entry in std::fs::read_dir(folder).expect("there is a corpus") {
            super::log(&std::fs::read(entry.expect("it is listed").path()).expect("it is read"));
            played += 1;
        }
        assert!(played > 3);
    }
}
