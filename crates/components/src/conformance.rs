//! What every [`Store`](crate::state::Store) must do, as stories: one suite, run against each implementation.
//!
//! A crate that implements `Store` says in its tests how one is opened, and gets a test for each story:
//!
//! ```text
//! struct Mine { /* a directory, a server, ... */ }
//! impl components::conformance::Subject for Mine { ... }
//! components::conformance_tests!(Mine::new().await);
//! ```
//!
//! The store must be empty at first.

pub mod configuration;
pub mod lock;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::state::{Condition, Error, Item, Operation, Store};

/// Something that has a store.
pub trait Subject {
    /// The store.
    fn store(&self) -> Box<dyn Store + '_>;
}

/// What is put is got, whatever its bytes.
pub async fn what_is_put_is_got(store: &dyn Store) {
    assert_eq!(get(store, "k").await, None);
    let values: [Bytes; 4] =
        ["{\"a\":1}".into(), Bytes::new(), Bytes::from_static(b"\0\xff\r\n"), vec![b'x'; 1 << 20].into()];
    for value in values {
        done(store.write(SCOPE, Operation::put("k", value.clone())).await);
        let item = got(store, "k").await;
        assert!(item.value == value && item.etag != 0 && item.expires.is_none(), "{} bytes", value.len());
    }
    for key in ["with space", "a/b", "%2F", "ключ", "||", "-1"] {
        done(store.write(SCOPE, Operation::put(key, key.to_owned())).await);
        assert_eq!(got(store, key).await.value, key);
    }
}

/// The same key in two scopes is two items.
pub async fn scopes_are_apart(store: &dyn Store) {
    for scope in ["a", "b", ""] {
        done(store.write(scope, Operation::put("k", scope.to_owned())).await);
    }
    done(store.write("b", Operation::delete("k")).await);
    for (scope, value) in [("a", Some("a")), ("b", None), ("", Some(""))] {
        let item = store.get(scope, "k").await.expect("it is read");
        assert_eq!(item.map(|item| item.value), value.map(Bytes::from), "{scope:?}");
    }
}

/// Every write changes the ETag, the same value included.
pub async fn every_write_changes_the_etag(store: &dyn Store) {
    let mut last = 0;
    for _ in 0..3 {
        done(store.write(SCOPE, Operation::put("k", "v")).await);
        let etag = got(store, "k").await.etag;
        assert_ne!(etag, last);
        last = etag;
    }
    assert_eq!(got(store, "k").await.etag, last, "reading changed it");
}

/// What names an ETag is done only while the item has it.
pub async fn an_etag_is_compared(store: &dyn Store) {
    done(store.write(SCOPE, Operation::put("k", "1")).await);
    let old = got(store, "k").await.etag;
    done(store.write(SCOPE, Operation::put("k", "2").only_if(Condition::Etag(old))).await);
    let item = got(store, "k").await;
    for late in [Operation::put("k", "3"), Operation::delete("k")] {
        conflicts(store.write(SCOPE, late.only_if(Condition::Etag(old))).await);
    }
    assert_eq!(got(store, "k").await, item);
    done(store.write(SCOPE, Operation::delete("k").only_if(Condition::Etag(item.etag))).await);
    for gone in [Operation::put("k", "4"), Operation::delete("k")] {
        conflicts(store.write(SCOPE, gone.only_if(Condition::Etag(item.etag))).await);
    }
    assert_eq!(get(store, "k").await, None);
}

/// What must not be there is put only once, and again when it is gone.
pub async fn only_what_is_not_there_is_inserted(store: &dyn Store) {
    let insert = |value: &'static str| Operation::put("k", value).only_if(Condition::Absent);
    done(store.write(SCOPE, insert("1")).await);
    conflicts(store.write(SCOPE, insert("2")).await);
    assert_eq!(got(store, "k").await.value, "1");
    done(store.write(SCOPE, Operation::put("k", "3")).await);
    done(store.write(SCOPE, Operation::delete("k")).await);
    done(store.write(SCOPE, insert("4")).await);
    assert_eq!(got(store, "k").await.value, "4");
}

