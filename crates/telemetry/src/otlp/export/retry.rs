//! What became of a request, and how long to wait before it is sent again.
//!
//! Which answers are worth another try is what OTLP's specification lists; all others mean that the same request will never be taken.
//! Waits double from one second to half a minute, each somewhere between half and all of that (a collector that comes back is not
//! run over), unless the collector says how long.

use std::time::Duration;

use crate::otlp::wire::Fields;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken, but for so many.
    Taken { rejected: u64, why: String },
    /// It will not be taken.
    Never(String),
    /// It was not taken this time.
    Again { after: Option<Duration>, why: String },
}

/// By the status of HTTP; `retry_after` is the header of that name, `body` the beginning of the answer.
pub(super) fn of_http(status: u16, retry_after: Option<&str>, body: &[u8]) -> Verdict {
    match status {
        200..=299 => taken(body),
        429 | 502 | 503 | 504 => {
            let after = retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
            Verdict::Again { after, why: format!("the collector answers {status}") }
        }
        _ => Verdict::Never(format!("the collector answers {status}{}", said(&text(body, 2)))),
    }
}

/// By the status of gRPC; `details` is what comes with it.
pub(super) fn of_grpc(code: u32, message: &str, details: Option<&[u8]>, body: &[u8]) -> Verdict {
    let after = details.and_then(retry_delay);
    let why = || format!("the collector answers with status {code}{}", said(message));
    match code {
        0 => taken(body),
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
        1 | 4 | 10 | 11 | 14 | 15 => Verdict::Again { after, why: why() },
        // RESOURCE_EXHAUSTED, which may pass if the collector says when.
        8 if after.is_some() => Verdict::Again { after, why: why() },
        _ => Verdict::Never(why()),
    }
}

/// An `Export...ServiceResponse`. One that cannot be read says nothing against what was sent.
fn taken(body: &[u8]) -> Verdict {
    let partial = message(body, 1);
    let rejected = Fields(partial).flatten().find(|(field, _)| *field == 1).map_or(0, |(_, it)| it.number());
    let why = text(partial, 2);
    Verdict::Taken { rejected, why: format!("the collector rejects some{}", said(&why)) }
}

/// The `RetryInfo` of a `Status`.
fn retry_delay(status: &[u8]) -> Option<Duration> {
    let details = Fields(status).flatten().filter(|(field, _)| *field == 3);
    let info =
        details.map(|(_, any)| any.bytes()).find(|any| text(any, 1).ends_with("google.rpc.RetryInfo"))?;
    let delay = message(message(info, 2), 1);
    let number =
        |wanted| Fields(delay).flatten().find(|(field, _)| *field == wanted).map_or(0, |(_, it)| it.number());
    Some(Duration::new(number(1), u32::try_from(number(2)).ok().filter(|nanos| *nanos < 1_000_000_000)?))
}

fn message(of: &[u8], wanted: u32) -> &[u8] {
    Fields(of).flatten().find(|(field, _)| *field == wanted).map_or(&[], |(_, value)| value.bytes())
}

fn text(of: &[u8], wanted: u32) -> String {
    let text = String::from_utf8_lossy(message(of, wanted)).into_owned();
    text.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect()
}

fn said(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!(": {what}") }
}

/// How long to wait for the next try.
#[derive(Debug)]
pub(super) struct Backoff {
    tries: u32,
    chance: u64,
}

impl Backoff {
    pub fn new(seed: u64) -> Backoff {
        Backoff { tries: 0, chance: seed }
    }

    /// Something has arrived.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// The wait after another failure; `told` is how long the collector wants it to be.
    pub fn wait(&mut self, told: Option<Duration>) -> Duration {
        let full = told.map_or_else(
            || FIRST.saturating_mul(1 << self.tries).min(MAX),
            |told| told.clamp(FIRST, TOLD_MAX),
        );
        self.tries = (self.tries + 1).min(16);
        let share = self.random() % 1_024;
        let more = full / 2 * share as u32 / 1_024;
        // Not earlier than told, and not all at the same time.
        if told.is_some() { full + more / 4 } else { full / 2 + more }
    }

    /// splitmix64: good enough for not being in step.
    fn random(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

const FIRST: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(30);
/// Longest that a collector may have it wait.
const TOLD_MAX: Duration = Duration::from_secs(300);
const SAID_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{Taken, answer};
    use proptest::prelude::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(of_http(status, None, b""), Verdict::Again { after: None, .. }), "{status}");
        }
        for status in [400, 401, 404, 413, 500] {
            assert!(matches!(of_http(status, None, b""), Verdict::Never(_)), "{status}");
        }
        let told = of_http(429, Some("7"), b"");
        assert!(matches!(told, Verdict::Again { after: Some(Duration { .. }), .. }), "{told:?}");
        for code in [1, 4, 10, 11, 14, 15] {
            assert!(matches!(of_grpc(code, "", None, b""), Verdict::Again { .. }), "{code}");
        }
        for code in [2, 3, 5, 6, 7, 8, 9, 12, 13, 16] {
            assert!(matches!(of_grpc(code, "", None, b""), Verdict::Never(_)), "{code}");
        }
    }

    #[test]
    fn what_we_answer_ourselves_is_understood() {
        let status = answer::status(8, "later", Some(3));
        let verdict = of_grpc(8, "later", Some(&status), b"");
        let why = "the collector answers with status 8: later".to_owned();
        assert_eq!(verdict, Verdict::Again { after: Some(Duration::from_secs(3)), why });
        let partly = answer::taken(&Taken { accepted: 1, rejected: 2, dropped: 0, why: "odd" });
        let why = "the collector rejects some: odd".to_owned();
        assert_eq!(of_http(200, None, &partly), Verdict::Taken { rejected: 2, why });
        let refused = of_http(400, None, &answer::status(3, "no\nway", None));
        assert_eq!(refused, Verdict::Never("the collector answers 400: noway".to_owned()));
    }

    proptest! {
        #[test]
        fn waits_grow_and_have_an_end(seed: u64, told in any::<Option<u32>>()) {
            let mut backoff = Backoff::new(seed);
            for at in 0..40_u32 {
                let full = FIRST.saturating_mul(1 << at.min(16)).min(MAX);
                let wait = backoff.wait(None);
                prop_assert!(wait >= full / 2 && wait <= full, "{at}: {wait:?}");
            }
            backoff.reset();
            prop_assert!(backoff.wait(None) <= FIRST);
            if let Some(told) = told.map(|told| Duration::from_secs(u64::from(told))) {
                prop_assert!(backoff.wait(Some(told)) >= told.min(TOLD_MAX));
            }
        }

        #[test]
        fn any_answer_is_understood_somehow(code: u32, body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = of_grpc(code % 17, "", Some(&body), &body);
            let _ = of_http(200, None, &body);
        }
    }
}
