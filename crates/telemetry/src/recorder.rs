//! How what was recorded comes from those who must not wait to the one who keeps it.
//!
//! A [`Recorder`] hands over and goes on: it never waits, and what there is no room for is dropped and counted. The one who
//! keeps it takes from the [`Inbox`] every now and then, a lot at a time: nobody sleeps on it, so handing over wakes nobody.
//! Room is bounded by number and, for spans may be large that somebody else has made, by bytes.
//!
//! Who records thousands a second hands over something [`Compact`], which becomes spans where it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::share::{SPANS_PER_SECOND_MAX, Share};
use crate::span::{LogRecord, Span};

/// Something that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A span, boxed for the room that it takes in the inbox.
    Span(Box<Span>),
    /// A record of a log.
    Log(Box<LogRecord>),
}

impl Record {
    /// Roughly what it takes in memory, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Record::Span(span) => span.bytes(),
            Record::Log(log) => log.bytes(),
        }
    }
}

/// What becomes spans only when it is taken, by who has the time.
pub trait Compact: Send {
    /// How many they will be.
    fn spans(&self) -> u64;

    /// The spans, added to `spans`.
    fn unfold(self: Box<Self>, spans: &mut Vec<Span>);
}

/// Most bytes of records that are on their way from one [`Recorder`] and its clones. Those that are compact count by number only.
pub const BYTES_MAX: usize = 32 << 20;

/// What is on its way.
enum Parcel {
    /// With the bytes that it takes.
    Record(Record, usize),
    Compact(Box<dyn Compact>),
}

/// Where spans and records of logs are handed over; cheap to clone, one a thread.
#[derive(Clone, Debug)]
pub struct Recorder {
    inbox: SyncSender<Parcel>,
    common: Arc<Common>,
}

/// Why something was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotTaken {
    /// There is no room; it is counted.
    Full,
    /// Who kept it is gone: at the end of the node, when nobody misses it.
    Gone,
}

/// Where they are taken.
#[derive(Debug)]
pub struct Inbox {
    records: Receiver<Parcel>,
    common: Arc<Common>,
}

/// What both ends know.
#[derive(Debug)]
struct Common {
    /// How many bytes of records are on their way.
    bytes: AtomicUsize,
    dropped: AtomicU64,
    /// Whether nobody takes anything any more.
    is_over: AtomicBool,
    share: Share,
}

/// Both ends, with room for so many records in between.
pub fn channel(room: usize) -> (Recorder, Inbox) {
    let (inbox, records) = sync_channel(room);
    let common = Arc::new(Common {
        bytes: AtomicUsize::new(0),
        dropped: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        share: Share::new(SPANS_PER_SECOND_MAX),
    });
    (Recorder { inbox, common: common.clone() }, Inbox { records, common })
}

impl Recorder {
    /// Hands a span over, cut to size; or drops and counts it. Whether there was room.
    pub fn span(&self, mut span: Span) -> bool {
        span.bound();
        self.record(Record::Span(Box::new(span))).is_ok()
    }

    /// Hands a record of a log over, cut to size; or drops and counts it. Whether there was room.
    pub fn log(&self, mut log: LogRecord) -> bool {
        log.bound();
        self.record(Record::Log(Box::new(log))).is_ok()
    }

    /// Hands over what is bounded already; dropped and counted here, too. Whether there is anybody to take it.
    pub(crate) fn give(&self, record: Record) -> bool {
        self.record(record) != Err(NotTaken::Gone)
    }

    /// Hands over what will be spans, or drops and counts it. Whether there was room.
    pub fn compact(&self, compact: Box<dyn Compact>) -> bool {
        let spans = compact.spans();
        self.hand_over(Parcel::Compact(compact), spans).is_ok()
    }

    /// Which traces are recorded if there are too many.
    pub fn share(&self) -> &Share {
        &self.common.share
    }

    fn record(&self, record: Record) -> Result<(), NotTaken> {
        let bytes = record.bytes();
        let room = |held: usize| held.checked_add(bytes).filter(|held| *held <= BYTES_MAX);
        if self.common.bytes.fetch_update(Relaxed, Relaxed, room).is_err() {
            return Err(self.not_taken(1));
        }
        let handed = self.hand_over(Parcel::Record(record, bytes), 1);
        if handed.is_err() {
            self.common.bytes.fetch_sub(bytes, Relaxed);
        }
        handed
    }