/// Of several that write at a time one wins, and no update of the others is lost when they try again.
pub async fn nothing_is_lost_between_writers(store: &dyn Store) {
    let insert = || store.write(SCOPE, Operation::put("once", "").only_if(Condition::Absent));
    let (a, b, c, d) = tokio::join!(insert(), insert(), insert(), insert());
    assert_eq!([a, b, c, d].iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let count = async || {
        for _ in 0..ROUNDS {
            while !counted(store).await {}
        }
    };
    tokio::join!(count(), count(), count(), count());
    assert_eq!(got(store, "count").await.value, (4 * ROUNDS).to_string());
}

/// Deleting what is not there is as good.
pub async fn what_is_not_there_is_deleted(store: &dyn Store) {
    done(store.write(SCOPE, Operation::delete("k")).await);
    done(store.write(SCOPE, Operation::put("k", "v")).await);
    done(store.write(SCOPE, Operation::delete("k")).await);
    done(store.write(SCOPE, Operation::delete("k")).await);
    assert_eq!(get(store, "k").await, None);
}

/// An item is gone when its time has passed, and not before; what is put without a time lives for ever again.
pub async fn items_expire(store: &dyn Store) {
    let begun = SystemTime::now();
    done(store.write(SCOPE, Operation::put("long", "v").for_(Duration::from_secs(100))).await);
    let expires = got(store, "long").await.expires.expect("it expires");
    let left = expires.duration_since(begun).expect("later than now");
    assert!((99..=105).contains(&left.as_secs()), "{left:?}");

    let short = Duration::from_millis(20);
    done(store.write(SCOPE, Operation::put("kept", "v").for_(short)).await);
    done(store.write(SCOPE, Operation::put("kept", "for ever")).await);
    done(store.write(SCOPE, Operation::put("gone", "v").for_(short)).await);
    let begun = Instant::now();
    while get(store, "gone").await.is_some() {
        assert!(begun.elapsed() < EXPIRED_WITHIN, "it is still there after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(got(store, "kept").await.expires.is_none());
    done(store.write(SCOPE, Operation::put("gone", "again").only_if(Condition::Absent)).await);
}

/// Several items are got in the order of their keys, those that are not there and those that come twice included.
pub async fn several_are_got_in_order(store: &dyn Store) {
    for key in ["a", "b"] {
        done(store.write(SCOPE, Operation::put(key, key.to_owned())).await);
    }
    let keys = ["b", "none", "a", "b"].map(str::to_owned);
    let items = store.get_many(SCOPE, &keys).await.expect("they are read");
    let values: Vec<_> = items.into_iter().map(|item| item.map(|item| item.value)).collect();
    assert_eq!(values, [Some("b".into()), None, Some("a".into()), Some("b".into())]);
    assert_eq!(store.get_many(SCOPE, &[]).await, Ok(Vec::new()));
}

/// Of several each is done by itself, in their order; what was not is told in its place.
pub async fn each_of_several_is_done_by_itself(store: &dyn Store) {
    done(store.write(SCOPE, Operation::put("there", "1")).await);
    let several = vec![
        Operation::put("new", "1"),
        Operation::put("there", "2").only_if(Condition::Absent),
        Operation::put("new", "2"),
        Operation::delete("there"),
        Operation::put("there", "3").only_if(Condition::Absent),
    ];
    let outcomes = store.write_many(SCOPE, several).await.expect("each is answered");
    let ok: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, false, true, true, true]);
    assert!(matches!(outcomes[1], Err(Error::Conflict(_))));
    assert_eq!((got(store, "new").await.value, got(store, "there").await.value), ("2".into(), "3".into()));
    assert_eq!(store.write_many(SCOPE, Vec::new()).await, Ok(Vec::new()));
}

/// Of a transaction all is done or nothing, and what comes later in it sees what came before.
pub async fn a_transaction_is_all_or_nothing(store: &dyn Store) {
    done(store.write(SCOPE, Operation::put("a", "1")).await);
    let etag = got(store, "a").await.etag;
    let refused = vec![
        Operation::put("a", "2"),
        Operation::put("b", "2"),
        Operation::delete("c").only_if(Condition::Etag(etag)),
    ];
    conflicts(store.transact(SCOPE, refused).await);
    assert_eq!((got(store, "a").await.etag, get(store, "b").await), (etag, None));
    let good = vec![
        Operation::delete("a").only_if(Condition::Etag(etag)),
        Operation::put("a", "2").only_if(Condition::Absent),
        Operation::put("b", "1"),
        Operation::put("b", "2").for_(Duration::from_secs(100)),
        Operation::delete("c"),
    ];
    done(store.transact(SCOPE, good).await);
    assert_eq!((got(store, "a").await.value, got(store, "b").await.value), ("2".into(), "2".into()));
    assert!(got(store, "b").await.expires.is_some());
    let twice = vec![Operation::put("a", "3"), Operation::put("a", "4").only_if(Condition::Absent)];
    conflicts(store.transact(SCOPE, twice).await);
    done(store.transact(SCOPE, Vec::new()).await);
    assert_eq!(got(store, "a").await.value, "2");
}

/// Adds one to a number, unless somebody else did meanwhile.
async fn counted(store: &dyn Store) -> bool {
    let item = get(store, "count").await;
    let (number, condition) = match &item {
        Some(item) => (String::from_utf8_lossy(&item.value).parse().unwrap_or(0), Condition::Etag(item.etag)),
        None => (0_u32, Condition::Absent),
    };
    match store.write(SCOPE, Operation::put("count", (number + 1).to_string()).only_if(condition)).await {
        Ok(()) => true,
        Err(Error::Conflict(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn get(store: &dyn Store, key: &str) -> Option<Item> {
    store.get(SCOPE, key).await.expect("it is read")
}

async fn got(store: &dyn Store, key: &str) -> Item {
    get(store, key).await.unwrap_or_else(|| panic!("there is no {key:?}"))
}

#[track_caller]
fn done(outcome: Result<(), Error>) {
    outcome.expect("it is done");
}

#[track_caller]
fn conflicts(outcome: Result<(), Error>) {
    assert!(matches!(outcome, Err(Error::Conflict(_))), "{outcome:?}");
}

/// Whose items they are where that does not matter.
const SCOPE: &str = "app";
/// How often each of four counts.
const ROUNDS: u32 = 20;
/// On a busy machine.
const EXPIRED_WITHIN: Duration = Duration::from_secs(20);

/// A test for each story, with a subject of its own. The expression may `.await`.
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests!(@ $subject;
            what_is_put_is_got scopes_are_apart every_write_changes_the_etag an_etag_is_compared
            only_what_is_not_there_is_inserted nothing_is_lost_between_writers what_is_not_there_is_deleted
            items_expire several_are_got_in_order each_of_several_is_done_by_itself a_transaction_is_all_or_nothing
        );
    };
    (@ $subject:expr; $($story:ident)*) => {
        $(
            #[tokio::test]
            async fn $story() {
                let subject = $subject;
                $crate::conformance::$story(&*$crate::conformance::Subject::store(&subject)).await;
            }
        )*
    };
}
