//! What verify says of a damaged log, and what repair makes of it.

use log::conformance::{expect, fill, payload};
use log::disk::{CopyOnWrite, Disk, Faults, Simulated};
use log::{Embedded, Log, Lost, OpenError, ReadError, repair, verify};

use crate::damage::{SEGMENT, apart, unsealed, write};
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
    let done = repair(&disk, &[]).expect("it repairs");
    assert_eq!((done.kept.len(), done.given_up.len(), done.rebuilt.len()), (0, 0, 0));
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 100, 1000);
    assert!(verify(&Simulated::new(3)).is_ok_and(|report| report == log::Report::default()));
}

#[test]
fn a_log_that_is_open_is_left_alone() {
    let disk = sealed();
    let _open = Embedded::open(disk.clone(), config()).expect("it opens");
    assert!(matches!(verify(&disk), Err(OpenError::Locked { .. })));
    assert!(matches!(repair(&disk, &[]), Err(OpenError::Locked { .. })));
}

/// A segment that is missing between others ends the log, since nobody can tell what was in it.
#[test]
fn a_missing_segment_is_told_and_ends_the_log() {
    let disk = apart();
    let mut segments =
        disk.list().expect("it can be listed").into_iter().filter(|name| name.ends_with(".segment"));
    let [_, middle, last] =
        [segments.next(), segments.next(), segments.next()].map(|name| name.expect("it is there"));
    disk.remove(&middle).expect("it is there");
    let report = verify(&disk).expect("it verifies");
    assert_eq!(report.damages.len(), 1, "{report:?}");
    let damage = &report.damages[0];
    assert_eq!((&damage.place, damage.offset, damage.prevents_opening), (&last, 0, true));
    assert!(damage.what.contains("writes 4 to 5 are missing"), "{}", damage.what);

    let done = repair(&disk, &[]).expect("it repairs");
    assert!(done.may_be_more, "which records were there nobody knows");
    assert_eq!(done.given_up, [Lost { shard: 0, from: 4, to: 4 }]);
    assert_eq!(done.after.damages, []);
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 3, 1000);
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

    let done = repair(&disk, &[]).expect("it repairs");
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

    let log = Embedded::open(disk, config()).expect("it opens");
    assert!(matches!(log.get(0, 5), Err(ReadError::Damaged { .. })));
    assert!(matches!(log.read(0, 5, 10_000), Err(ReadError::Damaged { .. })));
    assert_eq!(log.read(0, 3, 10_000).expect("up to the damage").len(), 2);
    assert_eq!(log.get(0, 6).expect("it is whole"), payload(0, 6, 1000));
}

/// A record that is damaged and has been applied is given up by itself; what was there is kept beside.
#[test]
fn a_damaged_record_that_was_applied_is_stepped_over() {
    let disk = sealed();
    let before = disk.content(SEGMENT).expect("it is there");
    disk.flip(SEGMENT, write(4) + 200, 0);
    let done = repair(&disk, &[5]).expect("it repairs");
    let lost = Lost { shard: 0, from: 5, to: 5 };
    assert_eq!((done.stepped_over.as_slice(), done.given_up.as_slice()), (&[lost][..], &[][..]));
    assert_eq!(disk.content(&done.kept[0]).expect("it is kept").len() as u64, write(5) - write(4));
    assert_eq!((done.after.damages.as_slice(), done.after.lost.as_slice()), (&[][..], &[lost][..]));
    let now = disk.content(SEGMENT).expect("it is there");
    assert_eq!(now[write(5) as usize..write(6) as usize], before[write(5) as usize..write(6) as usize]);
    is_stepped_over(disk.clone(), 5, 100);
    // Once more there is nothing to do.
    let again = repair(&disk, &[5]).expect("it repairs");
    assert_eq!((again.stepped_over.len(), again.kept.len(), again.rebuilt.len()), (0, 0, 0));
    // A state that has not applied it cannot do without it.
    let older = repair(&disk, &[4]).expect("it repairs");
    assert_eq!(older.given_up, [Lost { shard: 0, from: 5, to: 103 }]);
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 4, 1000);
}

