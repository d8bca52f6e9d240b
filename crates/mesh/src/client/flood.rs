//! Frames of HTTP/2 that cost the server more than they bring: pings, settings, priorities, windows
//! opened byte by byte, requests that are taken back as soon as they are made (CVE-2019-9511 to 9518,
//! CVE-2023-44487).
//!
//! The library bounds what a client makes it keep, not what it makes it do. So what goes by is weighed
//! here: a frame that carries nothing is a debt in bytes, and bytes that a body brings or an answer takes
//! pay it back, as does time. Honest clients owe next to nothing; who owes too much is asked to go. nginx
//! weighs overhead against payload in the same way, without time; with it a connection that lives for
//! days on pings is no flood.

use policy::Time;

/// How much may be owed: about five hundred requests taken back, or ten thousand pings.
const DEBT_MAX: u64 = 10 << 20;
/// How much is forgiven in a second: fifty requests taken back, or a thousand pings.
const FORGIVEN_PER_SECOND: u64 = 1 << 20;
/// What a client begins with, before its first frame (RFC 9113 section 3.4).
const PREFACE_BYTES: u32 = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// What a client owes.
pub(crate) struct Flood {
    received: Frames,
    sent: Frames,
    debt: u64,
    /// Since when time has not been counted in yet.
    since: Time,
    /// The last stream that the client has opened.
    last_stream: u32,
}

/// The client owes too much.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flooded;

impl Flood {
    /// Of a connection that begins now.
    pub(crate) fn new(now: Time) -> Flood {
        let received = Frames { left: PREFACE_BYTES, ..Frames::default() };
        Flood { received, sent: Frames::default(), debt: 0, since: now, last_stream: 0 }
    }

    /// Weighs what came. The clock is only asked once the debt looks too large.
    pub(crate) fn received(&mut self, bytes: &[u8], now: impl FnOnce() -> Time) -> Result<(), Flooded> {
        let (debt, last_stream) = (&mut self.debt, &mut self.last_stream);
        self.received.follow(bytes, |frame| {
            if frame.kind == HEADERS {
                *last_stream = frame.stream.max(*last_stream);
            }
            *debt = (*debt + cost(frame)).saturating_sub(brings(frame));
        });
        if self.debt <= DEBT_MAX { Ok(()) } else { self.settle(now()) }
    }

    /// Weighs what goes.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        self.sent.follow(bytes, |_| {});
        self.debt = self.debt.saturating_sub(bytes.len() as u64);
    }

    /// The frame that says why the connection ends (RFC 9113 section 6.8). None: one is on its way, into
    /// which it would be written.
    pub(crate) fn goaway(&self) -> Option<[u8; 17]> {
        const GOAWAY: [u8; 9] = [0, 0, 8, 7, 0, 0, 0, 0, 0];
        const ENHANCE_YOUR_CALM: u32 = 11;
        if !self.sent.is_between() {
            return None;
        }
        let mut frame = [0; 17];
        frame[..9].copy_from_slice(&GOAWAY);
        frame[9..13].copy_from_slice(&self.last_stream.to_be_bytes());
        frame[13..].copy_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        Some(frame)
    }

    fn settle(&mut self, now: Time) -> Result<(), Flooded> {
        let nanos = u64::try_from(now.since(self.since).as_nanos()).unwrap_or(u64::MAX);
        let forgiven = u128::from(nanos) * u128::from(FORGIVEN_PER_SECOND) / 1_000_000_000;
        self.debt = self.debt.saturating_sub(u64::try_from(forgiven).unwrap_or(u64::MAX));
        self.since = now;
        if self.debt <= DEBT_MAX { Ok(()) } else { Err(Flooded) }
    }
}

/// What a frame costs, in bytes: about as many as its answer or its work would have been.
fn cost(frame: &Frame) -> u64 {
    match frame.kind {
        // A request opened is a request, which the limits for those look after.
        HEADERS => 0,
        DATA if frame.length > 0 => 0,
        // Somewhere up there work was begun for nothing.
        RST_STREAM => 20 << 10,
        // Each stream's window has to be looked at.
        SETTINGS => 10 << 10,
        // Honest ones come with every few KiB of an answer.
        WINDOW_UPDATE => 256,
        _ => 1 << 10,
    }
}

fn brings(frame: &Frame) -> u64 {
    if frame.kind == DATA { u64::from(frame.length) } else { 0 }
}

