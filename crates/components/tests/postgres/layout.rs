//! Items lie where Dapr would look for them, and those that Dapr has written are read.

use std::time::Duration;

use components::state::postgres::Version;
use components::state::{Condition, Error, Operation, Store};

use crate::Place;

#[tokio::test]
async fn in_the_first_layout_a_value_is_json_and_what_is_none_base64() {
    let place = Place::new(Version::V1).await;
    for (key, value) in
        [("json", &b"{\"a\":[1,null]}"[..]), ("order", b"{\"b\":1,\"a\":2}"), ("bytes", b"\0\xff")]
    {
        place.store.write("app", Operation::put(key, value)).await.expect("it is put");
    }
    assert_eq!(
        place.ask(
            "SELECT key, value, isbinary, expiredate IS NULL, updatedate IS NULL FROM state ORDER BY key"
        ),
        "app||bytes|\"AP8=\"|t|t|t\napp||json|{\"a\": [1, null]}|f|t|t\napp||order|\"eyJiIjoxLCJhIjoyfQ==\"|t|t|t"
    );
    assert_eq!(place.ask("SELECT value FROM dapr_metadata WHERE key = 'migrations'"), "2");
    let xmin: u64 = place.ask("SELECT xmin FROM state WHERE key = 'app||json'").parse().expect("a number");
    let item = place.store.get("app", "json").await.expect("it is read").expect("it is there");
    assert_eq!(item.etag, xmin);
}

#[tokio::test]
async fn in_the_second_layout_a_value_is_bytes() {
    let place = Place::with(Version::V2, &[("tablePrefix", "shop_")]).await;
    let put = Operation::put("k", "{\"b\":1,\"a\":2}").for_(Duration::from_secs(100));
    place.store.write("app", put).await.expect("it is put");
    assert_eq!(
        place.ask(
            "SELECT key, convert_from(value, 'UTF8'), expires_at > now(), updated_at IS NULL FROM shop_state"
        ),
        "app||k|{\"b\":1,\"a\":2}|t|t"
    );
    assert_eq!(place.ask("SELECT value FROM dapr_metadata WHERE key = 'migrations-state-v2-shop_'"), "1");
    let half = place.ask("SELECT left(replace(etag::text, '-', ''), 16) FROM shop_state");
    let item = place.store.get("app", "k").await.expect("it is read").expect("it is there");
    assert_eq!(format!("{:016x}", item.etag), half);
    place.store.write("app", Operation::put("k", "v")).await.expect("it is put");
    assert_eq!(place.ask("SELECT expires_at IS NULL, updated_at IS NULL FROM shop_state"), "t|f");
}

#[tokio::test]
async fn what_another_has_written_is_read_and_changed() {
    let first = Place::new(Version::V1).await;
    first.ask(
        "INSERT INTO state (key, value, isbinary) VALUES ('app||k', '{\"aa\": 1.50, \"b\": \"x y\"}', false), ('app||b', '\"AP8=\"', true)",
    );
    let second = Place::new(Version::V2).await;
    second.ask("INSERT INTO state (key, value) VALUES ('app||k', '\"theirs\"')");
    let got = async |place: &Place, key| place.store.get("app", key).await.expect("read").expect("there");
    assert_eq!(got(&first, "k").await.value, r#"{"b":"x y","aa":1.50}"#);
    assert_eq!(got(&first, "b").await.value, &b"\0\xff"[..]);
    assert_eq!(got(&second, "k").await.value, "\"theirs\"");
    for place in [&first, &second] {
        let etag = got(place, "k").await.etag;
        let ours = Operation::put("k", "1").only_if(Condition::Etag(etag));
        place.store.write("app", ours.clone()).await.expect("it is put");
        assert!(matches!(place.store.write("app", ours).await, Err(Error::Conflict(_))));
    }
}

#[tokio::test]
async fn what_was_there_before_is_used_and_several_may_start_at_once() {
    let place = Place::new(Version::V1).await;
    place.store.write("app", Operation::put("k", "1")).await.expect("it is put");
    let database = place.server.database();
    let open = |database: &'static str| crate::store(&place.server, database, Version::V2, &[]);
    let database: &'static str = database.leak();
    let (a, b, c) = tokio::join!(open(database), open(database), open(database));
    for store in [a, b, c] {
        store.expect("it answers").write("app", Operation::put("k", "1")).await.expect("it is put");
    }
    let again = crate::store(&place.server, &place.database, Version::V1, &[]).await.expect("it answers");
    assert!(again.get("app", "k").await.is_ok_and(|item| item.is_some()));
}

#[tokio::test]
async fn what_has_expired_is_deleted_after_a_while() {
    for (version, expired) in [(Version::V1, "expiredate"), (Version::V2, "expires_at")] {
        let place = Place::with(version, &[("cleanupInterval", "1")]).await;
        let short = Operation::put("k", "v").for_(Duration::from_millis(1));
        place.store.write("app", short).await.expect("it is put");
        place.store.write("app", Operation::put("kept", "v")).await.expect("it is put");
        let begun = std::time::Instant::now();
        while place.ask("SELECT key FROM state") != "app||kept" {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{}",
                place.ask(&format!("SELECT key, {expired} FROM state"))
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(
            place
                .ask("SELECT key FROM dapr_metadata WHERE key LIKE 'last-cleanup%'")
                .contains("last-cleanup")
        );
    }
}

#[tokio::test]
async fn what_the_database_refuses_is_told_and_harms_nothing() {
    for version in [Version::V1, Version::V2] {
        let place = Place::new(version).await;
        let odd = Operation::put("a\0b", "v");
        assert!(matches!(place.store.write("app", odd.clone()).await, Err(Error::Invalid(_))));
        let several = vec![Operation::put("a", "1"), odd.clone(), Operation::put("b", "2")];
        let outcomes = place.store.write_many("app", several.clone()).await.expect("each is answered");
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(matches!(place.store.transact("app", several).await, Err(Error::Invalid(_))));
        place.store.transact("app", vec![Operation::put("c", "3")]).await.expect("it is put");
        assert_eq!(place.ask("SELECT count(*) FROM state"), "3");
    }
}

#[tokio::test]
async fn transactions_that_stand_in_each_others_way_are_all_done() {
    let place = Place::new(Version::V2).await;
    let turn = async |keys: [&'static str; 2]| {
        for _ in 0..20 {
            let both = keys.map(|key| Operation::put(key, "v")).to_vec();
            place.store.transact("app", both).await.expect("it is done");
        }
    };
    tokio::join!(turn(["a", "b"]), turn(["b", "a"]), turn(["a", "b"]), turn(["b", "a"]));
}
