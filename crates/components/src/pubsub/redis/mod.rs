//! `pubsub.redis`: topics as streams of a Redis, as Dapr has them, so that programs of both publish to and consume for each other.
//!
//! A topic is the stream of its name, a group a consumer group of it with one consumer, of the group's name: who of a group has a
//! message is not told apart by names, but by the how manieth attempt it is, so that nothing is left behind by who
//! is gone. A message that is not acknowledged stays pending in the group; whoever of the group finds that it has been for longer
//! than `processingTimeout` takes it over. Who still works on one says so, and who gives one back makes it look as if it had been
//! with somebody for years.

mod consume;
mod entry;
mod ledger;
mod settings;

use std::sync::Arc;

use redis::{Pipeline, Script};

use super::{Begin, Broker, Error, Features, Message, Options, Subscription};
use crate::Reply;
use crate::redis::{Connection, Unanswered};
use consume::Consumer;
pub use settings::Settings;

/// Topics in a Redis.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    connection: Connection,
    settings: Settings,
    claim: Script,
    hold: Script,
}

impl Redis {
    /// Connects, and sees that there is a Redis that answers and is new enough.
    ///
    /// # Errors
    ///
    /// If there is none, or it is too old.
    pub async fn connect(settings: Settings) -> Result<Redis, Error> {
        let connection = Connection::open(settings.server.clone()).await?;
        let mut probe = redis::cmd("XPENDING");
        probe.arg(PROBE).arg(PROBE).arg("IDLE").arg(1).arg("-").arg("+").arg(1);
        match connection.ask::<redis::Value>(&probe).await {
            Ok(_) => {}
            Err(unanswered) if unanswered.code.as_deref() == Some("NOGROUP") => {}
            Err(Unanswered { code: Some(_), why, .. }) => {
                let why = format!("{why}: a Redis of version 6.2 or newer is needed for topics");
                return Err(Error::Invalid(why));
            }
            Err(unanswered) => return Err(unanswered.into()),
        }
        let claim = Script::new(include_str!("claim.lua"));
        let hold = Script::new(include_str!("hold.lua"));
        Ok(Redis(Arc::new(Inner { connection, settings, claim, hold })))
    }

    async fn publish(&self, topic: &str, message: Message) -> Result<(), Error> {
        check(topic, &message)?;
        let command = entry::add(topic, &message, self.0.settings.trim);
        let _id: String = self.0.connection.ask(&command).await?;
        Ok(())
    }

    /// In parts of a bounded size, each sent at once.
    async fn publish_many(
        &self,
        topic: &str,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut sent = 0;
        while sent < messages.len() {
            let part = part(&messages[sent..]);
            sent += part;
            let part = &messages[sent - part..sent];
            outcomes.extend(self.publish_part(topic, part).await);
        }
        Ok(outcomes)
    }

    async fn publish_part(&self, topic: &str, part: &[Message]) -> Vec<Result<(), Error>> {
        let checked: Vec<Result<(), Error>> = part.iter().map(|message| check(topic, message)).collect();
        let mut commands = Pipeline::new();
        for (message, _) in part.iter().zip(&checked).filter(|(_, checked)| checked.is_ok()) {
            commands.add_command(entry::add(topic, message, self.0.settings.trim));
        }
        if commands.is_empty() {
            return checked;
        }
        let answered = self.0.connection.ask_all::<String>(&mut commands).await;
        let mut answers = answered.map(Vec::into_iter);
        let outcomes = checked.into_iter().map(|checked| {
            checked?;
            match &mut answers {
                Ok(answers) => answers.next().map_or_else(|| Err(unsaid()), |answer| Ok(answer.map(drop)?)),
                Err(unanswered) => Err(unanswered.clone().into()),
            }
        });
        outcomes.collect()
    }

    async fn subscribe(&self, topic: &str, group: &str, options: Options) -> Result<Consumer, Error> {
        check(topic, &Message::default())?;
        self.0.create(topic, group, options.begin).await?;
        Consumer::begin(Arc::clone(&self.0), topic, group, &options).await
    }
}

impl Inner {
    /// Has there be a group, and a stream.
    async fn create(&self, topic: &str, group: &str, begin: Begin) -> Result<(), Unanswered> {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(topic).arg(group);
        create.arg(if begin == Begin::Start { "0" } else { "$" }).arg("MKSTREAM");
        match self.connection.ask::<redis::Value>(&create).await {
            Err(unanswered) if unanswered.code.as_deref() == Some("BUSYGROUP") => Ok(()),
            answer => answer.map(drop),
        }
    }
}

impl Broker for Redis {
    fn features(&self) -> Features {
        Features { bulk: true, ttl: false, ordering: false, history: true, attempts: true, delay: false }
    }

    fn publish<'a>(&'a self, topic: &'a str, message: Message) -> Reply<'a, Result<(), Error>> {
        Box::pin(Redis::publish(self, topic, message))
    }

    fn publish_many<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Message>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(Redis::publish_many(self, topic, messages))
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        group: &'a str,
        options: Options,
    ) -> Reply<'a, Result<Box<dyn Subscription>, Error>> {
        Box::pin(async move {
            let consumer = Redis::subscribe(self, topic, group, options).await?;
            Ok(Box::new(consumer) as Box<dyn Subscription>)
        })
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Error {
        match unanswered.code.as_deref() {
            // Another kind of value lies where the stream would.
            Some("WRONGTYPE") => Error::Invalid(unanswered.why),
            _ => Error::Unavailable(unanswered.why),
        }
    }
}

fn check(topic: &str, message: &Message) -> Result<(), Error> {
    if topic.is_empty() {
        return Err(Error::Invalid("a topic has a name".to_owned()));
    }
    match entry::weight(message) {
        bytes if bytes > MESSAGE_BYTES_MAX => {
            Err(Error::Invalid(format!("the message has {bytes} bytes; {MESSAGE_BYTES_MAX} are the most")))
        }
        _ => Ok(()),
    }
}

/// How many of the messages are sent together: one at least.
fn part(messages: &[Message]) -> usize {
    let mut bytes = 0;
    let fits = messages.iter().take(PART_MAX).take_while(|message| {
        bytes += entry::weight(message);
        bytes <= PART_BYTES
    });
    fits.count().max(1)
}

fn unsaid() -> Error {
    Error::Unavailable("redis has not said whether it was published".to_owned())
}

/// Most bytes of a message.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// Most messages that are sent together.
const PART_MAX: usize = 1_000;
/// Most bytes that are sent together, unless one message has more.
const PART_BYTES: usize = 4 << 20;
/// A key where nothing is, to be asked about.
const PROBE: &str = "colony||probe";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_to_be_sent_together_is_several_parts() {
        let of = |count: usize, bytes: usize| part(&vec![Message::new(vec![b'x'; bytes]); count]);
        assert_eq!((of(1, 1), of(PART_MAX + 1, 1)), (1, PART_MAX));
        assert_eq!((of(3, PART_BYTES / 2), of(2, PART_BYTES + 1)), (2, 1));
    }
}
