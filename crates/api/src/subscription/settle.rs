//! What becomes of an event.
//!
//! What the application *says* is done at once: an event that it does not want or cannot deal with goes to where dead
//! letters go, if there is such a topic; otherwise the one is dropped and the other tried again. Where it says *nothing*, for it
//! broke off or took too long, the event is tried again at least [`TRIES_UNSAID`] times, so that an application that is
//! being restarted does not fill a topic that somebody has to look through; but an event that ends whoever handles it
//! gets there. What was never seen was not attempted either.

use super::answer::Verdict;

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The group is done with it.
    Acknowledge,
    /// It goes to where dead letters go, and then the group is done with it.
    DeadLetter(String),
    /// It is dropped, which somebody may want to know.
    Drop(String),
    /// It is tried again after a wait.
    Fail(String),
    /// It is given back, for the application is not there.
    Release,
}

/// What becomes of an event, at its how manieth attempt, by what came of its delivery.
pub fn action(verdict: Verdict, attempt: u32, has_dead_letters: bool) -> Action {
    match (verdict, has_dead_letters) {
        (Verdict::Done, _) => Action::Acknowledge,
        (Verdict::Drop(why), false) => Action::Drop(why),
        (Verdict::Drop(why) | Verdict::Retry(why), true) => Action::DeadLetter(why),
        (Verdict::Silent(why), true) if attempt >= TRIES_UNSAID => Action::DeadLetter(why),
        (Verdict::Retry(why) | Verdict::Silent(why), _) => Action::Fail(why),
        (Verdict::Away(_), _) => Action::Release,
    }
}

/// How often is tried what the application says nothing to, before that counts as an answer.
pub const TRIES_UNSAID: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_application_says_is_done() {
        let why = || "x".to_owned();
        for (verdict, with, without) in [
            (Verdict::Done, Action::Acknowledge, Action::Acknowledge),
            (Verdict::Drop(why()), Action::DeadLetter(why()), Action::Drop(why())),
            (Verdict::Retry(why()), Action::DeadLetter(why()), Action::Fail(why())),
            (Verdict::Silent(why()), Action::Fail(why()), Action::Fail(why())),
            (Verdict::Away(why()), Action::Release, Action::Release),
        ] {
            assert_eq!(action(verdict.clone(), 1, true), with, "{verdict:?}");
            assert_eq!(action(verdict.clone(), 1, false), without, "{verdict:?}");
        }
    }

    #[test]
    fn what_it_says_nothing_to_is_a_dead_letter_in_the_end() {
        let silent = || Verdict::Silent("x".to_owned());
        assert_eq!(action(silent(), TRIES_UNSAID, true), Action::DeadLetter("x".to_owned()));
        assert_eq!(action(silent(), 1_000, false), Action::Fail("x".to_owned()));
        assert_eq!(action(Verdict::Away("x".to_owned()), 1_000, true), Action::Release);
    }
}