/// A record of a complete segment that is needed, and all after it, for nobody knows what follows from it.
#[test]
fn a_damaged_record_that_was_not_applied_ends_the_log() {
    let disk = sealed();
    disk.flip(SEGMENT, write(4) + 200, 0);
    let done = repair(&disk, &[4]).expect("it repairs");
    assert_eq!(done.given_up, [Lost { shard: 0, from: 5, to: 100 }]);
    assert_eq!((done.stepped_over.len(), done.after.damages.len()), (0, 0));
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    expect(&log, 0, 1, 4, 1000);
    fill(&log, 0, 3, 1000);
    drop(log);
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 7, 1000);
}

/// In a segment that was not sealed yet the neighbours say what is lost, wherever the damage is: in the payload, the
/// record's length or the header of its group, for that which is left says where the next begins.
#[test]
fn a_hole_whose_records_were_applied_is_stepped_over() {
    for within in [24, 28, 40, 500] {
        let disk = unsealed();
        disk.flip(SEGMENT, write(5) + within, 3);
        let done = repair(&disk, &[6]).expect("it repairs");
        let lost = Lost { shard: 0, from: 6, to: 6 };
        assert_eq!((done.stepped_over, done.given_up), (vec![lost], vec![]), "{within}");
        assert_eq!((done.after.damages, done.after.lost), (vec![], vec![lost]), "{within}");
        is_stepped_over(disk, 6, 10);
    }
    for within in [0, 5, 12, 18, 20] {
        let disk = unsealed();
        disk.flip(SEGMENT, write(5) + within, 3);
        let done = repair(&disk, &[0]).expect("it repairs");
        assert_eq!((done.stepped_over, done.given_up), (vec![], vec![]), "the record is whole: {within}");
        assert_eq!(done.after.damages, [], "{within}");
        expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 10, 1000);
    }
}

/// What is `lost` is said to be, everything else up to `last` is there, and the log goes on.
fn is_stepped_over(disk: Simulated, lost: u64, last: u64) {
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    assert_eq!(log.last(0), last);
    assert!(matches!(log.get(0, lost), Err(ReadError::Lost { .. })));
    assert!(matches!(log.read(0, lost, 10_000), Err(ReadError::Lost { .. })));
    assert_eq!(log.read(0, lost - 2, 10_000).expect("up to it").len(), 2);
    for sequence in (1..=last).filter(|sequence| *sequence != lost) {
        assert_eq!(log.get(0, sequence).expect("it is whole"), payload(0, sequence, 1000));
    }
    fill(&log, 0, 3, 1000);
    drop(log);
    let log = Embedded::open(disk, config()).expect("it opens");
    assert_eq!(log.get(0, last + 3).expect("it is whole"), payload(0, last + 3, 1000));
    assert!(log.trim(0, lost + 1).is_ok() && matches!(log.get(0, lost), Err(ReadError::Trimmed { .. })));
}

/// Where a group's header is damaged and a record with it, nobody can tell whether another shard's last record was there.
#[test]
fn a_hole_of_which_is_not_known_what_was_in_it_ends_the_log() {
    let disk = unsealed();
    disk.flip(SEGMENT, write(5) + 17, 3);
    disk.flip(SEGMENT, write(5) + 100, 3);
    let done = repair(&disk, &[u64::MAX]).expect("it repairs");
    assert_eq!(done.given_up, [Lost { shard: 0, from: 6, to: 10 }]);
    assert!(done.may_be_more);
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 5, 1000);

    // A shard's last record, which no later one of it tells of.
    let disk = Simulated::new(1);
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    fill(&log, 0, 2, 1000);
    fill(&log, 1, 1, 1000);
    fill(&log, 0, 2, 1000);
    drop(log);
    let last_of_1 = (write(0) + 24 + 2 * 1020).next_multiple_of(8) + 24 + 300;
    disk.flip(SEGMENT, last_of_1, 3);
    let done = repair(&disk, &[u64::MAX; 2]).expect("it repairs");
    assert_eq!(done.stepped_over, []);
    let log = Embedded::open(disk, config()).expect("it opens");
    assert_eq!((log.last(0), log.last(1)), (2, 0));
}

