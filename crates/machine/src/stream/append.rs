//! Appending events to a stream, if it is as who appends believes.

use bytes::Bytes;

use super::{
    EVENT_ID_BYTES_MAX, EVENTS_APPENDED_MAX, Event, Expected, Life, Place, Reply, Store, Stream, check_place,
    event_key, expected, opened, place_key, store_key, trim,
};
use crate::body::Body;
use crate::context::Context;
use crate::effect::Channel;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Appends events at the end of a stream: all of them or none. A stream that is not there is begun.
///
/// Answers the stream's version and the position of its last event then. If the stream has gone on since
/// the version that was expected, and the events that come there have the ids of these, then these were
/// appended already, and the answer is that of then.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Append {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub store: String,
    /// The stream's name.
    #[prost(string, tag = "2")]
    pub stream: String,
    /// What must be so of the stream; nothing for "whatever it is".
    #[prost(oneof = "Expected", tags = "3, 4, 5")]
    pub expected: Option<Expected>,
    /// The events, [`EVENTS_APPENDED_MAX`] at most.
    #[prost(message, repeated, tag = "6")]
    pub events: Vec<NewEvent>,
}

/// An event to be appended.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct NewEvent {
    /// By which its appending again is known, such as a UUID; empty if it has none.
    #[prost(bytes = "bytes", tag = "1")]
    pub id: Bytes,
    /// What kind of event, in the application's words.
    #[prost(string, tag = "2")]
    pub r#type: String,
    /// The payload that says what happened.
    #[prost(uint32, tag = "3")]
    pub payload: Body,
    /// The payload that says something about it, such as who caused it.
    #[prost(uint32, optional, tag = "4")]
    pub metadata: Option<Body>,
}

impl Append {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_place(&self.store, &self.stream)?;
        if self.events.is_empty() {
            return Err(Refusal::new(Code::Invalid, "there is no event to append"));
        }
        limits::within("events to append", self.events.len(), EVENTS_APPENDED_MAX)?;
        self.events.iter().try_for_each(NewEvent::check)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let (mut store, key, mut stream) = opened(context, &self.store, &self.stream)?;
        if let Err(refusal) = expected::look(&self.stream, &stream, self.expected) {
            return self.appended_before(context, &stream).ok_or(refusal);
        }
        for event in &self.events {
            event.bodies().try_for_each(|body| context.length(body).map(|_| ()))?;
        }
        let before = stream.version;
        stream.set_life(Life::Live);
        stream.version += self.events.len() as u64;
        let trim = trim::plan(context, &mut stream, &store.settings, before)?;
        let mut place = Place { stream: self.stream.clone(), version: before, r#type: String::new() };
        for event in &self.events {
            store.position += 1;
            place.version += 1;
            self.put(context, event, store.position, &mut place)?;
        }
        let reply = Reply { version: stream.version, position: store.position };
        trim.carry_out(context, &self.store, &self.stream, key, stream);
        self.put_store(context, &store);
        context.wake(Channel::stream(&self.store));
        Ok(reply)
    }

    /// Puts an event at its place. No version and no position is ever used twice, so nothing is there.
    fn put(
        &self,
        context: &mut Context<'_>,
        event: &NewEvent,
        position: u64,
        place: &mut Place,
    ) -> Result<(), Refusal> {
        let payload = context.store(event.payload)?;
        let metadata = event.metadata.map(|body| context.store(body)).transpose()?;
        let time = context.time().as_millis();
        let (id, r#type) = (event.id.clone(), event.r#type.clone());
        let event = Event { id, r#type, position, time, payload, metadata };
        context.insert(event_key(&self.store, &self.stream, place.version), &event);
        place.r#type = event.r#type;
        context.insert(place_key(&self.store, position), place);
        Ok(())
    }

    fn put_store(&self, context: &mut Context<'_>, store: &Store) {
        context.put(store_key(&self.store), store);
    }

    /// What was answered when these events were appended before, if they were.
    fn appended_before(&self, context: &Context<'_>, stream: &Stream) -> Option<Reply> {
        let after = self.expected?.appended_after(stream)?;
        let version = after.checked_add(self.events.len() as u64)?;
        if version > stream.version || after < stream.truncated {
            return None;
        }
        let mut position = 0;
        for (version, new) in (after + 1..).zip(&self.events) {
            let event: Event = context.get(&event_key(&self.store, &self.stream, version))?;
            if new.id.is_empty() || event.id != new.id {
                return None;
            }
            position = event.position;
        }
        Some(Reply { version, position })
    }
}

impl NewEvent {
    fn check(&self) -> Result<(), Refusal> {
        limits::name("type of events", &self.r#type)?;
        if self.id.len() > EVENT_ID_BYTES_MAX {
            let long =
                format!("the id of an event has {} bytes; {EVENT_ID_BYTES_MAX} are the most", self.id.len());
            return Err(Refusal::new(Code::Invalid, long));
        }
        Ok(())
    }

    fn bodies(&self) -> impl Iterator<Item = Body> {
        std::iter::once(self.payload).chain(self.metadata)
    }
}
