//! What follows from what came of an event, carried out as far as its broker is not concerned.

use std::time::Duration;

use ::http::StatusCode;
use components::pubsub::{self, Delivery, Message, Receipt};
use tokio::time::timeout;
use tonic::Code;

use super::hush::Hush;
use crate::api::Api;
use crate::error::Error;
use crate::pubsub::Subscribed;
use crate::subscription::answer::Verdict;
use crate::subscription::event::Head;
use crate::subscription::settle::{Action, action};
use crate::subscription::{DEAD_LETTER_CAUSE, DEAD_LETTER_TOPIC, Subscription};

/// What a broker is to be told of an event.
#[derive(Debug)]
pub(super) enum Settled {
    /// The group is done with it.
    Done(Receipt),
    /// It is to be tried again after a wait.
    Failed(Receipt, String),
    /// It is given back: the application is not there.
    Away(Receipt, String),
}

/// Says what has to be said, and has a dead letter taken where those go.
pub(super) async fn settled(
    api: &Api,
    subscription: &Subscription,
    delivery: &Delivery,
    verdict: Verdict,
    hush: &Hush,
) -> Settled {
    let receipt = delivery.receipt;
    if let Verdict::Away(why) = verdict {
        return Settled::Away(receipt, why);
    }
    let tell = |became: &str, why: &str| {
        let id = Head::of(&delivery.message.data).map(|head| head.id().into_owned()).unwrap_or_default();
        let Subscription { topic, pubsub, .. } = subscription;
        hush.say(api, &format!("event {id:?} of topic {topic:?} of {pubsub:?} {became}: {why}"));
    };
    match action(verdict, delivery.attempt, subscription.dead_letter.is_some()) {
        Action::Acknowledge | Action::Release => Settled::Done(receipt),
        Action::Drop(why) => {
            tell("is dropped", &why);
            Settled::Done(receipt)
        }
        Action::Fail(why) => {
            tell("is tried again", &why);
            Settled::Failed(receipt, why)
        }
        Action::DeadLetter(why) => {
            match timeout(DEAD_LETTER, dead_letter(api, subscription, delivery, &why)).await {
                Ok(Ok(())) => {
                    tell("is a dead letter", &why);
                    Settled::Done(receipt)
                }
                Ok(Err(error)) => {
                    tell("is tried again, for it cannot be made a dead letter", &error);
                    Settled::Failed(receipt, error)
                }
                Err(_) => Settled::Failed(receipt, "it could not be made a dead letter in time".to_owned()),
            }
        }
    }
}

/// The event as it is, with where it comes from and why.
async fn dead_letter(
    api: &Api,
    subscription: &Subscription,
    delivery: &Delivery,
    why: &str,
) -> Result<(), String> {
    let Some(to) = &subscription.dead_letter else { return Ok(()) };
    let mut message = Message { ttl: None, ..delivery.message.clone() };
    let cause: String = why.chars().filter(|c| !c.is_control()).take(CAUSE_CHARS_MAX).collect();
    message.metadata.insert(DEAD_LETTER_TOPIC.to_owned(), subscription.topic.clone());
    message.metadata.insert(DEAD_LETTER_CAUSE.to_owned(), cause);
    let broker = api.pubsub(&subscription.pubsub).map_err(|error| error.message)?;
    broker.send(to, message).await.map_err(|error| error.to_string())
}

/// Tells a broker what came of events. Why the application was not there, if it was not.
pub(super) async fn told(held: &Subscribed, settled: &[Settled]) -> Result<Option<String>, pubsub::Error> {
    let (mut done, mut back, mut away) = (Vec::with_capacity(settled.len()), Vec::new(), None);
    for one in settled {
        match one {
            Settled::Done(receipt) => done.push(*receipt),
            Settled::Failed(receipt, why) => held.fail(*receipt, why).await?,
            Settled::Away(receipt, why) => {
                back.push(*receipt);
                away = Some(why.clone());
            }
        }
    }
    if !done.is_empty() {
        held.acknowledge(&done).await?;
    }
    if !back.is_empty() {
        held.release(&back).await?;
    }
    Ok(away)
}

impl Settled {
    /// Which event it is about.
    pub(super) fn receipt(&self) -> Receipt {
        match self {
            Settled::Done(receipt) | Settled::Failed(receipt, _) | Settled::Away(receipt, _) => *receipt,
        }
    }
}

/// The application may not subscribe to this topic.
pub(super) fn forbidden(topic: &str, pubsub: &str) -> Error {
    let message = format!("subscription to topic '{topic}' on pubsub '{pubsub}' is not allowed");
    Error::new("ERR_PUBSUB_FORBIDDEN", StatusCode::FORBIDDEN, Code::PermissionDenied, message)
}

/// How long it may take until a dead letter is where those go.
const DEAD_LETTER: Duration = Duration::from_secs(30);
/// As much of a cause as is kept with a dead letter.
const CAUSE_CHARS_MAX: usize = 500;
