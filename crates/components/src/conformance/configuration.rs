//! What every [`Store`] of configuration must do, as stories: one suite, run against each implementation.
//!
//! ```text
//! components::configuration_conformance_tests!(Mine::new().await);
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Reply;
use crate::configuration::{Change, Item, Store, Watch};

/// Something that has an empty store of configuration, and can set what is in it.
pub trait Subject: Sync {
    /// The store.
    fn configuration(&self) -> Box<dyn Store + '_>;

    /// What whoever watches has to say; nothing, mostly.
    fn metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Sets an item to a value and a version, or takes it away.
    fn set<'a>(&'a self, key: &'a str, item: Option<(&'a str, &'a str)>) -> Reply<'a, ()>;
}

/// Items are read by their keys, or all of them; those that are not there are left out.
pub async fn items_are_read(subject: &dyn Subject) {
    let store = subject.configuration();
    assert!(store.get(&[]).await.expect("an answer").is_empty());
    for (key, value, version) in [("b", "2", "v2"), ("a", "1", "v1"), ("c/ d", "{\"x\": [1]}", "v3")] {
        subject.set(key, Some((value, version))).await;
    }
    let all = store.get(&[]).await.expect("an answer");
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c/ d"]);
    assert_eq!((all["a"].value.as_str(), all["a"].version.as_str()), ("1", "v1"));
    let some = store.get(&keys(&["b", "none", "c/ d", "b"])).await.expect("an answer");
    assert_eq!(some.keys().collect::<Vec<_>>(), ["b", "c/ d"]);
    assert_eq!(some["c/ d"].value, "{\"x\": [1]}");
    subject.set("a", None).await;
    assert_eq!(store.get(&keys(&["a"])).await, Ok(BTreeMap::new()));
}

/// Whoever watches is told of what changes, and only of what it watches.
pub async fn changes_are_told_in_their_order(subject: &dyn Subject) {
    let store = subject.configuration();
    subject.set("a", Some(("0", ""))).await;
    let mut some = store.watch(&keys(&["a", "none"]), &subject.metadata()).await.expect("it is watched");
    let mut all = store.watch(&[], &subject.metadata()).await.expect("it is watched");
    for (key, value) in [("b", "1"), ("a", "2")] {
        subject.set(key, Some((value, "v"))).await;
    }
    assert_eq!(told(&mut *some).await, ("a".to_owned(), Some("2".to_owned())));
    assert_eq!(told(&mut *all).await, ("b".to_owned(), Some("1".to_owned())));
    assert_eq!(told(&mut *all).await, ("a".to_owned(), Some("2".to_owned())));
    subject.set("a", None).await;
    assert_eq!(told(&mut *some).await, ("a".to_owned(), None));
    assert_eq!(told(&mut *all).await, ("a".to_owned(), None));
    // Who stops waiting misses nothing.
    assert!(tokio::time::timeout(Duration::from_millis(20), some.next()).await.is_err());
    subject.set("none", Some(("3", "v"))).await;
    assert_eq!(told(&mut *some).await, ("none".to_owned(), Some("3".to_owned())));
}

/// Who is slow is told of the last state of each item, whatever was told of before.
pub async fn who_is_slow_sees_how_it_ends(subject: &dyn Subject) {
    let store = subject.configuration();
    let mut watch = store.watch(&keys(&["a"]), &subject.metadata()).await.expect("it is watched");
    for n in 0..CHANGES {
        subject.set("a", Some((&n.to_string(), "v"))).await;
    }
    let last = (CHANGES - 1).to_string();
    let mut before = -1;
    loop {
        let (_, value) = told(&mut *watch).await;
        let value = value.expect("it is there");
        let number: i32 = value.parse().expect("a number");
        assert!(number >= before, "{number} after {before}");
        before = number;
        if value == last {
            break;
        }
    }
}

async fn told(watch: &mut dyn Watch) -> (String, Option<String>) {
    let told = tokio::time::timeout(PATIENCE, watch.next()).await.expect("told in time");
    let Change { key, item } = told.expect("told");
    (key, item.map(|Item { value, .. }| value))
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// How often an item is changed that somebody watches slowly.
const CHANGES: i32 = 200;
/// On a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A test for each story, with a subject of its own. The expression may `.await`.
#[macro_export]
macro_rules! configuration_conformance_tests {
    ($subject:expr) => {
        $crate::configuration_conformance_tests!(@ $subject;
            items_are_read changes_are_told_in_their_order who_is_slow_sees_how_it_ends
        );
    };
    (@ $subject:expr; $($story:ident)*) => {
        $(
            #[tokio::test]
            async fn $story() {
                let subject = $subject;
                $crate::conformance::configuration::$story(&subject).await;
            }
        )*
    };
}
