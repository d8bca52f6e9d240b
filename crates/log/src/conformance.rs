//! What every [`Log`] must do, as stories: one suite, run against each implementation.
//!
//! A crate that implements `Log` says in its tests how one is opened, and gets a test for each story:
//!
//! ```text
//! struct Mine { /* a directory, a server, ... */ }
//! impl log::conformance::Subject for Mine { ... }
//! log::conformance_tests!(Mine::new());
//! ```

use bytes::Bytes;

use crate::{AppendError, Batch, BeginError, Log, ReadError, SEQUENCE_MAX, Sequence};

/// A place where a log is, and how one gets at it.
pub trait Subject {
    /// The log.
    type Log: Log;

    /// Opens the log; what an earlier one of this subject has appended is there.
    fn open(&self) -> Self::Log;

    /// The largest record that it takes, bytes.
    fn record_bytes_max(&self) -> usize;

    /// What must be appended, about, for `oldest` to have something to give back, bytes.
    fn oldest_bytes(&self) -> usize;
}

/// A batch of `records` for `shard`, after `last`.
pub fn batch(shard: u32, last: Sequence, records: impl IntoIterator<Item = impl Into<Bytes>>) -> Batch {
    Batch { shard, last, records: records.into_iter().map(Into::into).collect() }
}

