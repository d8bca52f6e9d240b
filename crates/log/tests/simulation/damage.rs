//! Bits that flip: a record is read as it was appended or not at all, and what was acknowledged is never lost silently.

use bytes::Bytes;
use log::conformance::{expect, fill};
use log::disk::{Disk, Faults, Simulated};
use log::{Embedded, Log, OpenError, ReadError};

use crate::seeds;
use crate::world::{World, config};

/// Whatever bit flips of a log that was closed, nothing is read that was not appended, and no sequence is missing.
#[test]
fn a_flipped_bit_is_noticed() {
    let mut damaged = 0;
    for seed in seeds(200) {
        let mut world = World::new(seed, Faults::default());
        world.open();
        (0..30).for_each(|_| world.append());
        let disk = world.simulated().clone();
        let appended = world.close(true);
        let flipped = disk.flip_any();
        match Embedded::open(disk, config()) {
            Err(OpenError::Damaged { place, .. }) => {
                assert_eq!(Some(place), flipped.map(|(name, _)| name), "seed {seed}");
            }
            Err(error) => panic!("seed {seed}: {flipped:?}: {error}"),
            Ok(log) => damaged += look(seed, &log, &appended),
        }
    }
    assert!(damaged > 0);
}

/// Everything is there or known to be damaged; how much is.
fn look<D: Disk>(seed: u64, log: &Embedded<D>, appended: &[Vec<Bytes>]) -> usize {
    let mut damaged = 0;
    for (shard, records) in (0..).zip(appended) {
        assert_eq!(log.last(shard), records.len() as u64, "seed {seed}: shard {shard}");
        for (sequence, record) in (1..).zip(records) {
            match log.get(shard, sequence) {
                Ok(bytes) => assert_eq!(bytes, *record, "seed {seed}: {shard}/{sequence}"),
                Err(ReadError::Damaged { .. }) => damaged += 1,
                Err(error) => panic!("seed {seed}: {shard}/{sequence}: {error}"),
            }
        }
    }
    damaged
}

/// A log of one segment that is not sealed, with ten writes of 1000 bytes in it.
pub fn unsealed() -> Simulated {
    let disk = Simulated::new(1);
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    (0..10).for_each(|_| fill(&log, 0, 1, 1000));
    drop(log);
    disk
}

pub const SEGMENT: &str = "000000000001.segment";
/// Where the nth write begins: after the segment's header; each takes its header, the record's, and the payload.
pub const fn write(n: u64) -> u64 {
    4096 + n * (24 + 20 + 1000_u64).next_multiple_of(8)
}

/// What had been synced before something else was written is not cut off: that is refused, and says where and what to do.
#[test]
fn a_hole_in_the_middle_is_refused() {
    for within in [0, 5, 12, 20, 24, 30, 40, 500] {
        let disk = unsealed();
        disk.flip(SEGMENT, write(5) + within, 3);
        let error = Embedded::open(disk, config()).expect_err("there is a hole");
        assert!(
            matches!(&error, OpenError::Damaged { place, offset, .. } if place == SEGMENT && *offset == write(5)),
            "{error}"
        );
        assert!(error.to_string().contains("colony data repair"), "{error}");
    }
}

/// The last write, which may never have been acknowledged, is cut off, and that is told.
#[test]
fn a_torn_tail_is_cut() {
    let disk = unsealed();
    disk.flip(SEGMENT, write(9) + 300, 3);
    let log = Embedded::open(disk.clone(), config()).expect("only the tail is torn");
    expect(&log, 0, 1, 9, 1000);
    assert_eq!(log.recovery().cut.len(), 1);
    assert_eq!((log.recovery().cut[0].place.as_str(), log.recovery().cut[0].offset), (SEGMENT, write(9)));
    fill(&log, 0, 5, 1000);
    drop(log);
    let log = Embedded::open(disk, config()).expect("it opens");
    expect(&log, 0, 1, 14, 1000);
    assert_eq!(log.recovery().cut, []);
}

/// After it was closed properly, even the last write is known to have been acknowledged.
#[test]
fn the_last_write_of_a_closed_log_is_not_cut() {
    let disk = Simulated::new(1);
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    fill(&log, 0, 3, 1000);
    log.close().expect("it closes");
    disk.flip(SEGMENT, write(0) + 2500, 0);
    let log = Embedded::open(disk, config()).expect("it opens");
    assert_eq!(log.last(0), 3);
    assert!(matches!(log.get(0, 3), Err(ReadError::Damaged { .. })));
}