/// A last group is known to have been acknowledged also if all that follows it in the next segment is damaged at its beginning.
#[test]
fn what_is_behind_a_damaged_group_is_seen_also_if_it_is_damaged() {
    let disk = Simulated::new(1);
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    (0..60).for_each(|_| fill(&log, 0, 1, 1000));
    drop(log);
    let names = disk.list().expect("listed");
    let mut segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".segment")).collect();
    segments.sort();
    let with_groups = |name: &str| {
        let content = disk.content(name).expect("it is there");
        (0..)
            .take_while(|n| content.get(write(*n) as usize..).is_some_and(|rest| rest.starts_with(b"GRP1")))
            .count()
    };
    segments.retain(|name| with_groups(name) > 0);
    let [.., before, last] = segments[..] else { panic!("{names:?}") };
    // The footer of the one before, its last group, and the first of the last.
    let content = disk.content(before).expect("it is there");
    disk.flip(before, content.len() as u64 - 64, 0);
    disk.flip(before, write(with_groups(before) as u64 - 1) + 100, 3);
    disk.flip(last, write(0) + 100, 3);
    let done = repair(&disk, &[60]).expect("it repairs");
    assert_eq!(done.stepped_over.iter().map(|lost| lost.to - lost.from + 1).sum::<u64>(), 2, "{done:?}");
    assert_eq!((done.given_up.as_slice(), done.after.damages.as_slice()), (&[][..], &[][..]));
    assert_eq!(Embedded::open(disk, config()).expect("it opens").last(0), 60);
}

/// What repair would do is found out on a disk that stays as it is.
#[test]
fn a_repair_can_be_tried() {
    let disk = unsealed();
    disk.flip(SEGMENT, write(5) + 100, 3);
    let names = disk.list().expect("listed");
    let before: Vec<_> = names.iter().map(|name| disk.content(name)).collect();
    let tried = CopyOnWrite::new(disk.clone());
    let would = repair(&tried, &[6]).expect("it repairs");
    is_the_same(&Embedded::open(tried, config()).expect("it opens"), 6, 10);
    assert_eq!(disk.list().expect("listed"), names);
    assert!(names.iter().zip(before).all(|(name, before)| disk.content(name) == before));
    disk.end_process();
    assert_eq!(repair(&disk, &[6]).expect("it repairs"), would);
}

fn is_the_same<D: Disk>(log: &Embedded<D>, lost: u64, last: u64) {
    for sequence in 1..=last {
        assert_eq!(log.get(0, sequence).is_ok(), sequence != lost);
    }
}

/// Looking tells what a start cuts off, and leaves it there.
#[test]
fn a_torn_tail_is_told_and_left() {
    let disk = unsealed();
    disk.flip(SEGMENT, write(9) + 300, 3);
    let before = disk.content(SEGMENT);
    let over = CopyOnWrite::new(disk.clone());
    let report = verify(&over).expect("it verifies");
    assert_eq!((report.records, report.damages.len()), (9, 0));
    let torn = &report.torn[0];
    assert_eq!((torn.place.as_str(), torn.offset, torn.bytes), (SEGMENT, write(9), write(1) - write(0)));
    let log = Embedded::open(over, config()).expect("it opens");
    assert_eq!(log.recovery().cut, report.torn);
    expect(&log, 0, 1, 9, 1000);
    drop(log);
    assert_eq!(disk.content(SEGMENT), before);
    assert_eq!(Embedded::open(disk.clone(), config()).expect("it opens").recovery().cut, report.torn);
    assert_ne!(disk.content(SEGMENT), before);
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
    let done = repair(&disk, &[]).expect("it repairs");
    assert_eq!(done.rebuilt, [SEGMENT]);
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, 100, 1000);
}

