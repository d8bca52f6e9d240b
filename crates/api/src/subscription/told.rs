//! What an application tells of the topics that it subscribes to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Bulk, Knobs, Origin, Route, Routes, Rule, Subscription};
use crate::proto::dapr::runtime::v1 as proto;

/// The subscriptions that make sense, and a sentence for each that does not.
pub(crate) type Told = (Vec<Arc<Subscription>>, Vec<String>);

/// What the answer to `GET /dapr/subscribe` tells.
///
/// # Errors
///
/// Why nothing of it can be understood.
pub(crate) fn of_json(body: &[u8]) -> Result<Told, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if value.is_null() {
        return Ok(Told::default());
    }
    let Value::Array(items) = lower_keys(value) else { return Err("it is no list".to_owned()) };
    Ok(sorted(items, |item| {
        let item: Item = Item::deserialize(item).map_err(|error| format!("cannot be read: {error}"))?;
        if item.routes.rules.is_empty() && item.routes.default.is_empty() && item.route.is_empty() {
            return Err(format!("has no route ({})", item.named()));
        }
        Ok(item)
    }))
}

/// What the answer to `ListTopicSubscriptions` tells. An application that names no route gets all on one without a name.
pub(crate) fn of_grpc(response: proto::ListTopicSubscriptionsResponse) -> Told {
    sorted(response.subscriptions, |told| Ok(Item::from(told)))
}

fn sorted<I>(items: Vec<I>, read: impl Fn(I) -> Result<Item, String>) -> Told {
    let (mut subscriptions, mut lines) = Told::default();
    for (place, item) in items.into_iter().enumerate() {
        if place == SUBSCRIPTIONS_MAX {
            lines.push(format!(
                "the application told more than {SUBSCRIPTIONS_MAX} subscriptions; the others are left out"
            ));
            break;
        }
        match read(item).and_then(Item::subscription) {
            Ok(subscription) => subscriptions.push(Arc::new(subscription)),
            Err(why) => lines.push(format!(
                "the subscription number {} that the application told is left out: it {why}",
                place + 1
            )),
        }
    }
    (subscriptions, lines)
}