/// A header or a head that is damaged, a segment of another log, and one that is missing: each is refused by name.
#[test]
fn what_does_not_belong_together_is_refused() {
    let disk = unsealed();
    disk.flip(SEGMENT, 13, 1);
    let refused = |disk: Simulated| match Embedded::open(disk, config()).expect_err("it is refused") {
        OpenError::Damaged { place, .. }
        | OpenError::Missing { place, .. }
        | OpenError::Version { place, .. } => place,
        error => panic!("{error}"),
    };
    assert_eq!(refused(disk), SEGMENT);

    let disk = unsealed();
    disk.flip("head", 20, 1);
    assert!(Embedded::open(disk.clone(), config()).is_ok(), "there is another copy");
    disk.end_process();
    disk.flip("head", (12 << 10) + 20, 1);
    assert_eq!(refused(disk), "head");

    let disk = unsealed();
    disk.remove("head").expect("it is there");
    assert_eq!(refused(disk), "head");

    let disk = unsealed();
    let other = Simulated::new(2);
    fill(&Embedded::open(other.clone(), config()).expect("it opens"), 0, 1, 10);
    disk.set_content("000000000002.segment", &other.content(SEGMENT).expect("it is there"));
    assert_eq!(refused(disk), "000000000002.segment");

    let disk = unsealed();
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    (0..100).for_each(|_| fill(&log, 0, 1, 1000));
    drop(log);
    disk.remove("000000000002.segment").expect("it is there");
    assert_eq!(refused(disk), "000000000003.segment");
}

/// Three segments of one write each or more, of which the one in the middle is all that there is of its shard.
pub fn apart() -> Simulated {
    let disk = Simulated::new(1);
    for (shard, count) in [(0, 3), (1, 2), (0, 1)] {
        let log = Embedded::open(disk.clone(), config()).expect("it opens");
        (0..count).for_each(|_| fill(&log, shard, 1, 1000));
        log.close().expect("it closes");
    }
    disk
}

/// No shard's sequences show that a segment is missing in which its last records were: the numbers of the writes do.
#[test]
fn a_missing_segment_is_noticed_whatever_was_in_it() {
    let disk = apart();
    let segments =
        || disk.list().expect("it can be listed").into_iter().filter(|name| name.ends_with(".segment"));
    let [first, middle, last] = segments().collect::<Vec<_>>().try_into().expect("there are three");
    disk.remove(&middle).expect("it is there");
    let error = Embedded::open(disk.clone(), config()).expect_err("there is a hole");
    assert!(
        matches!(&error, OpenError::Hole { before, behind, from: 4, to: 5 } if (before, behind) == (&first, &last)),
        "{error}"
    );
    assert!(error.to_string().contains("colony data repair"), "{error}");
}

/// What was trimmed needs nothing behind it: of segments that were given up, some may be there again after a loss of power.
#[test]
fn a_trimmed_segment_that_is_there_again_needs_none_behind_it() {
    let disk = apart();
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    let first = "000000000001.segment";
    let again = disk.content(first).expect("it is there");
    log.trim(0, 4).expect("it is trimmed");
    log.trim(1, 3).expect("it is trimmed");
    assert!(disk.content(first).is_none(), "it was given back");
    drop(log);
    disk.set_content(first, &again);
    let log = Embedded::open(disk, config()).expect("nothing is missing");
    assert_eq!((log.first(0), log.last(0), log.first(1), log.last(1)), (4, 4, 3, 2));
}

/// A disk that answers reads with errors: which file it was is told, at an opening and when something is read, nothing on the
/// disk is changed that cannot be gone on with, and all is there when it works again.
#[test]
fn a_disk_that_cannot_read_is_told_and_nothing_is_lost() {
    let (mut refused, mut unread) = (0, 0);
    for seed in seeds(100) {
        let mut world = World::new(seed, Faults::default());
        world.open();
        (0..30).for_each(|_| world.append());
        let disk = world.simulated().clone();
        let appended = world.close(seed % 2 == 0);
        for _ in 0..3 {
            disk.set_faults(Faults { read_fails_in: 20, ..Faults::default() });
            match Embedded::open(disk.clone(), config()) {
                Err(OpenError::Failed { what: "read" | "open" | "seal", place, error }) => {
                    assert!(place == "head" || place.ends_with(".segment"), "seed {seed}: {place}: {error}");
                    refused += 1;
                }
                Err(error) => panic!("seed {seed}: {error}"),
                Ok(log) => unread += read_some(seed, &log, &appended),
            }
            disk.end_process();
        }
        disk.set_faults(Faults::default());
        let log = Embedded::open(disk, config()).expect("the disk works again");
        assert_eq!(look(seed, &log, &appended), 0, "seed {seed}: nothing is damaged");
    }
    assert!(refused > 0 && unread > 0);
}

/// Everything is there or cannot be read at present, which names the file; how much that is.
fn read_some<D: Disk>(seed: u64, log: &Embedded<D>, appended: &[Vec<Bytes>]) -> usize {
    let mut unread = 0;
    for (shard, records) in (0..).zip(appended) {
        for (sequence, record) in (1..).zip(records) {
            match log.get(shard, sequence) {
                Ok(bytes) => assert_eq!(bytes, *record, "seed {seed}: {shard}/{sequence}"),
                Err(ReadError::Failed { place, .. }) if place.ends_with(".segment") => unread += 1,
                Err(error) => panic!("seed {seed}: {shard}/{sequence}: {error}"),
            }
        }
    }
    unread
}
