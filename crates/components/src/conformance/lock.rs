//! What every [`Store`] of locks must do, as stories: one suite, run against each implementation.
//!
//! ```text
//! components::lock_conformance_tests!(Mine::new().await);
//! ```

use std::time::{Duration, Instant};

use crate::lock::{Store, Unlocked};

/// Something that has a store of locks, none of them held.
pub trait Subject {
    /// The store.
    fn locks(&self) -> Box<dyn Store + '_>;
}

/// Of those who want a lock one has it, who does not get it again either.
pub async fn a_lock_has_one_holder(store: &dyn Store) {
    let (a, b, c) = tokio::join!(taken(store, "l", "a"), taken(store, "l", "b"), taken(store, "l", "c"));
    let held = [a, b, c].iter().filter(|held| **held).count();
    assert_eq!(held, 1);
    let holder = if a {
        "a"
    } else if b {
        "b"
    } else {
        "c"
    };
    assert!(!taken(store, "l", holder).await);
    assert_eq!(unlocked(store, "l", holder).await, Unlocked::Done);
    assert!(taken(store, "l", "d").await);
}

/// A lock is given back by who holds it, once.
pub async fn only_its_holder_gives_a_lock_back(store: &dyn Store) {
    assert_eq!(unlocked(store, "l", "a").await, Unlocked::NotHeld);
    assert!(taken(store, "l", "a").await);
    assert_eq!(unlocked(store, "l", "b").await, Unlocked::Others);
    assert!(!taken(store, "l", "b").await);
    assert_eq!(unlocked(store, "l", "a").await, Unlocked::Done);
    assert_eq!(unlocked(store, "l", "a").await, Unlocked::NotHeld);
}

/// A lock is free when its time is over, for another too, whose lease the first does not end.
pub async fn a_lock_ends_by_time(store: &dyn Store) {
    let short = Duration::from_millis(20);
    assert!(store.try_lock(SCOPE, "l", "a", short).await.expect("an answer"));
    let begun = Instant::now();
    while !taken(store, "l", "b").await {
        assert!(begun.elapsed() < ENDED_WITHIN, "it is still held after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(unlocked(store, "l", "a").await, Unlocked::Others);
    assert_eq!(unlocked(store, "l", "b").await, Unlocked::Done);
}

/// The same name in two scopes is two locks, and so are two names.
pub async fn locks_are_apart(store: &dyn Store) {
    for (scope, name) in [("a", "l"), ("b", "l"), ("", "l"), ("a", "m"), ("a", "with space/%2F ключ")] {
        assert!(store.try_lock(scope, name, "o", LONG).await.expect("an answer"), "{scope} {name}");
    }
    assert_eq!(store.unlock("b", "l", "o").await, Ok(Unlocked::Done));
    assert_eq!(store.try_lock("a", "l", "p", LONG).await, Ok(false));
    assert_eq!(store.try_lock("", "l", "p", LONG).await, Ok(false));
    assert_eq!(store.try_lock("b", "l", "p", LONG).await, Ok(true));
}

async fn taken(store: &dyn Store, name: &str, owner: &str) -> bool {
    store.try_lock(SCOPE, name, owner, LONG).await.expect("an answer")
}

async fn unlocked(store: &dyn Store, name: &str, owner: &str) -> Unlocked {
    store.unlock(SCOPE, name, owner).await.expect("an answer")
}

/// Whose locks they are where that does not matter.
const SCOPE: &str = "app";
/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// On a busy machine.
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// A test for each story, with a subject of its own. The expression may `.await`.
#[macro_export]
macro_rules! lock_conformance_tests {
    ($subject:expr) => {
        $crate::lock_conformance_tests!(@ $subject;
            a_lock_has_one_holder only_its_holder_gives_a_lock_back a_lock_ends_by_time locks_are_apart
        );
    };
    (@ $subject:expr; $($story:ident)*) => {
        $(
            #[tokio::test]
            async fn $story() {
                let subject = $subject;
                let locks = $crate::conformance::lock::Subject::locks(&subject);
                $crate::conformance::lock::$story(&*locks).await;
            }
        )*
    };
}