/// The same with all keys of objects in lower case, but for those of `metadata`, which are the application's.
pub(super) fn lower_keys(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(lower_keys).collect(),
        Value::Object(fields) => {
            let lower = |(key, value): (String, Value)| {
                let key = key.to_lowercase();
                let value = if key == "metadata" { value } else { lower_keys(value) };
                // To most languages it is as good as nothing.
                (!value.is_null()).then_some((key, value))
            };
            Value::Object(fields.into_iter().filter_map(lower).collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    pubsubname: String,
    topic: String,
    route: String,
    routes: ItemRoutes,
    deadlettertopic: String,
    #[serde(deserialize_with = "texts")]
    metadata: BTreeMap<String, String>,
    bulksubscribe: ItemBulk,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ItemRoutes {
    rules: Vec<ItemRule>,
    default: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ItemRule {
    #[serde(rename = "match")]
    condition: String,
    path: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ItemBulk {
    enabled: bool,
    maxmessagescount: i64,
    maxawaitdurationms: i64,
}

/// A number or a truth value is as good as its text.
fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let fields = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(fields.into_iter().map(|(key, value)| (key, text(value))).collect())
}

impl Item {
    fn named(&self) -> String {
        format!("topic {:?} of {:?}", self.topic, self.pubsubname)
    }

    fn subscription(self) -> Result<Subscription, String> {
        if self.pubsubname.is_empty() || self.topic.is_empty() {
            return Err(format!("names no pubsub or no topic ({})", self.named()));
        }
        if self.deadlettertopic == self.topic {
            return Err(format!("has its own topic for dead letters ({})", self.named()));
        }
        let named = self.named();
        let rule = |rule: ItemRule| {
            let read = Rule::new(&rule.condition, &rule.path);
            read.map_err(|why| format!("has the rule {:?} ({named}): {why}", rule.condition))
        };
        let rules = self.routes.rules.into_iter().map(rule).collect::<Result<Vec<_>, _>>()?;
        let default = match (self.routes.default, self.route) {
            (default, _) if !default.is_empty() => Some(Route::new(&default)),
            (_, route) if !route.is_empty() || rules.is_empty() => Some(Route::new(&route)),
            _ => None,
        };
        let knobs = Knobs::new(&self.metadata).map_err(|odd| format!("has the metadata {odd} ({named})"))?;
        let bulk = self.bulksubscribe;
        Ok(Subscription {
            pubsub: self.pubsubname,
            topic: self.topic,
            routes: Routes { rules, default },
            dead_letter: Some(self.deadlettertopic).filter(|topic| !topic.is_empty()),
            metadata: self.metadata,
            knobs,
            bulk: bulk.enabled.then(|| Bulk::new(bulk.maxmessagescount, bulk.maxawaitdurationms)),
            origin: Origin::Programmatic,
        })
    }
}

impl From<proto::TopicSubscription> for Item {
    fn from(told: proto::TopicSubscription) -> Item {
        let routes = told.routes.unwrap_or_default();
        let bulk = told.bulk_subscribe.unwrap_or_default();
        let rule = |rule: proto::TopicRule| ItemRule { condition: rule.r#match, path: rule.path };
        Item {
            pubsubname: told.pubsub_name,
            topic: told.topic,
            route: String::new(),
            routes: ItemRoutes {
                rules: routes.rules.into_iter().map(rule).collect(),
                default: routes.default,
            },
            deadlettertopic: told.dead_letter_topic,
            metadata: told.metadata,
            bulksubscribe: ItemBulk {
                enabled: bulk.enabled,
                maxmessagescount: bulk.max_messages_count.into(),
                maxawaitdurationms: bulk.max_await_duration_ms.into(),
            },
        }
    }
}

/// Most subscriptions that an application tells.
const SUBSCRIPTIONS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn told(json: &str) -> Told {
        of_json(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    #[test]
    fn keys_are_taken_in_any_case_and_a_route_without_its_slash() {
        let (all, lines) = told(
            r#"[{"PubsubName":"p","Topic":"t","Route":"orders","Metadata":{"RawPayload":"true","Mine":"X"}},
                {"pubsubname":"p","topic":"u","routes":{"rules":[{"match":"event.type == 'a'","path":"/a"}],"default":"/d"},
                 "deadLetterTopic":"dead","bulkSubscribe":{"enabled":true,"maxMessagesCount":5,"maxAwaitDurationMs":20}},
                {"pubsubname":"p","topic":"v","route":"/v","deadLetterTopic":null,"routes":{"rules":null,"default":null},"metadata":null,"bulkSubscribe":null}]"#,
        );
        assert_eq!(lines, Vec::<String>::new());
        assert_eq!(all[0].routes.default.as_ref().unwrap().path, "/orders");
        assert!(all[0].knobs.raw && all[0].metadata["Mine"] == "X" && all[0].bulk.is_none());
        assert_eq!(all[1].routes.rules[0].text(), "event.type == 'a'");
        assert_eq!(all[1].dead_letter.as_deref(), Some("dead"));
        assert_eq!(all[1].bulk, Some(Bulk { messages_max: 5, wait_max: Duration::from_millis(20) }));
        assert_eq!(all[2].routes.default.as_ref().unwrap().path, "/v");
    }

    #[test]
    fn what_makes_no_sense_is_left_out_and_told() {
        let (all, lines) = told(
            r#"[{"pubsubname":"p","topic":"a"},{"topic":"b","route":"/b"},{"pubsubname":"p","route":"/c"},
                {"pubsubname":"p","topic":"d","routes":{"rules":[{"match":"event.","path":"/d"}]}},
                {"pubsubname":"p","topic":"e","route":"/e","metadata":{"concurrency":"0"}},
                {"pubsubname":"p","topic":"f","route":"/f","deadLetterTopic":"f"},
                {"pubsubname":"p","topic":"good","routes":{"rules":[{"path":"/all"}]}}]"#,
        );
        assert_eq!(all.iter().map(|one| &*one.topic).collect::<Vec<_>>(), ["good"]);
        assert_eq!(lines.len(), 6, "{lines:#?}");
        assert!(lines[0].ends_with("is left out: it has no route (topic \"a\" of \"p\")"), "{lines:?}");
        for nothing in ["", "{", "{}", "1"] {
            assert!(of_json(nothing.as_bytes()).is_err(), "{nothing}");
        }
        let (all, lines) =
            told(r#"[1, {"topic":1}, [], {"pubsubname":"p","topic":"t","route":"r","metadata":{"a":1}}]"#);
        assert_eq!((all.len(), lines.len(), &*all[0].metadata["a"]), (1, 3, "1"));
        assert_eq!(told("null").0.len() + told("[]").0.len(), 0);
    }

    #[test]
    fn an_application_that_speaks_grpc_need_not_name_a_route() {
        let one = proto::TopicSubscription {
            pubsub_name: "p".to_owned(),
            topic: "t".to_owned(),
            bulk_subscribe: Some(proto::BulkSubscribeConfig { enabled: true, ..Default::default() }),
            ..Default::default()
        };
        let (all, lines) = of_grpc(proto::ListTopicSubscriptionsResponse { subscriptions: vec![one] });
        assert_eq!((all.len(), lines.len()), (1, 0));
        assert_eq!(all[0].routes.default.as_ref().unwrap().text, "");
        assert_eq!(all[0].bulk, Some(Bulk::new(0, 0)));
    }
}