    fn hand_over(&self, parcel: Parcel, spans: u64) -> Result<(), NotTaken> {
        self.inbox.try_send(parcel).map_err(|_| self.not_taken(spans))
    }

    fn not_taken(&self, spans: u64) -> NotTaken {
        if self.common.is_over.load(Relaxed) {
            return NotTaken::Gone;
        }
        self.common.dropped.fetch_add(spans, Relaxed);
        NotTaken::Full
    }
}

impl Inbox {
    /// What has been handed over, at most `most` times; does not wait. What comes of one time stays together.
    pub fn take(&self, most: usize) -> impl Iterator<Item = Record> {
        self.records.try_iter().take(most).flat_map(|parcel| {
            if let Parcel::Record(_, bytes) = &parcel {
                self.common.bytes.fetch_sub(*bytes, Relaxed);
            }
            parcel.open()
        })
    }

    /// How many were dropped for want of room since the start.
    pub fn dropped(&self) -> u64 {
        self.common.dropped.load(Relaxed)
    }

    /// How many spans were left out since the start, for there were too many.
    pub fn left_out(&self) -> u64 {
        self.common.share.total_left_out()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.common.is_over.store(true, Relaxed);
    }
}

impl Parcel {
    fn open(self) -> impl Iterator<Item = Record> {
        let (one, mut spans) = match self {
            Parcel::Record(record, _) => (Some(record), Vec::new()),
            Parcel::Compact(compact) => {
                let mut spans = Vec::with_capacity(compact.spans() as usize);
                compact.unfold(&mut spans);
                (None, spans)
            }
        };
        spans.iter_mut().for_each(Span::bound);
        one.into_iter().chain(spans.into_iter().map(|span| Record::Span(Box::new(span))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    #[test]
    fn what_is_handed_over_is_taken_in_order() {
        let (recorder, inbox) = channel(8);
        for n in 1..=3 {
            recorder.span(Span { start_ns: n, ..span() });
        }
        let starts = |taken: Vec<Record>| {
            let start = |record| if let Record::Span(span) = record { span.start_ns } else { 0 };
            taken.into_iter().map(start).collect::<Vec<_>>()
        };
        assert_eq!(starts(inbox.take(2).collect()), [1, 2]);
        assert_eq!(starts(inbox.take(2).collect()), [3]);
    }

    struct Several(u64);

    impl Compact for Several {
        fn spans(&self) -> u64 {
            self.0
        }

        fn unfold(self: Box<Self>, spans: &mut Vec<Span>) {
            spans.extend((0..self.0).map(|n| Span { start_ns: n, ..span() }));
        }
    }

    #[test]
    fn what_is_compact_becomes_spans_where_it_is_taken() {
        let (recorder, inbox) = channel(2);
        recorder.compact(Box::new(Several(3)));
        recorder.span(span());
        recorder.compact(Box::new(Several(5)));
        assert_eq!((inbox.take(1).count(), inbox.take(1).count(), inbox.dropped()), (3, 1, 5));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_nobody_waits() {
        let (recorder, inbox) = channel(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let recorder = recorder.clone();
                scope.spawn(move || {
                    for _ in 0..100 {
                        recorder.span(span());
                    }
                });
            }
        });
        assert_eq!((inbox.take(1_000).count(), inbox.dropped()), (4, 396));
    }

    #[test]
    fn what_is_large_is_bounded_by_its_bytes_and_room_comes_back() {
        let (recorder, inbox) = channel(16_384);
        let large = || Span { attributes: vec![("noise".into(), "x".repeat(4_000).into())], ..span() };
        let fit = BYTES_MAX / large().bytes();
        assert_eq!((0..2 * fit).filter(|_| recorder.span(large())).count(), fit);
        assert_eq!((inbox.take(10).count(), inbox.dropped()), (10, fit as u64));
        assert_eq!((0..20).filter(|_| recorder.span(large())).count(), 10);
        drop(inbox);
        assert!(!recorder.span(span()));
        assert!(!recorder.give(Record::Span(Box::new(span()))), "nobody takes it");
    }

    #[test]
    fn the_end_of_who_keeps_it_is_nobodys_trouble() {
        let (recorder, inbox) = channel(4);
        drop(inbox);
        recorder.span(span());
    }
}
