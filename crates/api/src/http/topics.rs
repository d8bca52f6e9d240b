//! Topics over HTTP, as operators have them.

use bytes::Bytes;
use engine::blocks::topic::Which;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, empty, json_text};
use super::call::{Asked, Call, decoded};
use super::json::{Object, object};
use super::query::Query;
use crate::duration::Lasting;
use crate::error::Error;
use crate::payload;
use crate::time::{self, rfc3339_millis};
use crate::topics::{ACTIONS, Failed, GIVEN_UP, Group, Look, OnFailure, To, Topic, Topics, invalid, word};

/// `topics/PUBSUB` and what is below it.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    let Some((pubsub, rest)) = rest.split_first() else { return Err(call.no_route()) };
    let (api, pubsub) = (call.api, decoded(pubsub)?);
    let topics = || api.topics(&pubsub);
    let Some((topic, rest)) = rest.split_first() else {
        return match call.head.method {
            Method::GET => list(&topics()?, call).await,
            _ => Err(call.no_route()),
        };
    };
    let topic = &*decoded(topic)?;
    let (method, rest) = (&call.head.method, rest);
    let is_known = matches!(
        (method, rest),
        (&Method::GET, [] | ["messages"] | ["groups", _] | ["groups", _, "failed"])
            | (&Method::PUT | &Method::DELETE, ["groups", _])
            | (&Method::POST, ["groups", _, "seek" | "resolve"])
    );
    if !is_known {
        return Err(call.no_route());
    }
    let topics = topics()?;
    let topic = topics.topic(topic)?;
    match rest {
        [] => json_text(&told(&topic.found().await?)),
        ["messages"] => messages(&topic, call.query()).await,
        ["groups", group] => {
            let group = decoded(group)?;
            match call.head.method {
                Method::GET => get_group(&topic, &group).await,
                Method::PUT => define_group(&topic, &group, call).await,
                _ => {
                    let once = call.asked().await?.once;
                    topic.once(once.as_ref()).unsubscribe(&group).await?;
                    Ok(empty())
                }
            }
        }
        ["groups", group, "failed"] => failed(&topic, &decoded(group)?, call.query()).await,
        ["groups", group, "seek"] => seek(topic, &decoded(group)?, call).await,
        ["groups", group, _] => resolve(topic, &decoded(group)?, call).await,
        _ => Err(call.no_route()),
    }
}

async fn list(topics: &Topics<'_>, call: Call<'_>) -> Answer {
    let query = call.query();
    let max = most(query, LISTED_DEFAULT, LISTED_MAX)?;
    let found = topics.list(query.get("after").as_deref(), max).await?;
    json_text(&json!({ "topics": found.iter().map(told).collect::<Vec<_>>() }))
}

async fn messages(topic: &Topic<'_>, query: Query<'_>) -> Answer {
    let number = |name: &str| {
        let number = query.get(name).map(|text| text.parse::<u64>().map_err(|_| text));
        number.transpose().map_err(|odd| invalid(format!("{name} is no number: {odd:?}")))
    };
    let partition = number("partition")?.unwrap_or_default();
    let partition =
        u32::try_from(partition).map_err(|_| invalid(format!("there is no partition {partition}")))?;
    let from = number("from")?.unwrap_or_default();
    let found = topic.read(partition, from, most(query, READ_DEFAULT, READ_MAX)?).await?;
    let messages: Vec<Message<'_>> = found
        .iter()
        .map(|message| Message {
            partition,
            offset: message.offset,
            time: rfc3339_millis(message.time.as_millis()),
            key: String::from_utf8_lossy(&message.attributes.key).into_owned(),
            metadata: message
                .attributes
                .headers
                .iter()
                .map(|header| (header.name.as_str(), String::from_utf8_lossy(&header.value).into_owned()))
                .collect(),
            payload: payload::Told::of(&message.payload, &message.attributes.content_type),
        })
        .collect();
    json_text(&json!({ "messages": messages }))
}

