//! What verify says of a damaged log, and what repair makes of it.

use log::conformance::{expect, fill, payload};
use log::disk::{Disk, Faults, Simulated};
use log::{Embedded, Log, Lost, OpenError, ReadError, repair, verify};

use crate::damage::{SEGMENT, unsealed, write};
use crate::seeds;
use crate::world::{World, config};

/// A log of some sealed segments, with records of 1000 bytes in one shard.
fn sealed() -> Simulated {
    let disk = Simulated::new(1);
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    (0..100).for_each(|_| fill(&log, 0, 1, 1000));
    log.close().expect("it closes");
    disk
}

#[test]
fn nothing_is_said_of_a_log_that_is_whole() {
    let disk = sealed();
    let report = verify(&disk).expect("it verifies");
    assert_eq!((report.records, report.shards, report.damages), (100, vec![(0, 1, 100)], Vec::new()));
    let done = repair(&disk).expect("it repairs");
    assert_eq!((done.kept.len(), done.given_up.len(), done.rebuilt.len()), (0, 0, 0));
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 100, 1000);
    assert!(verify(&Simulated::new(3)).is_ok_and(|report| report == log::Report::default()));
}

#[test]
fn a_log_that_is_open_is_left_alone() {
    let disk = sealed();
    let _open = Embedded::open(disk.clone(), config()).expect("it opens");
    assert!(matches!(verify(&disk), Err(OpenError::Locked { .. })));
    assert!(matches!(repair(&disk), Err(OpenError::Locked { .. })));
}

/// A hole is named with what is lost; repair cuts there, keeps what it cuts off, and the log goes on.
#[test]
fn a_hole_is_cut_and_kept() {
    let disk = unsealed();
    disk.flip(SEGMENT, write(5) + 100, 3);
    let before = disk.content(SEGMENT).expect("it is there");
    let report = verify(&disk).expect("it verifies");
    assert_eq!(report.damages.len(), 1, "{report:?}");
    let damage = &report.damages[0];
    assert_eq!((damage.place.as_str(), damage.offset, damage.prevents_opening), (SEGMENT, write(5), true));
    assert_eq!(damage.lost, [Lost { shard: 0, from: 6, to: 6 }]);
    assert_eq!(report.records, 9);

    let done = repair(&disk).expect("it repairs");
    assert_eq!(done.given_up, [Lost { shard: 0, from: 6, to: 10 }]);
    assert_eq!(done.after.damages, []);
    let kept = disk.content(&done.kept[0]).expect("it is kept");
    assert_eq!(kept, before[write(5) as usize..]);
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    expect(&log, 0, 1, 5, 1000);
    fill(&log, 0, 3, 1000);
    drop(log);
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 8, 1000);
}

/// A record that is damaged in a sealed segment costs that record only.
#[test]
fn a_damaged_record_is_named_and_the_others_are_kept() {
    let disk = sealed();
    disk.flip(SEGMENT, write(4) + 200, 0);
    let report = verify(&disk).expect("it verifies");
    assert_eq!(report.damages.len(), 1, "{report:?}");
    let damage = &report.damages[0];
    assert_eq!(
        (damage.place.as_str(), damage.offset, damage.prevents_opening),
        (SEGMENT, write(4) + 24, false)
    );
    assert_eq!(damage.lost, [Lost { shard: 0, from: 5, to: 5 }]);

    let done = repair(&disk).expect("it repairs");
    assert_eq!((done.kept.len(), done.given_up.len()), (0, 0));
    let log = Embedded::open(disk, config()).expect("it opens");
    assert!(matches!(log.get(0, 5), Err(ReadError::Damaged { .. })));
    assert!(matches!(log.read(0, 5, 10_000), Err(ReadError::Damaged { .. })));
    assert_eq!(log.read(0, 3, 10_000).expect("up to the damage").len(), 2);
    assert_eq!(log.get(0, 6).expect("it is whole"), payload(0, 6, 1000));
}

/// A footer is written anew from the records.
#[test]
fn a_damaged_footer_is_rebuilt() {
    let disk = sealed();
    let content = disk.content(SEGMENT).expect("it is there");
    let records = (0..).find(|n| !content[write(*n) as usize..].starts_with(b"GRP1")).expect("it ends");
    // In the list of offsets, which comes after a table of one shard.
    disk.flip(SEGMENT, write(records) + 16 + 4 * 3, 2);
    let report = verify(&disk).expect("it verifies");
    assert_eq!(report.damages.len(), 1, "{report:?}");
    assert!(report.damages[0].lost.is_empty() && !report.damages[0].prevents_opening, "{report:?}");
    let done = repair(&disk).expect("it repairs");
    assert_eq!(done.rebuilt, [SEGMENT]);
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 100, 1000);
}

/// A head that is lost is made anew.
#[test]
fn a_lost_head_is_rebuilt() {
    let disk = sealed();
    disk.remove("head").expect("it is there");
    assert!(verify(&disk).expect("it verifies").damages[0].prevents_opening);
    let done = repair(&disk).expect("it repairs");
    assert_eq!((done.rebuilt.as_slice(), done.given_up.len()), (&["head".to_owned()][..], 0));
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 100, 1000);
}

/// What comes after a segment that is missing is put aside.
#[test]
fn a_missing_segment_ends_the_log() {
    let disk = sealed();
    disk.remove("000000000002.segment").expect("it is there");
    let report = verify(&disk).expect("it verifies");
    assert_eq!(report.damages.len(), 1, "{report:?}");
    assert_eq!(report.damages[0].place, "000000000003.segment");
    let lost = report.damages[0].lost[0];
    let done = repair(&disk).expect("it repairs");
    assert_eq!(done.given_up, [Lost { shard: 0, from: lost.from, to: 100 }]);
    assert!(done.kept.iter().all(|name| disk.content(name).is_some()));
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, lost.from - 1, 1000);
}

/// Whatever bits flip, the log opens after a repair, and what is read then is what was appended.
#[test]
fn every_repaired_log_opens() {
    for seed in seeds(150) {
        let mut world = World::new(seed, Faults::default());
        world.open();
        (0..20).for_each(|_| world.append());
        let disk = world.simulated().clone();
        let appended = world.close(seed % 2 == 0);
        for round in 0..1 + seed % 4 {
            // Headers are hit seldom, being small.
            let names = disk.list().expect("it lists");
            let segments: Vec<_> = names.iter().filter(|name| name.ends_with(".segment")).collect();
            match (seed + round) % 5 {
                0 => disk.flip(segments[seed as usize % segments.len()], seed % 40, 1),
                1 => disk.remove(segments[seed as usize % segments.len()]).expect("it is there"),
                _ => drop(disk.flip_any()),
            }
        }
        let done = repair(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(!done.after.damages.iter().any(|damage| damage.prevents_opening), "seed {seed}: {done:?}");
        let log =
            Embedded::open(disk, config()).unwrap_or_else(|error| panic!("seed {seed}: {error} {done:?}"));
        for (shard, records) in (0..).zip(&appended) {
            assert!(log.last(shard) <= records.len() as u64, "seed {seed}");
            for sequence in log.first(shard)..=log.last(shard) {
                match log.get(shard, sequence) {
                    Ok(bytes) => assert_eq!(bytes, records[sequence as usize - 1], "seed {seed}"),
                    Err(ReadError::Damaged { .. }) => {}
                    Err(error) => panic!("seed {seed}: {shard}/{sequence}: {error}"),
                }
            }
        }
    }
}
