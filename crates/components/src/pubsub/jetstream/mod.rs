//! `pubsub.jetstream`: a topic is a subject of a stream of NATS JetStream, and a group a durable consumer that is pulled from.
//!
//! A stream that has the subject is used, as with Dapr; if there is none, one is made for the topic. What is published is
//! acknowledged by the server before that is said. Negative acknowledgements are not left to the server, for it counts
//! deliveries and not failures: see `crate::pubsub::lent`.

mod consume;
mod message;
mod names;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{GetStreamByNameErrorKind, PublishErrorKind};
use async_nats::jetstream::stream::{self, ConsumerErrorKind};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, ConnectOptions, Event};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::in_order::{Confirmed, in_order};
use super::lent::Failures;
use super::{Begin, Broker, Error, Features, Message, Options, Subscription};
use crate::Reply;
pub use settings::Settings;

/// Topics in a NATS JetStream. A copy is the same.
#[derive(Clone)]
pub struct JetStream(Arc<Inner>);

struct Inner {
    settings: Settings,
    client: Client,
    context: Context,
    link: watch::Receiver<Link>,
    /// The streams that have topics.
    streams: Mutex<HashMap<String, String>>,
    failures: Arc<Failures>,
}

/// The connection, as events tell of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    is_up: bool,
    /// How often it has been made.
    count: u64,
}

impl JetStream {
    /// Connects to it.
    ///
    /// # Errors
    ///
    /// If it does not answer, refuses, or has no JetStream.
    pub async fn connect(settings: Settings) -> Result<JetStream, Error> {
        let (sender, link) = watch::channel(Link::default());
        let sender = Arc::new(sender);
        let options = ConnectOptions::new()
            .name(&settings.name)
            .connection_timeout(WITHIN)
            .request_timeout(Some(WITHIN))
            .ping_interval(PING_EVERY)
            .reconnect_delay_callback(|tries| (DELAY_MIN * 2_u32.pow(tries.min(10) as u32)).min(DELAY_MAX))
            .tls_client_config(settings.tls.clone())
            .event_callback(move |event| {
                let sender = Arc::clone(&sender);
                async move { told(&sender, &event) }
            });
        let options = match (&settings.token, &settings.user) {
            (Some(token), _) => options.token(token.clone()),
            (None, Some((user, password))) => options.user_and_password(user.clone(), password.clone()),
            (None, None) => options,
        };
        let failed = |why: &dyn std::fmt::Display| Error::Unavailable(format!("nats at {settings}: {why}"));
        let connected = timeout(WITHIN * 2, options.connect(settings.servers.clone())).await;
        let client = connected
            .map_err(|_| failed(&format!("no answer within {:?}", WITHIN * 2)))?
            .map_err(|error| failed(&error))?;
        let context = jetstream::with_prefix(client.clone(), &settings.api_prefix);
        // Not as the client's own type, which has more than older servers tell.
        let told: Value = context.request("INFO", &json!({})).await.map_err(|error| failed(&error))?;
        if let Some(error) = told.get("error") {
            return Err(failed(&format!("it has no JetStream here: {error}")));
        }
        let (streams, failures) = (Mutex::default(), Arc::default());
        Ok(JetStream(Arc::new(Inner { settings, client, context, link, streams, failures })))
    }
}

fn told(link: &watch::Sender<Link>, event: &Event) {
    match event {
        Event::Connected => link.send_modify(|link| *link = Link { is_up: true, count: link.count + 1 }),
        Event::Disconnected | Event::Closed => link.send_modify(|link| link.is_up = false),
        _ => {}
    }
}

impl Inner {
    async fn publish(self: &Arc<Self>, topic: &str, message: Message) -> Result<(), Error> {
        let done = async { self.send(topic, message).await?.await };
        timeout(WITHIN, done).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// Sends a message; comes true before it is acknowledged.
    async fn send(self: &Arc<Self>, topic: &str, message: Message) -> Result<Confirmed, Error> {
        let (data, headers) = message::lower(message)?;
        let sent = async {
            self.up().await;
            self.stream(topic).await?;
            let sent = self.context.publish_with_headers(topic.to_owned(), headers, data).await;
            sent.map_err(|error| match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => {
                    let most = self.client.max_payload();
                    Error::Invalid(format!("it has more bytes than the server takes: {most}"))
                }
                _ => self.failed(error),
            })
        };
        let acknowledged = timeout(WITHIN, sent).await.unwrap_or_else(|_| Err(self.late()))?;
        let (this, topic) = (Arc::clone(self), topic.to_owned());
        Ok(Box::pin(async move {
            acknowledged.await.map(drop).map_err(|error| {
                if error.kind() == PublishErrorKind::StreamNotFound {
                    // Somebody has deleted it. The next finds another, or makes one.
                    this.streams().remove(&topic);
                }
                this.failed(error)
            })
        }))
    }

