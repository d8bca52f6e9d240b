//! Good and bad histories of a queue.

use super::check::queue::{Answer, Call, Queue};
use super::check::{Operation, check};
use super::{done, lost};

type History = Vec<Operation<Call, Answer>>;

const VISIBILITY: u64 = 100;
const RECEIVE: Call = Call::Receive { visibility_ms: VISIBILITY };

fn send(item: u64) -> Call {
    Call::Send { item }
}

fn acknowledge(item: u64, lease: u64) -> Call {
    Call::Acknowledge { item, lease }
}

/// The answer to who got an item under this lease at that time.
fn handed(item: u64, lease: u64, now_ms: u64) -> Answer {
    Answer::Handed { item, lease, until_ms: now_ms + VISIBILITY }
}

#[track_caller]
fn good(history: &History) {
    if let Err(failure) = check(&Queue, history) {
        panic!("{failure}");
    }
}

#[track_caller]
fn bad(history: &History) {
    let failure = check(&Queue, history).expect_err("it is not linearizable");
    assert!(failure.violation, "{failure}");
}

/// Items 1 and 2 are in the queue, and then this happens from the tick 10 on.
fn two_items(rest: &[Operation<Call, Answer>]) -> History {
    let mut history = vec![done(1, (1, 2), send(1), Answer::Sent), done(1, (3, 4), send(2), Answer::Sent)];
    history.extend_from_slice(rest);
    history
}

#[test]
fn one_after_another() {
    good(&vec![
        done(1, (1, 2), RECEIVE, Answer::Nothing),
        done(1, (3, 4), send(1), Answer::Sent),
        done(1, (5, 6), send(2), Answer::Sent),
        done(2, (7, 8), RECEIVE, handed(1, 1, 1_000)),
        done(3, (9, 10), RECEIVE, handed(2, 2, 1_010)),
        done(3, (11, 12), RECEIVE, Answer::Nothing),
        done(2, (13, 14), acknowledge(1, 1), Answer::Done),
        // Its holder was too slow.
        done(2, (15, 16), RECEIVE, handed(2, 3, 1_110)),
        done(3, (17, 18), acknowledge(2, 2), Answer::Fenced),
        done(2, (19, 20), acknowledge(2, 3), Answer::Done),
        done(2, (21, 22), acknowledge(2, 3), Answer::Fenced),
    ]);
}

#[test]
fn an_item_has_one_holder() {
    bad(&two_items(&[
        done(2, (10, 13), RECEIVE, handed(1, 1, 1_000)),
        done(3, (11, 12), RECEIVE, handed(1, 2, 1_099)),
    ]));
    good(&two_items(&[
        done(2, (10, 13), RECEIVE, handed(1, 1, 1_000)),
        done(3, (11, 12), RECEIVE, handed(1, 2, 1_100)),
    ]));
}

#[test]
fn what_is_done_does_not_come_again_and_what_was_never_sent_does_not_come() {
    bad(&two_items(&[
        done(2, (10, 11), RECEIVE, handed(1, 1, 1_000)),
        done(2, (12, 13), acknowledge(1, 1), Answer::Done),
        done(2, (14, 15), RECEIVE, handed(1, 2, 1_200)),
    ]));
    bad(&two_items(&[done(2, (10, 11), RECEIVE, handed(3, 1, 1_000))]));
}

#[test]
fn items_come_in_the_order_in_which_they_were_sent() {
    bad(&two_items(&[done(2, (10, 11), RECEIVE, handed(2, 1, 1_000))]));
    // Of those that were sent at the same time, in either.
    let both = |first, second| {
        vec![
            done(1, (1, 4), send(1), Answer::Sent),
            done(2, (2, 3), send(2), Answer::Sent),
            done(3, (5, 6), RECEIVE, handed(first, 1, 1_000)),
            done(3, (7, 8), RECEIVE, handed(second, 2, 1_000)),
        ]
    };
    good(&both(1, 2));
    good(&both(2, 1));
}

#[test]
fn an_item_that_was_acknowledged_to_its_sender_is_not_lost() {
    bad(&two_items(&[
        done(2, (10, 11), RECEIVE, handed(1, 1, 1_000)),
        done(2, (12, 13), RECEIVE, Answer::Nothing),
    ]));
}

#[test]
fn a_lease_is_never_given_again_and_not_ended_before_its_time() {
    bad(&two_items(&[
        done(2, (10, 11), RECEIVE, handed(1, 1, 1_000)),
        done(3, (12, 13), RECEIVE, handed(2, 1, 1_000)),
    ]));
    bad(&two_items(&[
        done(2, (10, 11), RECEIVE, handed(1, 1, 1_000)),
        done(2, (12, 13), acknowledge(1, 1), Answer::Fenced),
        // It was no later than this.
        done(3, (14, 15), RECEIVE, handed(2, 2, 1_050)),
    ]));
}

#[test]
fn what_somebody_took_who_crashed_comes_again_in_time() {
    let after = |rest: &[Operation<Call, Answer>]| {
        let mut history = two_items(&[lost(2, 10, RECEIVE)]);
        history.extend_from_slice(rest);
        history
    };
    good(&after(&[done(3, (11, 12), RECEIVE, handed(1, 1, 1_000))]));
    good(&after(&[done(3, (11, 12), RECEIVE, handed(2, 2, 1_000))]));
    good(&after(&[
        done(3, (11, 12), RECEIVE, handed(2, 2, 1_000)),
        done(3, (13, 14), RECEIVE, handed(1, 3, 1_100)),
    ]));
    // It had one of them, not both.
    bad(&after(&[done(3, (11, 12), RECEIVE, Answer::Nothing)]));
}

#[test]
fn sending_or_acknowledging_without_an_answer() {
    let sent = |answer| vec![lost(1, 1, send(1)), done(2, (3, 4), RECEIVE, answer)];
    good(&sent(handed(1, 1, 1_000)));
    good(&sent(Answer::Nothing));
    let after = |answer| {
        let rest = [done(2, (10, 11), RECEIVE, handed(1, 1, 1_000)), lost(2, 12, acknowledge(1, 1))];
        let mut history = two_items(&rest);
        history.push(done(3, (13, 14), RECEIVE, handed(2, 2, 1_000)));
        history.push(done(3, (15, 16), RECEIVE, answer));
        history
    };
    good(&after(Answer::Nothing));
    good(&after(handed(1, 3, 1_100)));
    bad(&after(handed(1, 3, 1_050)));
}
