//! Good and bad histories of a lock.

use super::check::lock::{Answer, Call, Lock};
use super::check::{Operation, check};
use super::{done, lost};

type History = Vec<Operation<Call, Answer>>;

const TTL: u64 = 100;

fn try_lock(owner: u32) -> Call {
    Call::TryLock { owner, ttl_ms: TTL }
}

fn unlock(owner: u32, token: u64) -> Call {
    Call::Unlock { owner, token: Some(token) }
}

fn extend(owner: u32, token: u64) -> Call {
    Call::Extend { owner, token: Some(token), ttl_ms: TTL }
}

/// The answer to who got it under this token at that time.
fn held(token: u64, now_ms: u64) -> Answer {
    Answer::Held { token, until_ms: now_ms + TTL }
}

#[track_caller]
fn good(history: &History) {
    if let Err(failure) = check(&Lock, history) {
        panic!("{failure}");
    }
}

#[track_caller]
fn bad(history: &History) {
    let failure = check(&Lock, history).expect_err("it is not linearizable");
    assert!(failure.violation, "{failure}");
}

#[test]
fn one_after_another() {
    good(&vec![
        done(1, (1, 2), try_lock(1), held(5, 1_000)),
        done(2, (3, 4), try_lock(2), Answer::Taken { until_ms: 1_100 }),
        done(1, (5, 6), extend(1, 5), held(5, 1_050)),
        done(2, (7, 8), unlock(2, 5), Answer::Fenced),
        done(1, (9, 10), unlock(1, 5), Answer::Unlocked),
        done(2, (11, 12), try_lock(2), held(9, 1_060)),
        // Its time is over.
        done(1, (13, 14), try_lock(1), held(12, 1_160)),
        done(2, (15, 16), extend(2, 9), Answer::Fenced),
        done(1, (17, 18), extend(1, 12), Answer::NotHeld),
        done(2, (19, 20), try_lock(2), held(13, 1_260)),
    ]);
}

#[test]
fn two_never_hold_it() {
    bad(&vec![done(1, (1, 4), try_lock(1), held(5, 1_000)), done(2, (2, 3), try_lock(2), held(6, 1_099))]);
    bad(&vec![
        done(1, (1, 2), try_lock(1), held(5, 1_000)),
        done(1, (3, 4), extend(1, 5), held(5, 1_050)),
        done(2, (5, 6), try_lock(2), held(6, 1_149)),
    ]);
}

#[test]
fn a_token_is_greater_than_all_before() {
    for (token, well) in [(6, true), (5, false), (4, false)] {
        let history = vec![
            done(1, (1, 2), try_lock(1), held(5, 1_000)),
            done(1, (3, 4), unlock(1, 5), Answer::Unlocked),
            done(2, (5, 6), try_lock(2), held(token, 1_001)),
        ];
        if well { good(&history) } else { bad(&history) }
    }
}

#[test]
fn a_late_owner_is_fenced() {
    let late = |answer| {
        vec![
            done(1, (1, 2), try_lock(1), held(5, 1_000)),
            done(2, (3, 4), try_lock(2), held(6, 1_100)),
            done(1, (5, 6), unlock(1, 5), answer),
        ]
    };
    good(&late(Answer::Fenced));
    bad(&late(Answer::Unlocked));
    bad(&vec![
        done(1, (1, 2), try_lock(1), held(5, 1_000)),
        done(2, (3, 4), try_lock(2), held(6, 1_100)),
        done(1, (5, 6), extend(1, 5), held(5, 1_120)),
    ]);
}

#[test]
fn who_holds_it_is_not_refused_before_its_time() {
    bad(&vec![
        done(1, (1, 2), try_lock(1), held(5, 1_000)),
        done(1, (3, 4), extend(1, 5), Answer::NotHeld),
        // It was no later than this: the lease had not ended.
        done(2, (5, 6), try_lock(2), held(6, 1_050)),
    ]);
    bad(&vec![
        done(1, (1, 2), try_lock(1), held(5, 1_000)),
        done(1, (3, 4), unlock(1, 5), Answer::Unlocked),
        done(2, (5, 6), try_lock(2), Answer::Taken { until_ms: 1_100 }),
    ]);
}

#[test]
fn an_owner_that_crashed_may_hold_it_until_its_lease_ends() {
    let after = |rest: &[Operation<Call, Answer>]| {
        let mut history = vec![
            done(1, (1, 2), try_lock(1), held(5, 1_000)),
            done(1, (3, 4), unlock(1, 5), Answer::Unlocked),
            lost(2, 5, try_lock(2)),
        ];
        history.extend_from_slice(rest);
        history
    };
    // It never was, or has ended, or is in the way, and can be seen to be.
    good(&after(&[done(3, (6, 7), try_lock(3), held(6, 1_001))]));
    good(&after(&[done(3, (6, 7), try_lock(3), held(9, 1_300))]));
    good(&after(&[
        done(3, (6, 7), try_lock(3), Answer::Taken { until_ms: 1_120 }),
        done(3, (8, 9), try_lock(3), held(9, 1_120)),
    ]));
    bad(&after(&[
        done(3, (6, 7), try_lock(3), Answer::Taken { until_ms: 1_120 }),
        done(3, (8, 9), try_lock(3), held(9, 1_119)),
    ]));
    // It cannot end sooner than it can have begun.
    bad(&after(&[done(3, (6, 7), try_lock(3), Answer::Taken { until_ms: 1_099 })]));
}

#[test]
fn giving_back_or_extending_without_an_answer() {
    let after = |call, rest: Operation<Call, Answer>| {
        vec![done(1, (1, 2), try_lock(1), held(5, 1_000)), lost(1, 3, call), rest]
    };
    good(&after(unlock(1, 5), done(2, (4, 5), try_lock(2), held(6, 1_001))));
    good(&after(unlock(1, 5), done(2, (4, 5), try_lock(2), Answer::Taken { until_ms: 1_100 })));
    good(&after(extend(1, 5), done(2, (4, 5), try_lock(2), Answer::Taken { until_ms: 1_140 })));
    good(&after(extend(1, 5), done(2, (4, 5), try_lock(2), held(6, 1_100))));
    bad(&after(extend(1, 5), done(2, (4, 5), try_lock(2), held(6, 1_001))));
    bad(&after(unlock(2, 5), done(2, (4, 5), try_lock(2), held(6, 1_001))));
}