    /// The stream that has a topic, which is there from then on.
    async fn stream(&self, topic: &str) -> Result<String, Error> {
        if let Some(known) = self.streams().get(topic) {
            return Ok(known.clone());
        }
        let found = match self.context.stream_by_subject(topic).await {
            Ok(found) => found,
            Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => self.make(topic).await?,
            Err(error) => return Err(self.failed(error)),
        };
        if let Some(wanted) = self.settings.stream.as_ref().filter(|wanted| **wanted != found) {
            return Err(Error::Invalid(format!(
                "topic {topic:?} is in the stream {found:?} and not in {wanted:?}"
            )));
        }
        let mut streams = self.streams();
        if streams.len() >= STREAMS_MAX {
            streams.clear();
        }
        streams.insert(topic.to_owned(), found.clone());
        Ok(found)
    }

    async fn make(&self, topic: &str) -> Result<String, Error> {
        let name = self.settings.stream.clone().unwrap_or_else(|| names::stream(topic));
        let config = stream::Config {
            name: name.clone(),
            subjects: vec![topic.to_owned()],
            max_age: KEPT,
            num_replicas: self.settings.replicas,
            ..stream::Config::default()
        };
        match self.context.create_stream(config).await {
            Ok(_) => Ok(name),
            Err(error) => {
                Err(self
                    .failed(format!("no stream has the subject {topic:?}, and none can be made: {error}")))
            }
        }
    }

    /// The consumer of a group, which is there from then on.
    async fn consumer(&self, topic: &str, group: &str, begin: Begin) -> Result<(String, String), Error> {
        let stream = self.stream(topic).await?;
        let name = names::consumer(group, topic);
        let found = self.context.get_consumer_from_stream::<pull::Config, _, _>(&name, &stream).await;
        match found {
            Ok(_) => return Ok((stream, name)),
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(why) if why.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {}
                ConsumerErrorKind::JetStream(why) if why.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    self.streams().remove(topic);
                    return Err(self.failed(error));
                }
                _ => return Err(self.failed(error)),
            },
        }
        let asked = match begin {
            Begin::Start => DeliverPolicy::All,
            Begin::End => DeliverPolicy::New,
        };
        let config = pull::Config {
            durable_name: Some(name.clone()),
            deliver_policy: self.settings.deliver.unwrap_or(asked),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.settings.ack_wait,
            filter_subject: topic.to_owned(),
            max_ack_pending: self.settings.pending_max.map_or(-1, i64::from),
            ..pull::Config::default()
        };
        let made = self.context.create_consumer_on_stream(config, &stream).await;
        made.map(|_| (stream, name)).map_err(|error| self.failed(error))
    }

    /// Comes true when there is a connection.
    async fn up(&self) {
        let mut link = self.link.clone();
        // The client, which tells of it, is here.
        let _ = link.wait_for(|link| link.is_up).await;
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has not worked.
    fn failed(&self, why: impl std::fmt::Display) -> Error {
        Error::Unavailable(format!("nats at {}: {why}", self.settings))
    }

    fn late(&self) -> Error {
        let why = match self.link.borrow().is_up {
            true => format!("no answer within {WITHIN:?}"),
            false => "the connection is lost".to_owned(),
        };
        self.failed(why)
    }
}

impl Broker for JetStream {
    fn features(&self) -> Features {
        Features { bulk: true, ttl: true, ordering: false, history: true, attempts: false, delay: false }
    }

    fn publish<'a>(&'a self, topic: &'a str, message: Message) -> Reply<'a, Result<(), Error>> {
        Box::pin(async move { self.0.publish(names::subject(topic)?, message).await })
    }

    fn publish_many<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Message>,
    ) -> Reply<'a, Result<Vec<Result<(), Error>>, Error>> {
        Box::pin(async move {
            let topic = names::subject(topic)?;
            Ok(in_order(messages, WITHIN, |message| self.0.send(topic, message)).await)
        })
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        group: &'a str,
        options: Options,
    ) -> Reply<'a, Result<Box<dyn Subscription>, Error>> {
        Box::pin(async move {
            let topic = names::subject(topic)?;
            let begun = timeout(WITHIN, consume::begin(&self.0, topic, group, &options)).await;
            Ok(Box::new(begun.unwrap_or_else(|_| Err(self.0.late()))?) as Box<dyn Subscription>)
        })
    }
}

/// Longest wait for anything that is asked.
const WITHIN: Duration = Duration::from_secs(5);
/// How often is asked whether the server is still there.
const PING_EVERY: Duration = Duration::from_secs(10);
/// The first wait before a connection is tried again.
const DELAY_MIN: Duration = Duration::from_millis(50);
/// And the longest.
const DELAY_MAX: Duration = Duration::from_secs(2);
/// How long streams that are made here keep messages: as long as the engine's topics.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Of how many topics is kept in mind which stream has them.
const STREAMS_MAX: usize = 65_536;
