//! Where an event is brought, if it is.

use components::pubsub::Delivery;
use jiff::Timestamp;

use super::answer::Verdict;
use super::event::{self, Head};
use super::{Route, Subscription};

/// Where an event goes; otherwise what comes of it without the application being asked. What expired before it became a
/// dead letter is looked through all the same.
///
/// # Errors
///
/// If it is brought nowhere.
pub fn aim<'a>(
    subscription: &'a Subscription,
    delivery: &Delivery,
    now: impl FnOnce() -> Timestamp,
) -> Result<&'a Route, Verdict> {
    if !subscription.knobs.raw {
        let head = Head::of(&delivery.message.data).map_err(Verdict::Retry)?;
        let is_dead = delivery.message.metadata.contains_key(DEAD_LETTER_TOPIC);
        if head.expires().filter(|_| !is_dead).is_some_and(|until| until <= now()) {
            return Err(Verdict::Drop("it has expired".to_owned()));
        }
    }
    let routes = &subscription.routes;
    let route = match routes.are_by_content() {
        true => {
            event::seen(delivery, subscription).and_then(|event| routes.of(&event)).map_err(Verdict::Retry)?
        }
        false => routes.of(&cel::Value::Null).map_err(Verdict::Retry)?,
    };
    route.ok_or_else(|| Verdict::Drop("no rule holds for it, and there is no default route".to_owned()))
}

/// By which of its metadata a dead letter is known: the topic that it comes from.
pub const DEAD_LETTER_TOPIC: &str = "dead-letter-topic";
/// And why it is one.
pub const DEAD_LETTER_CAUSE: &str = "dead-letter-cause";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use components::pubsub::{Message, Receipt};

    use super::super::{Knobs, Origin, Routes, Rule};
    use super::*;

    fn subscription(raw: bool, rules: &[(&str, &str)], default: Option<&str>) -> Subscription {
        let rules = rules.iter().map(|(text, path)| Rule::new(text, path).unwrap()).collect();
        Subscription {
            pubsub: "p".to_owned(),
            topic: "t".to_owned(),
            routes: Routes { rules, default: default.map(Route::new) },
            dead_letter: None,
            metadata: BTreeMap::new(),
            knobs: Knobs { raw, ..Knobs::default() },
            bulk: None,
            origin: Origin::Declarative,
        }
    }

    fn goes(subscription: &Subscription, data: &'static str, metadata: &[&str]) -> Result<String, Verdict> {
        let metadata = metadata.iter().map(|key| ((*key).to_owned(), String::new())).collect();
        let message = Message { metadata, ..Message::new(data) };
        let delivery =
            Delivery { receipt: Receipt(0, 1), attempt: 1, published: SystemTime::UNIX_EPOCH, message };
        let now = || "2026-01-01T00:00:00Z".parse().unwrap();
        aim(subscription, &delivery, now).map(|route| route.text.clone())
    }

    #[test]
    fn events_go_where_they_belong() {
        let all = subscription(false, &[], Some("/all"));
        assert_eq!(goes(&all, "{}", &[]), Ok("/all".to_owned()));
        assert_eq!(goes(&all, r#"{"expiration":"2026-01-01T00:00:01Z"}"#, &[]), Ok("/all".to_owned()));
        assert!(matches!(goes(&all, r#"{"expiration":"2026-01-01T00:00:00Z"}"#, &[]), Err(Verdict::Drop(_))));
        let dead = goes(&all, r#"{"expiration":"2020-01-01T00:00:00Z"}"#, &[DEAD_LETTER_TOPIC]);
        assert_eq!(dead, Ok("/all".to_owned()));
        assert!(matches!(goes(&all, "text", &[]), Err(Verdict::Retry(_))));
        assert_eq!(goes(&subscription(true, &[], Some("/raw")), "text", &[]), Ok("/raw".to_owned()));
        let ruled = subscription(false, &[("event.data.n > 3", "/many")], None);
        assert_eq!(goes(&ruled, r#"{"data":{"n":4}}"#, &[]), Ok("/many".to_owned()));
        assert!(matches!(goes(&ruled, r#"{"data":{"n":3}}"#, &[]), Err(Verdict::Drop(_))));
        assert!(matches!(goes(&ruled, r#"{"data":{}}"#, &[]), Err(Verdict::Retry(_))));
        let raw =
            subscription(true, &[("event.datacontenttype == 'application/octet-stream'", "/bytes")], None);
        assert_eq!(goes(&raw, "text", &[]), Ok("/bytes".to_owned()));
    }
}