async fn get_group(topic: &Topic<'_>, name: &str) -> Answer {
    let (group, on) = topic.group(name).await?;
    let mut told = told_group(name, &group);
    told["onFailure"] = json!({
        "attemptsMax": on.attempts_max,
        "backoff": Lasting::of_millis(on.backoff_ms.unwrap_or_default()),
        "backoffMax": Lasting::of_millis(on.backoff_max_ms.unwrap_or_default()),
        "givenUp": GIVEN_UP.iter().find(|(_, one)| *one == on.given_up).map(|(name, _)| name),
    });
    if let Some(topic) = on.dead_letter {
        told["onFailure"]["deadLetter"] = topic.into();
    }
    json_text(&told)
}

/// Sets all of it: what is not named is as by default; with `null` what holds for the topic holds again.
async fn define_group(topic: &Topic<'_>, group: &str, call: Call<'_>) -> Answer {
    let body = call.body().await.map_err(Error::malformed_body)?;
    let Object(Defined { on_failure }) = serde_json::from_slice(&body).map_err(Error::not_json)?;
    let on = on_failure.map(|Object(on)| on.lower()).transpose()?;
    topic.define_group(group, on).await?;
    Ok(empty())
}

async fn seek(topic: Topic<'_>, group: &str, call: Call<'_>) -> Answer {
    let Asked { body, once } = call.asked().await?;
    let Object(wanted): Object<Wanted> = serde_json::from_slice(&body).map_err(Error::not_json)?;
    topic.once(once.as_ref()).seek(group, wanted.to()?).await?;
    Ok(empty())
}

async fn failed(topic: &Topic<'_>, group: &str, query: Query<'_>) -> Answer {
    let found = topic.failed(group, most(query, READ_DEFAULT, READ_MAX)?).await?;
    json_text(&json!({ "messages": found.iter().map(told_failed).collect::<Vec<_>>() }))
}

async fn resolve(topic: Topic<'_>, group: &str, call: Call<'_>) -> Answer {
    let Asked { body, once } = call.asked().await?;
    let wanted: Resolved = object(&body)?;
    let name = wanted.action.as_deref().unwrap_or_default();
    let action = ACTIONS.iter().find(|(known, _)| *known == name).map(|(_, action)| *action);
    let action = action.ok_or_else(|| {
        let names = ACTIONS.map(|(name, _)| name).join(", ");
        invalid(format!("the action {name:?} is none of {names}"))
    })?;
    let which = match (wanted.key, wanted.offset, wanted.partition) {
        (None, None, _) => Which::All(true),
        (Some(key), None, _) => Which::Key(Bytes::from(key)),
        (None, Some(offset), Some(_)) => Which::Offset(offset),
        (None, Some(_), None) => return Err(invalid("an offset is one of a partition: name that, too")),
        (Some(_), Some(_), _) => return Err(invalid("name a key or an offset, not both")),
    };
    let topic = topic.once(once.as_ref());
    let count = topic.resolve(group, wanted.partition, &which, action).await?;
    json_text(&json!({ "resolved": count }))
}

fn told(look: &Look) -> Value {
    let sum = |of: fn(&engine::blocks::topic::Partition) -> u64| -> u64 {
        look.partitions.iter().map(|(_, counts)| of(counts)).sum()
    };
    let partitions: Vec<Value> = look
        .partitions
        .iter()
        .map(|(number, counts)| {
            json!({
                "partition": number, "first": counts.first, "next": counts.next,
                "messages": counts.messages, "bytes": counts.bytes, "delayed": counts.delayed,
            })
        })
        .collect();
    json!({
        "name": look.name,
        "messages": sum(|counts| counts.messages),
        "bytes": sum(|counts| counts.bytes),
        "delayed": sum(|counts| counts.delayed),
        "partitions": partitions,
        "groups": look.groups.iter().map(|(name, group)| told_group(name, group)).collect::<Vec<_>>(),
    })
}

