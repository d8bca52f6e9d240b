//! Good and bad histories of an item of key-value state.

use super::check::register::{Answer, Call, Register};
use super::check::{Operation, check, check_each};
use super::{done, lost};

type History = Vec<Operation<Call, Answer>>;

const fn write(value: u64) -> Call {
    Call::Write { value, etag: None }
}

const fn write_if(value: u64, etag: u64) -> Call {
    Call::Write { value, etag: Some(etag) }
}

const fn is(value: u64, etag: u64) -> Answer {
    Answer::Is(Some((value, etag)))
}

#[track_caller]
fn good(history: &History) {
    if let Err(failure) = check(&Register, history) {
        panic!("{failure}");
    }
}

#[track_caller]
fn bad(history: &History) {
    let failure = check(&Register, history).expect_err("it is not linearizable");
    assert!(failure.violation, "{failure}");
}

#[test]
fn one_after_another() {
    good(&vec![
        done(1, (1, 2), Call::Read, Answer::Is(None)),
        done(1, (3, 4), write(7), Answer::Written(1)),
        done(2, (5, 6), Call::Read, is(7, 1)),
        done(2, (7, 8), write_if(8, 1), Answer::Written(4)),
        done(1, (9, 10), write_if(9, 1), Answer::Refused),
        done(1, (11, 12), Call::Delete { etag: Some(4) }, Answer::Deleted),
        done(1, (13, 14), write_if(9, 0), Answer::Written(9)),
    ]);
}

#[test]
fn a_read_during_a_write_may_show_it_or_not() {
    let before =
        vec![done(1, (1, 2), write(7), Answer::Written(1)), done(1, (3, 9), write(8), Answer::Written(2))];
    for seen in [is(7, 1), is(8, 2)] {
        let mut history = before.clone();
        history.push(done(2, (4, 5), Call::Read, seen));
        good(&history);
    }
}

#[test]
fn what_was_seen_is_not_unseen() {
    bad(&vec![
        done(1, (1, 2), write(7), Answer::Written(1)),
        done(1, (3, 9), write(8), Answer::Written(2)),
        done(2, (4, 5), Call::Read, is(8, 2)),
        done(3, (6, 7), Call::Read, is(7, 1)),
    ]);
}

#[test]
fn what_was_acknowledged_is_not_lost() {
    bad(&vec![done(1, (1, 2), write(7), Answer::Written(1)), done(2, (3, 4), Call::Read, Answer::Is(None))]);
}

#[test]
fn of_two_writes_on_the_same_etag_one_is_refused() {
    let two = |second| {
        vec![
            done(1, (1, 2), write(7), Answer::Written(1)),
            done(1, (3, 6), write_if(8, 1), Answer::Written(2)),
            done(2, (4, 5), write_if(9, 1), second),
        ]
    };
    good(&two(Answer::Refused));
    bad(&two(Answer::Written(3)));
}

#[test]
fn a_refusal_needs_a_reason() {
    bad(&vec![
        done(1, (1, 2), write(7), Answer::Written(1)),
        done(1, (3, 4), write_if(8, 1), Answer::Refused),
    ]);
    bad(&vec![done(1, (1, 2), write(7), Answer::Refused)]);
}

#[test]
fn an_etag_is_never_given_again() {
    bad(&vec![
        done(1, (1, 2), write(7), Answer::Written(5)),
        done(1, (3, 4), Call::Delete { etag: None }, Answer::Deleted),
        done(1, (5, 6), write(8), Answer::Written(5)),
    ]);
}

#[test]
fn a_write_without_an_answer_happened_once_or_never() {
    let after = |rest: &[Operation<Call, Answer>]| {
        let mut history = vec![done(1, (1, 2), write(7), Answer::Written(1)), lost(2, 3, write_if(8, 1))];
        history.extend_from_slice(rest);
        history
    };
    good(&after(&[done(1, (4, 5), Call::Read, is(7, 1))]));
    good(&after(&[done(1, (4, 5), Call::Read, is(8, 2))]));
    // Late, too.
    good(&after(&[done(1, (4, 5), Call::Read, is(7, 1)), done(1, (6, 7), Call::Read, is(8, 2))]));
    good(&after(&[done(1, (4, 5), write_if(9, 1), Answer::Refused), done(1, (6, 7), Call::Read, is(8, 2))]));
    // But not taken back, with an ETag of before, or on an ETag that is gone.
    bad(&after(&[done(1, (4, 5), Call::Read, is(8, 2)), done(1, (6, 7), Call::Read, is(7, 1))]));
    bad(&after(&[done(1, (4, 5), Call::Read, is(8, 1))]));
    bad(&after(&[done(1, (4, 5), write(9), Answer::Written(2)), done(1, (6, 7), Call::Read, is(8, 3))]));
    // Nor before it was called.
    bad(&vec![done(1, (1, 2), Call::Read, is(8, 1)), lost(2, 3, write(8))]);
}

#[test]
fn many_without_an_answer_do_not_hold_up_the_search() {
    let mut history: History =
        (0..40).map(|client| lost(client, 1 + u64::from(client), write(client.into()))).collect();
    history.push(done(50, (100, 101), write(7), Answer::Written(100)));
    history.push(done(50, (102, 103), Call::Read, is(7, 100)));
    history.push(done(50, (104, 105), Call::Read, is(39, 101)));
    good(&history);
}

#[test]
fn items_are_checked_apart_and_a_failure_tells_which_and_what() {
    let mut history = Vec::new();
    for n in 0..500 {
        history.push(done(1, (4 * n + 1, 4 * n + 3), (n % 10, write(n)), Answer::Written(n + 1)));
        history.push(done(2, (4 * n + 2, 4 * n + 4), (n % 10, Call::Read), is(n, n + 1)));
    }
    check_each(&Register, &history).expect("all is well");
    history.push(done(3, (9_000, 9_001), (3, write(7)), Answer::Written(1)));
    let failure = check_each(&Register, &history).expect_err("an ETag was given twice").to_string();
    assert!(failure.starts_with("the history of 3 is not linearizable"), "{failure}");
    assert!(
        failure.contains("client 3 at 9000 to 9001: Write { value: 7, etag: None }: Written(1)"),
        "{failure}"
    );
}
