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