/// The head of a frame.
struct Frame {
    length: u32,
    kind: u8,
    stream: u32,
}

/// Follows frames through bytes, in whatever pieces they come.
#[derive(Default)]
struct Frames {
    /// Bytes of a head that is not whole.
    head: [u8; 9],
    have: usize,
    /// Bytes of a payload that are still to come.
    left: u32,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8], mut each: impl FnMut(&Frame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = bytes.len().min(self.left as usize);
                self.left -= skipped as u32;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = bytes.len().min(self.head.len() - self.have);
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == self.head.len() {
                let head = &self.head;
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
                each(&Frame { length, kind: head[3], stream });
                (self.have, self.left) = (0, length);
            }
        }
    }

    /// Whether no frame has begun and not ended.
    fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    const PING: u8 = 6;
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, stream: u32, length: u32) -> Vec<u8> {
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0]);
        frame.extend(stream.to_be_bytes());
        frame.extend(vec![0xff; length as usize]);
        frame
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    fn begun() -> Flood {
        let mut flood = Flood::new(at(0));
        flood.received(PREFACE, || at(0)).expect("an honest beginning");
        flood
    }

    /// How many of these frames come through at once.
    fn passed(flood: &mut Flood, frame: &[u8], now: Time) -> usize {
        (0..100_000).take_while(|_| flood.received(frame, || now).is_ok()).count()
    }

    #[test]
    fn each_flood_ends_after_its_measure() {
        for (kind, length, most) in [
            (PING, 8, 10_240),
            (RST_STREAM, 4, 512),
            (SETTINGS, 0, 1024),
            (WINDOW_UPDATE, 4, 40_960),
            (DATA, 0, 10_240),
        ] {
            assert_eq!(passed(&mut begun(), &frame(kind, 1, length), at(0)), most, "frames of type {kind}");
        }
    }

    #[test]
    fn time_forgives() {
        let mut flood = begun();
        let ping = frame(PING, 0, 8);
        assert_eq!(passed(&mut flood, &ping, at(0)), 10_240);
        // One more that did not come through is owed, too.
        assert_eq!(passed(&mut flood, &ping, at(1000)), 1023);
        for second in 2..10_000 {
            for _ in 0..500 {
                assert_eq!(flood.received(&ping, || at(1000 * second)), Ok(()));
            }
        }
    }

    #[test]
    fn what_is_brought_and_taken_pays() {
        let (mut flood, window) = (begun(), frame(WINDOW_UPDATE, 1, 4));
        for _ in 0..1_000_000 {
            flood.sent(&[0; 512]);
            assert_eq!(flood.received(&window, || at(0)), Ok(()));
        }
        let (mut flood, ping, data) = (begun(), frame(PING, 0, 8), frame(DATA, 1, 2048));
        for _ in 0..20_000 {
            assert_eq!(flood.received(&data, || at(0)), Ok(()));
            assert_eq!(flood.received(&ping, || at(0)), Ok(()));
        }
    }

    #[test]
    fn the_end_names_the_last_stream_and_hits_no_frame() {
        let mut flood = begun();
        flood.received(&frame(HEADERS, 7, 3), || at(0)).unwrap();
        flood.received(&frame(RST_STREAM, 9, 4), || at(0)).unwrap();
        assert_eq!(flood.goaway(), Some([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 11]));
        flood.sent(&frame(DATA, 1, 5)[..7]);
        assert_eq!(flood.goaway(), None);
        flood.sent(&frame(DATA, 1, 5)[7..]);
        assert!(flood.goaway().is_some());
    }

    proptest! {
        #[test]
        fn frames_are_the_same_in_whatever_pieces(
            frames in prop::collection::vec((0..12_u8, 0..5_u32, 0..40_u32), 0..20),
            cuts in prop::collection::vec(0..600_usize, 0..20),
        ) {
            let all: Vec<u8> = frames.iter().flat_map(|(kind, stream, length)| frame(*kind, *stream, *length)).collect();
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
            ends.sort_unstable();
            let (mut seen, mut follower) = (Vec::new(), Frames::default());
            for piece in ends.windows(2) {
                follower.follow(&all[piece[0]..piece[1]], |frame| seen.push((frame.kind, frame.stream, frame.length)));
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(follower.is_between());
        }
    }
}