/// A head that is lost is made anew.
#[test]
fn a_lost_head_is_rebuilt() {
    let disk = sealed();
    disk.remove("head").expect("it is there");
    assert!(verify(&disk).expect("it verifies").damages[0].prevents_opening);
    let done = repair(&disk, &[]).expect("it repairs");
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
    let done = repair(&disk, &[]).expect("it repairs");
    assert_eq!(done.given_up, [Lost { shard: 0, from: lost.from, to: 100 }]);
    assert!(done.kept.iter().all(|name| disk.content(name).is_some()));
    expect(&Embedded::open(disk, config()).expect("it opens"), 0, 1, lost.from - 1, 1000);
}

/// Whatever bits flip, the log opens after a repair, what is read then is what was appended, and what had been applied
/// is the least that is left: what is given up is as many records as is said.
#[test]
fn every_repaired_log_opens() {
    let (mut stepped_over, mut cut) = (0, 0);
    for seed in seeds(300) {
        let mut world = World::new(seed, Faults::default());
        world.open();
        (0..20).for_each(|_| world.append());
        let disk = world.simulated().clone();
        let appended = world.close(seed % 2 == 0);
        let mut is_missing = false;
        for round in 0..1 + seed % 4 {
            // Headers are hit seldom, being small.
            let names = disk.list().expect("it lists");
            let segments: Vec<_> = names.iter().filter(|name| name.ends_with(".segment")).collect();
            match (seed + round) % 7 {
                0 => disk.flip(segments[seed as usize % segments.len()], seed % 40, 1),
                1 => {
                    is_missing = true;
                    disk.remove(segments[seed as usize % segments.len()]).expect("it is there");
                }
                _ => drop(disk.flip_any()),
            }
        }
        // Half of what there is has been applied, nothing, or all.
        let applied: Vec<u64> =
            appended.iter().map(|records| records.len() as u64 * (seed / 2 % 3) / 2).collect();
        let done = repair(&disk, &applied).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(done.after.damages, [], "seed {seed}: {done:?}");
        let log =
            Embedded::open(disk, config()).unwrap_or_else(|error| panic!("seed {seed}: {error} {done:?}"));
        let is_in = |all: &[Lost], shard, at| {
            all.iter().any(|lost| lost.shard == shard && (lost.from..=lost.to).contains(&at))
        };
        for (shard, records) in (0..).zip(&appended) {
            assert!(log.last(shard) <= records.len() as u64, "seed {seed}");
            for sequence in log.first(shard)..=log.last(shard) {
                match log.get(shard, sequence) {
                    Ok(bytes) => assert_eq!(bytes, records[sequence as usize - 1], "seed {seed}"),
                    Err(ReadError::Lost { .. }) => {
                        assert!(
                            sequence <= applied[shard as usize],
                            "seed {seed}: {shard}/{sequence}: {done:?}"
                        );
                        assert!(is_in(&done.stepped_over, shard, sequence), "seed {seed}: {done:?}");
                    }
                    Err(error) => panic!("seed {seed}: {shard}/{sequence}: {error}"),
                }
            }
            for sequence in log.last(shard) + 1..=records.len() as u64 {
                assert!(
                    is_missing
                        || done.may_be_more
                        || is_in(&done.given_up, shard, sequence)
                        || !done.before.torn.is_empty(),
                    "seed {seed}: {shard}/{sequence}: {done:?}"
                );
            }
        }
        stepped_over += done.stepped_over.len();
        cut += done.given_up.len();
    }
    assert!(stepped_over > 0 && cut > 0, "{stepped_over} {cut}");
}