/// What the record `sequence` of `shard` holds in these stories, `bytes` long: no two are alike.
pub fn payload(shard: u32, sequence: Sequence, bytes: usize) -> Bytes {
    let mut word = (u64::from(shard) << 40 ^ sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut payload = Vec::with_capacity(bytes + 8);
    while payload.len() < bytes {
        word = (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        payload.extend_from_slice(&word.to_le_bytes());
    }
    payload.truncate(bytes);
    payload.into()
}

/// Appends `count` records of `bytes` bytes to `shard`, all in one batch.
pub fn fill(log: &impl Log, shard: u32, count: u64, bytes: usize) {
    let last = log.last(shard);
    let records = (last + 1..=last + count).map(|sequence| payload(shard, sequence, bytes));
    for result in log.append(&[batch(shard, last, records)]) {
        result.unwrap_or_else(|error| panic!("{count} records after {last} of shard {shard}: {error}"));
    }
}

/// Every record of `shard` that is there is what [`fill`] has put there, none is missing up to `last`,
/// and each way of reading says the same.
pub fn expect(log: &impl Log, shard: u32, first: Sequence, last: Sequence, bytes: usize) {
    assert_eq!((log.first(shard), log.last(shard)), (first, last), "shard {shard}");
    let mut next = first;
    while next <= last {
        let records =
            log.read(shard, next, 10 * bytes).unwrap_or_else(|error| panic!("{shard}/{next}: {error}"));
        assert!(!records.is_empty(), "nothing at {shard}/{next}, the last is {last}");
        for record in records {
            assert_eq!(record.sequence, next, "shard {shard}");
            assert_eq!(record.bytes, payload(shard, next, bytes), "{shard}/{next}");
            let got = log.get(shard, next).unwrap_or_else(|error| panic!("{shard}/{next}: {error}"));
            assert_eq!(got, record.bytes, "{shard}/{next}");
            next += 1;
        }
    }
    assert_eq!(log.read(shard, last + 1, 1 << 20).map_err(|error| error.to_string()), Ok(Vec::new()));
}

/// A new log has nothing, and says so.
pub fn empty_at_first(subject: &impl Subject) {
    let log = subject.open();
    assert_eq!((log.first(3), log.last(3), log.oldest()), (1, 0, None));
    assert!(log.read(3, 1, 100).is_ok_and(|records| records.is_empty()));
    assert!(matches!(log.get(3, 1), Err(ReadError::NotYet { last: 0 })));
    assert!(matches!(log.get(3, 0), Err(ReadError::Trimmed { first: 1 })));
    assert!(log.append(&[]).is_empty());
}

/// What was appended is read as it was, in order, from any place on, and as many as were asked for.
pub fn reads_what_was_appended(subject: &impl Subject) {
    let log = subject.open();
    fill(&log, 0, 1, 100);
    fill(&log, 0, 49, 100);
    expect(&log, 0, 1, 50, 100);
    let sequences = |from, bytes_max| {
        let read = log.read(0, from, bytes_max).expect("it reads");
        read.iter().map(|record| record.sequence).collect::<Vec<_>>()
    };
    assert_eq!(sequences(10, 350), [10, 11, 12]);
    assert_eq!(sequences(10, 0), [10], "at least one");
    assert_eq!(sequences(49, 1 << 20), [49, 50]);
    assert_eq!(sequences(70, 1 << 20), [0; 0]);
}

/// Each shard has its own sequences, whatever is appended together.
pub fn shards_are_apart(subject: &impl Subject) {
    let log = subject.open();
    for round in 0..20u64 {
        let batches: Vec<Batch> = [5, 0, 2]
            .map(|shard| {
                let count = u64::from(shard) + 1;
                let last = round * count;
                batch(shard, last, (last + 1..=last + count).map(|next| payload(shard, next, 33)))
            })
            .into();
        assert!(log.append(&batches).iter().all(Result::is_ok));
    }
    for shard in [5, 0, 2] {
        expect(&log, shard, 1, 20 * (u64::from(shard) + 1), 33);
    }
    assert_eq!(log.last(1), 0);
}

/// Who does not know the last record appends nothing, and the others of the same call are not concerned.
pub fn only_the_tail_is_appended_to(subject: &impl Subject) {
    let log = subject.open();
    fill(&log, 1, 3, 10);
    for wrong in [0, 2, 4] {
        let results = log.append(&[
            batch(1, wrong, [payload(1, 99, 10)]),
            batch(2, log.last(2), [payload(2, log.last(2) + 1, 10)]),
        ]);
        assert!(matches!(results[0], Err(AppendError::NotTail { last: 3 })), "{:?}", results[0]);
        assert!(results[1].is_ok());
    }
    expect(&log, 1, 1, 3, 10);
    expect(&log, 2, 1, 3, 10);
}

/// A record that is too large is refused with its whole batch; the largest that is taken is taken.
pub fn large_records(subject: &impl Subject) {
    let log = subject.open();
    let max = subject.record_bytes_max();
    let results = log.append(&[
        batch(0, 0, [payload(0, 1, 5), payload(0, 2, max + 1), payload(0, 3, 5)]),
        batch(1, 0, [payload(1, 1, max)]),
    ]);
    assert!(
        matches!(&results[0], Err(AppendError::TooLarge { bytes, bytes_max }) if *bytes > max && *bytes_max >= max),
        "{:?}",
        results[0]
    );
    assert!(results[1].is_ok(), "{:?}", results[1]);
    assert_eq!(log.last(0), 0);
    expect(&log, 1, 1, 1, max);
}

/// Records may be empty, and so may batches.
pub fn empty_records(subject: &impl Subject) {
    let log = subject.open();
    assert!(log.append(&[batch(0, 0, [Bytes::new(), Bytes::new()])])[0].is_ok());
    assert!(log.append(&[batch(0, 2, Vec::<Bytes>::new())])[0].is_ok());
    assert!(matches!(
        log.append(&[batch(0, 1, Vec::<Bytes>::new())])[0],
        Err(AppendError::NotTail { last: 2 })
    ));
    drop(log);
    expect(&subject.open(), 0, 1, 2, 0);
}

/// What was acknowledged is there after closing and opening, and is appended to where it ended.
pub fn reopened(subject: &impl Subject) {
    for round in 0..5 {
        let log = subject.open();
        expect(&log, 4, 1, round * 10, 200);
        fill(&log, 4, 10, 200);
        fill(&log, 6, 1, 50);
    }
    let log = subject.open();
    expect(&log, 4, 1, 50, 200);
    expect(&log, 6, 1, 5, 50);
}

/// What is trimmed is gone, what is not is there, and a shard that was trimmed to its end goes on where it ended.
pub fn trimmed(subject: &impl Subject) {
    let log = subject.open();
    fill(&log, 0, 30, 100);
    fill(&log, 1, 30, 100);
    log.trim(0, 0).expect("it trims");
    log.trim(0, 11).expect("it trims");
    log.trim(0, 5).expect("it trims");
    expect(&log, 0, 11, 30, 100);
    assert!(matches!(log.read(0, 10, 1), Err(ReadError::Trimmed { first: 11 })));
    assert!(matches!(log.get(0, 10), Err(ReadError::Trimmed { first: 11 })));
    expect(&log, 1, 1, 30, 100);
    log.trim(0, 1000).expect("it trims");
    log.trim(9, 1000).expect("it trims");
    assert_eq!((log.first(0), log.last(0), log.first(9), log.last(9)), (31, 30, 1, 0));
    fill(&log, 0, 1, 100);
    expect(&log, 0, 31, 31, 100);
}

/// Trimming what `oldest` names gives storage back, again and again, and takes nothing else.
pub fn storage_is_given_back(subject: &impl Subject) {
    let log = subject.open();
    let record = (subject.oldest_bytes() / 100).clamp(10, subject.record_bytes_max());
    let mut rounds = 0;
    let mut given_back = 0;
    while given_back < 5 {
        rounds += 1;
        assert!(rounds < 2_000, "nothing to give back after {} bytes", log.bytes());
        fill(&log, 0, 3, record);
        fill(&log, rounds % 4 + 1, 2, record);
        let Some(oldest) = log.oldest() else { continue };
        assert!(oldest.bytes > 0 && !oldest.up_to.is_empty(), "{oldest:?}");
        let before = log.bytes();
        for (shard, up_to) in &oldest.up_to {
            assert!(*up_to >= log.first(*shard) && *up_to <= log.last(*shard), "{oldest:?}");
            log.trim(*shard, up_to + 1).expect("it trims");
        }
        assert!(log.bytes() < before, "{} of {before} bytes after {oldest:?}", log.bytes());
        given_back += 1;
    }
    let ends: Vec<_> = (0..5).map(|shard| (log.first(shard), log.last(shard))).collect();
    assert!(ends[0].0 > 1, "{ends:?}");
    for (shard, (first, last)) in (0..).zip(&ends) {
        expect(&log, shard, *first, *last, record);
    }
    drop(log);
    let log = subject.open();
    for (shard, (first, last)) in (0..).zip(&ends) {
        assert_eq!(log.last(shard), *last);
        // What was trimmed may be back, but nothing that was not is gone.
        assert!(log.first(shard) <= *first);
        expect(&log, shard, log.first(shard), *last, record);
    }
}

/// A shard of which nothing is left goes on where it ended, after opening, too.
pub fn trimmed_to_its_end_and_reopened(subject: &impl Subject) {
    let log = subject.open();
    let record = (subject.oldest_bytes() / 20).clamp(10, subject.record_bytes_max());
    (0..12).for_each(|_| fill(&log, 7, 1, record));
    for _ in 0..200 {
        fill(&log, 0, 1, record);
        log.trim(0, u64::MAX).expect("it trims");
        log.trim(7, u64::MAX).expect("it trims");
    }
    drop(log);
    let log = subject.open();
    assert_eq!((log.last(7), log.last(0)), (12, 200));
    fill(&log, 7, 1, record);
    assert_eq!(log.get(7, 13).ok(), Some(payload(7, 13, record)));
}

/// Shards begin where they are told to and go on from there, after opening, too; what is before was trimmed, as it were.
pub fn begins_where_it_is_told(subject: &impl Subject) {
    let log = subject.open();
    let far = 1 << 33;
    log.begin(&[(2, 1000), (0, 1), (5, far)]).expect("they begin");
    assert_eq!(
        [0, 2, 5].map(|shard| (log.first(shard), log.last(shard))),
        [(1, 0), (1000, 999), (far, far - 1)]
    );
    assert!(matches!(log.get(2, 999), Err(ReadError::Trimmed { first: 1000 })));
    assert!(matches!(log.get(2, 1000), Err(ReadError::NotYet { last: 999 })));
    assert!(matches!(
        log.append(&[batch(2, 0, [payload(2, 1, 10)])])[0],
        Err(AppendError::NotTail { last: 999 })
    ));
    drop(log);
    let log = subject.open();
    expect(&log, 5, far, far - 1, 100);
    for round in 0..3 {
        fill(&log, 2, 10, 100);
        fill(&log, 5, 10, 100);
        fill(&log, 7, 1, 100);
        assert_eq!(log.last(2), 1009 + 10 * round);
    }
    drop(log);
    let log = subject.open();
    expect(&log, 2, 1000, 1029, 100);
    expect(&log, 5, far, far + 29, 100);
    expect(&log, 7, 1, 3, 100);
    log.trim(2, 1011).expect("it trims");
    expect(&log, 2, 1011, 1029, 100);
}

/// Where a shard begins is settled once: what ever had a record, or begins elsewhere already, keeps its place, and so do
/// all that were named with it.
pub fn begins_once(subject: &impl Subject) {
    let log = subject.open();
    fill(&log, 1, 3, 10);
    fill(&log, 2, 1, 10);
    log.trim(2, 100).expect("it trims");
    log.begin(&[(3, 50)]).expect("it begins");
    for shard in [1, 2, 3] {
        let refused = log.begin(&[(4, 10), (shard, 100)]);
        assert!(matches!(refused, Err(BeginError::NotNew { shard: its }) if its == shard), "{refused:?}");
    }
    for first in [0, SEQUENCE_MAX] {
        let refused = log.begin(&[(4, 10), (5, first)]);
        assert!(matches!(refused, Err(BeginError::Beyond { first: its }) if its == first), "{refused:?}");
    }
    let ends = |log: &_| [1, 2, 3, 4, 5].map(|shard| Log::last(log, shard));
    assert_eq!(ends(&log), [3, 1, 49, 0, 0]);
    drop(log);
    assert_eq!(ends(&subject.open()), [3, 1, 49, 0, 0]);
}

/// Reading goes on while another thread appends and trims, and sees only what is there.
pub fn read_while_appending(subject: &impl Subject) {
    let log = subject.open();
    let record = (subject.oldest_bytes() / 50).clamp(10, 1000);
    std::thread::scope(|scope| {
        let log = &log;
        let writer = scope.spawn(move || {
            for round in 0..300 {
                fill(log, 0, 2, record);
                fill(log, 1, 1, record);
                if round % 10 == 9 {
                    log.trim(0, log.last(0).saturating_sub(20)).expect("it trims");
                }
            }
        });
        while !writer.is_finished() {
            let first = log.first(0);
            match log.read(0, first, 20 * record) {
                Ok(records) => {
                    for (sequence, read) in (first..).zip(records) {
                        assert_eq!((read.sequence, read.bytes), (sequence, payload(0, sequence, record)));
                    }
                }
                Err(ReadError::Trimmed { first: now }) => assert!(now > first),
                Err(error) => panic!("{error}"),
            }
            let last = log.last(1);
            if last > 0 {
                assert_eq!(log.get(1, last / 2 + 1).ok(), Some(payload(1, last / 2 + 1, record)));
            }
        }
    });
    expect(&log, 1, 1, 300, record);
}

/// A test for each story of the suite, against the [`Subject`] that the expression makes.
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests!(@ $subject;
            empty_at_first reads_what_was_appended shards_are_apart only_the_tail_is_appended_to large_records
            empty_records reopened trimmed storage_is_given_back trimmed_to_its_end_and_reopened
            begins_where_it_is_told begins_once read_while_appending
        );
    };
    (@ $subject:expr; $($story:ident)*) => {
        $(
            #[test]
            fn $story() {
                $crate::conformance::$story(&$subject);
            }
        )*
    };
}
