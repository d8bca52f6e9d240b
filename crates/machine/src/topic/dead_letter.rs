//! Dead letters: messages that were given up, sent to a topic of their own with what is known of them.
//!
//! The payload is pointed to once more, not copied, where the dead letter lies in the same shard. What is known
//! stands in headers whose names begin with [`PREFIX`]; a dead letter that dies again has those of its last
//! death.

use std::slice;

use super::aside::Aside;
use super::bury::Bury;
use super::group::Open;
use super::message::{Header, Message, NewMessage};
use super::settings::Failing;
use super::{partition_of, shard};
use crate::context::Context;
use crate::placement::Shards;

/// How the names of all headers begin that a dead letter has of its death.
pub const PREFIX: &str = "dead-letter-";

/// Sends a message to where its group's dead letters go. Says no if they go nowhere, or the way there is full.
pub(super) fn send(
    context: &mut Context<'_>,
    open: &Open<'_>,
    failing: &Failing,
    (offset, message): (u64, &Message),
    aside: &Aside,
) -> bool {
    let Some(to) = &failing.dead_letter else { return false };
    let partition = match message.attributes.key.is_empty() {
        true => open.number % to.partitions,
        false => partition_of(&message.attributes.key, to.partitions),
    };
    let shards = Shards::new(to.shards).expect("a number of shards that was checked");
    let target = shard(shards, &to.topic, partition);
    let letter = || {
        let mut letter = NewMessage { attributes: message.attributes.clone(), ..NewMessage::new(0) };
        letter.attributes.headers.retain(|header| !header.name.starts_with(PREFIX));
        letter.attributes.headers.extend(headers(open, offset, message, aside));
        Bury { topic: to.topic.clone(), partition, letter }.into()
    };
    context.send(target, slice::from_ref(&message.body), letter).is_ok()
}

fn headers(open: &Open<'_>, offset: u64, message: &Message, aside: &Aside) -> Vec<Header> {
    let cause = aside.history.last().map_or("", |failure| &failure.cause);
    let header = |name: &str, value: String| Header::text(format!("{PREFIX}{name}"), value);
    vec![
        header("cause", cause.to_owned()),
        header("attempts", aside.attempts.to_string()),
        header("topic", open.topic.to_owned()),
        header("partition", open.number.to_string()),
        header("offset", offset.to_string()),
        header("group", open.name.to_owned()),
        header("published", message.time.to_string()),
        header("history", history(aside)),
    ]
}

/// A line for each failure: when, in milliseconds since the epoch, and why.
fn history(aside: &Aside) -> String {
    let line = |cause: &str| cause.replace(char::is_control, " ");
    let lines = aside.history.iter().map(|failure| format!("{} {}", failure.time, line(&failure.cause)));
    lines.collect::<Vec<_>>().join("\n")
}
