//! Publishing: whether the application may, the envelope, and what of it is said to the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use components::pubsub::Message;
use tonic::metadata::MetadataMap;

use super::envelope::{CLOUD_EVENT, Event};
use super::errors::Failing;
use super::wishes::Wishes;
use super::{PubSub, errors};
use crate::error::Error;
use crate::time;

/// What is to be published.
#[derive(Clone, Debug, Default)]
pub struct Publish {
    /// Its data.
    pub data: Bytes,
    /// Its media type; empty if nobody said.
    pub content_type: String,
    /// What else is said of it.
    pub metadata: BTreeMap<String, String>,
}

/// One of several that are to be published.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// What it is told apart by.
    pub id: String,
    /// What is to be published.
    pub publish: Publish,
}

/// An entry that was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its id.
    pub entry_id: String,
    /// Why.
    pub error: String,
}

/// The trace that a request belongs to, and what goes along with it; empty if it belongs to none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace<'a> {
    /// As W3C has it.
    pub parent: &'a str,
    /// As W3C has it.
    pub state: &'a str,
    /// As W3C has it; none if it is longer than its bound.
    pub baggage: &'a str,
}

/// Longest baggage that goes along with what is sent or published, in bytes (W3C Baggage, 3.3.2).
pub(crate) const BAGGAGE_BYTES_MAX: usize = 8_192;

impl<'a> Trace<'a> {
    pub(crate) fn new(parent: &'a str, state: &'a str, baggage: &'a str) -> Trace<'a> {
        Trace { parent, state, baggage: if baggage.len() > BAGGAGE_BYTES_MAX { "" } else { baggage } }
    }

    /// As metadata of gRPC has it.
    pub(crate) fn of(head: &'a MetadataMap) -> Trace<'a> {
        let text = |name| head.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Trace::new(text("traceparent"), text("tracestate"), text("baggage"))
    }
}

/// What holds for all that one request publishes.
struct Publishing<'a> {
    pubsub: PubSub<'a>,
    topic: &'a str,
    trace: Trace<'a>,
    now_ms: u64,
    is_raw: bool,
}

impl Publish {
    /// The metadata of one of several: what holds for all of them reaches it where it has some of its own, which goes before.
    pub(crate) fn metadata_of(
        own: Option<BTreeMap<String, String>>,
        all: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let Some(mut own) = own else { return BTreeMap::new() };
        for (name, value) in all {
            own.entry(name.clone()).or_insert_with(|| value.clone());
        }
        own
    }
}

impl<'a> PubSub<'a> {
    /// Publishes a message.
    ///
    /// # Errors
    ///
    /// If the application may not, it cannot be wrapped, or the broker does not take it.
    pub async fn publish(&self, topic: &str, publish: Publish, trace: Trace<'_>) -> Result<(), Error> {
        self.check(topic)?;
        let is_raw = self.is_raw(topic, &publish.metadata)?;
        let message = self.publishing(topic, trace, is_raw).message(publish)?;
        let sent = self.send(topic, message).await;
        self.has_published(topic, 1, usize::from(sent.is_err()));
        sent.map_err(|error| self.failing(topic).publish(&error))
    }

    /// Publishes several messages, each by itself: those that were not published. `metadata` is that of the request.
    ///
    /// # Errors
    ///
    /// If the application may not, something cannot be wrapped, or none is published.
    pub async fn publish_many(
        &self,
        topic: &str,
        entries: Vec<Entry>,
        metadata: &BTreeMap<String, String>,
        trace: Trace<'_>,
    ) -> Result<Vec<Failed>, Error> {
        self.check(topic)?;
        let is_raw = self.is_raw(topic, metadata)?;
        let mut ids = BTreeSet::new();
        for entry in &entries {
            if entry.id.is_empty() || !ids.insert(entry.id.as_str()) {
                return Err(self.failing(topic).marshal("entryId is duplicated or not present for entry"));
            }
        }
        let publishing = self.publishing(topic, trace, is_raw);
        let (mut names, mut messages) = (Vec::new(), Vec::new());
        for Entry { id, publish } in entries {
            messages.push(publishing.message(publish)?);
            names.push(id);
        }
        let count = messages.len();
        let sent = self.send_many(topic, messages).await;
        let failed = sent.as_ref().map_or(count, |sent| sent.iter().filter(|one| one.is_err()).count());
        self.has_published(topic, count, failed);
        let outcomes = sent.map_err(|error| self.failing(topic).publish(&error))?;
        let failed = names
            .into_iter()
            .zip(outcomes)
            .filter_map(|(entry_id, outcome)| Some(Failed { entry_id, error: outcome.err()?.to_string() }));
        Ok(failed.collect())
    }

