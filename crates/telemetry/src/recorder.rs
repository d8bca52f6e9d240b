//! How what was recorded comes from those who must not wait to the one who keeps it.
//!
//! A [`Recorder`] hands over and goes on: it never waits, and what there is no room for is dropped and counted. The one who
//! keeps it takes from the [`Inbox`] every now and then, a lot at a time: nobody sleeps on it, so handing over wakes nobody.
//!
//! Who records thousands a second hands over something [`Compact`], which becomes spans where it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

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

/// What becomes spans only when it is taken, by who has the time.
pub trait Compact: Send {
    /// How many they will be.
    fn spans(&self) -> u64;

    /// The spans, added to `spans`.
    fn unfold(self: Box<Self>, spans: &mut Vec<Span>);
}

/// What is on its way.
enum Parcel {
    Record(Record),
    Compact(Box<dyn Compact>),
}

/// Where spans and records of logs are handed over; cheap to clone, one a thread.
#[derive(Clone, Debug)]
pub struct Recorder {
    inbox: SyncSender<Parcel>,
    dropped: Arc<AtomicU64>,
    share: Arc<Share>,
}

/// Where they are taken.
#[derive(Debug)]
pub struct Inbox {
    records: Receiver<Parcel>,
    dropped: Arc<AtomicU64>,
    share: Arc<Share>,
}

/// Both ends, with room for so many records in between.
pub fn channel(room: usize) -> (Recorder, Inbox) {
    let (inbox, records) = sync_channel(room);
    let dropped = Arc::new(AtomicU64::new(0));
    let share = Arc::new(Share::new(SPANS_PER_SECOND_MAX));
    (Recorder { inbox, dropped: dropped.clone(), share: share.clone() }, Inbox { records, dropped, share })
}

impl Recorder {
    /// Hands a span over, cut to size; or drops and counts it. Whether there was room.
    pub fn span(&self, mut span: Span) -> bool {
        span.bound();
        self.hand_over(Parcel::Record(Record::Span(Box::new(span))), 1)
    }

    /// Hands a record of a log over, cut to size; or drops and counts it. Whether there was room.
    pub fn log(&self, mut log: LogRecord) -> bool {
        log.bound();
        self.hand_over(Parcel::Record(Record::Log(Box::new(log))), 1)
    }

    /// Hands over what is bounded already; dropped and counted here, too. Whether there is anybody to take it.
    pub(crate) fn give(&self, record: Record) -> bool {
        match self.inbox.try_send(Parcel::Record(record)) {
            Err(TrySendError::Disconnected(_)) => return false,
            Err(TrySendError::Full(_)) => drop(self.dropped.fetch_add(1, Relaxed)),
            Ok(()) => {}
        }
        true
    }

    /// Hands over what will be spans, or drops and counts it. Whether there was room.
    pub fn compact(&self, compact: Box<dyn Compact>) -> bool {
        let spans = compact.spans();
        self.hand_over(Parcel::Compact(compact), spans)
    }

    /// Which traces are recorded if there are too many.
    pub fn share(&self) -> &Share {
        &self.share
    }

    fn hand_over(&self, parcel: Parcel, spans: u64) -> bool {
        // Gone is who keeps it: at the end of the node, when nobody misses it.
        let is_full = matches!(self.inbox.try_send(parcel), Err(TrySendError::Full(_)));
        if is_full {
            self.dropped.fetch_add(spans, Relaxed);
        }
        !is_full
    }
}

impl Inbox {
    /// What has been handed over, at most `most` times; does not wait. What comes of one time stays together.
    pub fn take(&self, most: usize) -> impl Iterator<Item = Record> {
        self.records.try_iter().take(most).flat_map(Parcel::open)
    }

    /// How many were dropped for want of room since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// How many spans were left out since the start, for there were too many.
    pub fn left_out(&self) -> u64 {
        self.share.total_left_out()
    }
}

impl Parcel {
    fn open(self) -> impl Iterator<Item = Record> {
        let (one, mut spans) = match self {
            Parcel::Record(record) => (Some(record), Vec::new()),
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
    fn the_end_of_who_keeps_it_is_nobodys_trouble() {
        let (recorder, inbox) = channel(4);
        drop(inbox);
        recorder.span(span());
    }
}