fn told_group(name: &str, group: &Group) -> Value {
    let at = |(partition, offset, lag): &(u32, u64, u64)| json!({ "partition": partition, "offset": offset, "lag": lag });
    json!({
        "name": name,
        "lag": group.lag,
        "aside": group.aside,
        "missed": group.missed,
        "skipped": group.skipped,
        "dead": group.dead,
        "partitions": group.at.iter().map(at).collect::<Vec<_>>(),
    })
}

fn told_failed(failed: &Failed) -> Value {
    let Failed { partition, offset, aside } = failed;
    let failures = aside
        .history
        .iter()
        .map(|failure| json!({ "at": rfc3339_millis(failure.time), "cause": failure.cause }));
    let mut told = json!({
        "partition": partition,
        "offset": offset,
        "state": word(aside.waits()),
        "attempts": aside.attempts,
        "failures": failures.collect::<Vec<_>>(),
    });
    if !aside.key.is_empty() {
        told["key"] = String::from_utf8_lossy(&aside.key).into();
    }
    if aside.next > 0 {
        told["next"] = rfc3339_millis(aside.next).into();
    }
    told
}

fn most(query: Query<'_>, default: usize, most: usize) -> Result<usize, Error> {
    let max = query.get("max").map(|text| text.parse().ok().filter(|max| (1..=most).contains(max)));
    max.unwrap_or(Some(default)).ok_or_else(|| invalid(format!("max is no number from 1 to {most}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Defined {
    on_failure: Option<Object<Written>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    attempts_max: Option<u32>,
    backoff: Option<Lasting>,
    backoff_max: Option<Lasting>,
    given_up: Option<String>,
    dead_letter: Option<String>,
}

impl Written {
    fn lower(self) -> Result<OnFailure, Error> {
        let name = self.given_up.as_deref().unwrap_or("park");
        let given_up = GIVEN_UP.iter().find(|(known, _)| *known == name).map(|(_, given_up)| *given_up);
        let given_up = given_up.ok_or_else(|| {
            let names = GIVEN_UP.map(|(name, _)| name).join(", ");
            invalid(format!("givenUp is {name:?}, which is none of {names}"))
        })?;
        Ok(OnFailure {
            attempts_max: self.attempts_max,
            backoff_ms: self.backoff.map(Lasting::millis),
            backoff_max_ms: self.backoff_max.map(Lasting::millis),
            given_up,
            dead_letter: self.dead_letter,
        })
    }
}

/// Where a group is to go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    to: Option<String>,
    time: Option<String>,
    partition: Option<u32>,
    offset: Option<u64>,
}

impl Wanted {
    fn to(self) -> Result<To, Error> {
        match (self.to.as_deref(), self.time, self.partition, self.offset) {
            (Some("start"), None, None, None) => Ok(To::Start),
            (Some("end"), None, None, None) => Ok(To::End),
            (None, Some(text), None, None) => {
                let millis = time::parse(&text).map_err(invalid)?;
                Ok(To::Time(engine::blocks::Time::from_millis(millis)))
            }
            (None, None, Some(partition), Some(offset)) => Ok(To::Offset { partition, offset }),
            _ => Err(invalid(
                "say where to: {\"to\":\"start\"}, {\"to\":\"end\"}, {\"time\":\"2026-01-31T10:00:00Z\"}, or {\"partition\":0,\"offset\":7}",
            )),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Resolved {
    action: Option<String>,
    key: Option<String>,
    partition: Option<u32>,
    offset: Option<u64>,
}

#[derive(Serialize)]
struct Message<'a> {
    partition: u32,
    offset: u64,
    time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    key: String,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    metadata: std::collections::BTreeMap<&'a str, String>,
    #[serde(flatten)]
    payload: payload::Told<'a>,
}

/// How many topics are listed where nobody says how many.
const LISTED_DEFAULT: usize = 100;
/// Most topics that are listed at once.
const LISTED_MAX: usize = 1_000;
/// How many messages are told where nobody says how many.
const READ_DEFAULT: usize = 10;
/// Most messages that are told at once.
const READ_MAX: usize = 100;