    /// What of publishing to a topic can fail.
    pub(crate) fn failing<'t>(&self, topic: &'t str) -> Failing<'t>
    where
        'a: 't,
    {
        Failing { pubsub: self.name, topic }
    }

    /// Whether the application may publish to a topic, and it can be one.
    ///
    /// # Errors
    ///
    /// If not.
    pub(crate) fn check(&self, topic: &str) -> Result<(), Error> {
        if topic.is_empty() {
            return Err(errors::no_topic(self.name));
        }
        match self.declared.scope.may_publish(topic) {
            true => Ok(()),
            false => Err(self.failing(topic).forbidden(self.app_id)),
        }
    }

    fn is_raw(&self, topic: &str, metadata: &BTreeMap<String, String>) -> Result<bool, Error> {
        Wishes::of(metadata).is_raw().map_err(|why| self.failing(topic).metadata(&why))
    }

    fn publishing<'t>(&self, topic: &'t str, trace: Trace<'t>, is_raw: bool) -> Publishing<'t>
    where
        'a: 't,
    {
        Publishing { pubsub: *self, topic, trace, now_ms: time::millis(SystemTime::now()), is_raw }
    }
}

impl Publishing<'_> {
    fn message(&self, publish: Publish) -> Result<Message, Error> {
        let Publish { data, content_type, metadata } = publish;
        let wishes = Wishes::of(&metadata);
        let key = wishes.key.map_or_else(Bytes::new, |key| Bytes::copy_from_slice(key.as_bytes()));
        let due = self.due(&wishes)?;
        if self.is_raw {
            let ttl = wishes.ttl_s.map(Duration::from_secs);
            return Ok(Message { data, content_type, key, ttl, due, metadata });
        }
        let id = self.pubsub.ids.next();
        let event = Event {
            id: id.as_str(),
            app_id: self.pubsub.app_id,
            pubsub: self.pubsub.name,
            topic: self.topic,
            content_type: &content_type,
            data: &data,
            traceparent: self.trace.parent,
            tracestate: self.trace.state,
            baggage: self.trace.baggage,
            wishes: &wishes,
            now_ms: self.now_ms,
        };
        let wrapped = event.wrap().map_err(|_| self.pubsub.failing(self.topic).no_event())?;
        // When it expires stands in it, so that it can become a dead letter then.
        let content_type = CLOUD_EVENT.to_owned();
        Ok(Message { data: wrapped.into(), content_type, key, ttl: None, due, metadata })
    }

    /// From when on it is delivered. Where that cannot be, nothing is published: it would be delivered at once.
    fn due(&self, wishes: &Wishes<'_>) -> Result<Option<SystemTime>, Error> {
        let failing = self.pubsub.failing(self.topic);
        let due_ms = wishes.due_ms(self.now_ms).map_err(|why| failing.metadata(&why))?;
        if due_ms.is_some() && !self.pubsub.features().delay {
            let outside = format!(
                "the broker behind pubsub {} cannot delay messages: publish it without a delay, or to a pubsub.colony",
                self.pubsub.name()
            );
            return Err(failing.metadata(&outside));
        }
        Ok(due_ms.map(|due_ms| SystemTime::UNIX_EPOCH + Duration::from_millis(due_ms)))
    }
}
