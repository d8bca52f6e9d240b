//! How what was recorded comes from those who must not wait to the one who keeps it.
//!
//! A [`Recorder`] hands over and goes on: it never waits, and what there is no room for is dropped and counted. The one who
//! keeps it takes from the [`Inbox`] every now and then, a lot at a time: nobody sleeps on it, so handing over wakes nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::span::{LogRecord, Span};

/// Something that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A span, boxed for the room that it takes in the inbox.
    Span(Box<Span>),
    /// A record of a log.
    Log(Box<LogRecord>),
}

/// Where spans and records of logs are handed over; cheap to clone, one a thread.
#[derive(Clone, Debug)]
pub struct Recorder {
    inbox: SyncSender<Record>,
    dropped: Arc<AtomicU64>,
}

/// Where they are taken.
#[derive(Debug)]
pub struct Inbox {
    records: Receiver<Record>,
    dropped: Arc<AtomicU64>,
}

/// Both ends, with room for so many records in between.
pub fn channel(room: usize) -> (Recorder, Inbox) {
    let (inbox, records) = sync_channel(room);
    let dropped = Arc::new(AtomicU64::new(0));
    (Recorder { inbox, dropped: dropped.clone() }, Inbox { records, dropped })
}

impl Recorder {
    /// Hands a span over, cut to size; or drops and counts it. Whether there was room.
    pub fn span(&self, mut span: Span) -> bool {
        span.bound();
        self.hand_over(Record::Span(Box::new(span)))
    }

    /// Hands a record of a log over, cut to size; or drops and counts it. Whether there was room.
    pub fn log(&self, mut log: LogRecord) -> bool {
        log.bound();
        self.hand_over(Record::Log(Box::new(log)))
    }

    /// Hands over what is bounded already; dropped and counted here, too. Whether there is anybody to take it.
    pub(crate) fn give(&self, record: Record) -> bool {
        match self.inbox.try_send(record) {
            Err(TrySendError::Disconnected(_)) => return false,
            Err(TrySendError::Full(_)) => drop(self.dropped.fetch_add(1, Relaxed)),
            Ok(()) => {}
        }
        true
    }

    fn hand_over(&self, record: Record) -> bool {
        // Gone is who keeps it: at the end of the node, when nobody misses it.
        let is_full = matches!(self.inbox.try_send(record), Err(TrySendError::Full(_)));
        if is_full {
            self.dropped.fetch_add(1, Relaxed);
        }
        !is_full
    }
}

impl Inbox {
    /// What has been handed over, at most `most` of it; does not wait.
    pub fn take(&self, most: usize) -> impl Iterator<Item = Record> {
        self.records.try_iter().take(most)
    }

    /// How many were dropped for want of room since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
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
