//! What waits to be sent: requests that are ready, and the one that grows.
//!
//! A request is ready when it has as much as a collector takes at once, or has waited for more long enough. Bounded in bytes; what is
//! over goes, the oldest first, for what is new says more. But not the one that is on its way.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::otlp::Batch;

/// Of one signal.
#[derive(Debug)]
pub(super) struct Queue {
    grows: Batch,
    /// Since when it has something.
    since_ms: u64,
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    bytes_max: usize,
    is_under_way: bool,
    dropped: u64,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub request: Bytes,
    /// How many spans, records or points are in it.
    pub count: u64,
}

impl Queue {
    pub fn new(bytes_max: usize) -> Queue {
        Queue {
            grows: Batch::default(),
            since_ms: 0,
            ready: VecDeque::new(),
            ready_bytes: 0,
            bytes_max,
            is_under_way: false,
            dropped: 0,
        }
    }

    /// Puts something into the request that grows.
    pub fn put(&mut self, now_ms: u64, put: impl FnOnce(&mut Batch)) {
        if self.grows.count() == 0 {
            self.since_ms = now_ms;
        }
        put(&mut self.grows);
        if self.grows.count() >= COUNT_MAX || self.grows.bytes() >= REQUEST_BYTES_MAX {
            self.make_ready();
        }
        self.shorten();
    }

    /// A request that came as a whole.
    pub fn whole(&mut self, request: Bytes, count: u64) {
        self.ready_bytes += request.len();
        self.ready.push_back(Ready { request, count });
        self.shorten();
    }

    /// What to send next. It stays until it is [done](Queue::done).
    pub fn next(&mut self, now_ms: u64, is_ending: bool) -> Option<Ready> {
        let is_due = is_ending || now_ms.saturating_sub(self.since_ms) >= WAIT_MS_MAX;
        if self.ready.is_empty() && is_due && self.grows.count() > 0 {
            self.make_ready();
        }
        let next = self.ready.front().cloned();
        self.is_under_way = next.is_some();
        next
    }

    /// What was sent last need not be sent again.
    pub fn done(&mut self) {
        let done = self.ready.pop_front();
        self.ready_bytes -= done.map_or(0, |done| done.request.len());
        self.is_under_way = false;
    }

    /// What was sent last must be sent again.
    pub fn again(&mut self) {
        self.is_under_way = false;
    }

    /// How many spans, records or points were dropped for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How much waits.
    pub fn bytes(&self) -> usize {
        self.ready_bytes + self.grows.bytes()
    }

    fn make_ready(&mut self) {
        let batch = std::mem::take(&mut self.grows);
        let request = Bytes::from(batch.request());
        self.ready_bytes += request.len();
        self.ready.push_back(Ready { request, count: batch.count() });
    }

    fn shorten(&mut self) {
        let oldest = usize::from(self.is_under_way);
        while self.bytes() > self.bytes_max
            && let Some(ready) = self.ready.remove(oldest)
        {
            self.ready_bytes -= ready.request.len();
            self.dropped += ready.count;
        }
    }
}

/// Most spans or records in a request: the default of OpenTelemetry's SDKs.
const COUNT_MAX: u64 = 512;
/// Largest request that is made: a quarter of what collectors take by default.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Longest wait for more.
const WAIT_MS_MAX: u64 = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::span::tests::span;

    fn put(queue: &mut Queue, now_ms: u64, count: usize) {
        (0..count).for_each(|_| queue.put(now_ms, |batch| batch.span(&span())));
    }

    #[test]
    fn what_is_few_waits_for_more_and_not_for_long() {
        let mut queue = Queue::new(1 << 20);
        put(&mut queue, 5, 3);
        assert_eq!(queue.next(1_004, false), None);
        let ready = queue.next(1_005, false).unwrap();
        assert_eq!(ready.count, 3);
        // Until it is done it is the next.
        put(&mut queue, 1_006, 1);
        assert_eq!(queue.next(1_006, false), Some(ready));
        queue.done();
        assert_eq!(queue.next(1_006, false), None);
        assert_eq!(queue.next(1_006, true).map(|ready| ready.count), Some(1), "at the end nothing waits");
        queue.done();
        assert_eq!((queue.bytes(), queue.dropped()), (0, 0));
    }

    #[test]
    fn what_is_many_is_sent_at_once() {
        let mut queue = Queue::new(1 << 20);
        put(&mut queue, 0, 513);
        assert_eq!(queue.next(0, false).map(|ready| ready.count), Some(512));
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room_but_not_what_is_under_way() {
        let mut queue = Queue::new(250);
        for count in 1..=2 {
            queue.whole(Bytes::from(vec![0; 100]), count);
        }
        let under_way = queue.next(0, false).unwrap();
        queue.whole(Bytes::from(vec![0; 100]), 3);
        assert_eq!((under_way.count, queue.dropped(), queue.bytes()), (1, 2, 200));
        queue.done();
        assert_eq!(queue.next(0, false).map(|ready| ready.count), Some(3));
        queue.again();
        queue.whole(Bytes::from(vec![0; 200]), 4);
        assert_eq!(queue.next(0, false).map(|ready| ready.count), Some(4));
        assert_eq!(queue.dropped(), 5);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_that_is_not_counted(steps in prop::collection::vec((0..4_u8, 1..400_usize), 1..60)) {
            let mut queue = Queue::new(40_000);
            let (mut given, mut sent) = (0, 0);
            for (at, (step, size)) in steps.into_iter().enumerate() {
                let now_ms = at as u64 * 300;
                match step {
                    0 => {
                        put(&mut queue, now_ms, size);
                        given += size as u64;
                    }
                    1 => {
                        queue.whole(Bytes::from(vec![0; size]), size as u64);
                        given += size as u64;
                    }
                    2 => {
                        if let Some(ready) = queue.next(now_ms, false) {
                            sent += ready.count;
                            queue.done();
                        }
                    }
                    _ => {
                        let _ = queue.next(now_ms, false);
                        queue.again();
                    }
                }
                // One request may be under way, and one grow.
                prop_assert!(queue.bytes() <= 40_000 + REQUEST_BYTES_MAX);
            }
            while let Some(ready) = queue.next(u64::MAX, true) {
                sent += ready.count;
                queue.done();
            }
            prop_assert_eq!(given, sent + queue.dropped());
            prop_assert_eq!(queue.bytes(), 0);
        }
    }
}
