//! Event streams: the facts of things, in order.
//!
//! A store of streams is a name of the node and has to be defined once, for over which shards it lies is settled then. An event's
//! metadata, which to the engine are bytes, is an object of texts here; its content type is kept there where it is not JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use engine::blocks::Idempotency;
use engine::blocks::stream::{self, Appended, Events, Expected, Filter, Order, Settings, Snapshot, Stream};
use engine::store::Fjall;
use engine::{Begin, EmbeddedLog, Feed, Position};
use futures_util::stream::{self as futures, Stream as Coming};
use http::StatusCode;
use tokio::time::sleep;
use tonic::Code;

use crate::api::Api;
use crate::error::Error;
use crate::health::Phase;
use crate::payload::Payload;
use crate::refused::{Codes, codes, refused};

/// A store of streams, for one request.
pub struct Store<'a> {
    api: &'a Api,
    name: &'a str,
    of: stream::Streams<'a, EmbeddedLog, Fjall>,
}

/// An event to be appended.
#[derive(Clone, Debug, Default)]
pub struct NewEvent {
    /// By which its appending again is known; empty if it has none.
    pub id: String,
    /// What kind of event.
    pub r#type: String,
    /// What happened.
    pub payload: Payload,
    /// What is said about it.
    pub metadata: BTreeMap<String, String>,
}

/// An event that was appended.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub payload: Payload,
    /// What is said about it.
    pub metadata: BTreeMap<String, String>,
    /// All else; its payload and metadata are the ones above.
    pub rest: Appended,
}

/// Some events of a stream.
#[derive(Clone, Debug)]
pub struct Page {
    /// The stream.
    pub stream: Stream,
    /// The events, in the order that was asked for.
    pub events: Vec<Event>,
    /// The version to read on from.
    pub next: Option<u64>,
}

/// What a follower is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// An event, and where one goes on who has had it.
    Event(Box<Event>, Position),
    /// Nothing for a while.
    Quiet,
}

impl Api {
    /// The store of this name; what is written to it is done once under `once`.
    ///
    /// # Errors
    ///
    /// If it cannot be looked at.
    pub fn streams<'a>(&'a self, name: &'a str, once: Option<&'a Idempotency>) -> Result<Store<'a>, Error> {
        let of = self.host.disk().streams(name).map_err(|error| failed(name, "opening", &error))?;
        let of = match once {
            Some(idempotency) => of.once(idempotency),
            None => of,
        };
        Ok(Store { api: self, name, of })
    }
}

impl Store<'_> {
    /// Makes the store, or changes its settings.
    ///
    /// # Errors
    ///
    /// If something is malformed, or settled otherwise.
    pub async fn define(&self, settings: Settings) -> Result<(), Error> {
        self.of.define(settings).await.map_err(|error| self.failed("defining", &error))
    }

    /// How it is kept.
    ///
    /// # Errors
    ///
    /// If there is no such store.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let found = self.of.settings().await.map_err(|error| self.failed("reading", &error))?;
        found.ok_or_else(|| not_found(format!("there is no store {} of streams: define it", self.name)))
    }

    /// Appends events, all or none. Returns the stream's version and the position of the last event.
    ///
    /// # Errors
    ///
    /// If there is no such store, or the stream is not as `expected`.
    pub async fn append(
        &self,
        stream: &str,
        expected: Option<Expected>,
        events: Vec<NewEvent>,
    ) -> Result<(u64, u64), Error> {
        if events.is_empty() {
            return Err(invalid("there are no events to be appended"));
        }
        let appended = self.of.append(stream, expected, events.into_iter().map(NewEvent::lower)).await;
        appended.map_err(|error| self.failed("appending to", &error))
    }

    /// Up to `max` events of a stream from a version on.
    ///
    /// # Errors
    ///
    /// If there never was such a stream.
    pub async fn read(
        &self,
        stream: &str,
        from: u64,
        order: Order,
        filter: &Filter,
        max: usize,
    ) -> Result<Page, Error> {
        let read = self.of.read(stream, from, order, filter, max).await;
        let page = read.map_err(|error| self.failed("reading", &error))?;
        let page = page.ok_or_else(|| self.no_stream(stream))?;
        let events = page.events.into_iter().map(Event::of).collect();
        Ok(Page { stream: page.stream, events, next: page.next })
    }

    /// Follows a stream, or all of them.
    ///
    /// # Errors
    ///
    /// If there is no such store.
    pub async fn follow(
        &self,
        stream: Option<&str>,
        filter: Filter,
        from: &Begin,
    ) -> Result<impl Coming<Item = Result<Told, Error>> + Send + use<>, Error> {
        let feed = match stream {
            Some(stream) => self.of.subscribe(stream, filter, from).await,
            None => self.of.subscribe_all(filter, from).await,
        };
        let feed = feed.map_err(|error| self.failed("following", &error))?;
        let phases = self.api.health.watch();
        let following = Following { feed: Some(feed), phases, name: self.name.to_owned() };
        Ok(futures::unfold(following, |mut following| async move {
            let told = following.next().await?;
            Some((told, following))
        }))
    }

    /// Where one begins who follows a stream after a version of it.
    pub fn after(&self, stream: &str, version: u64) -> Begin {
        Begin::After(self.of.after(stream, version))
    }

    /// Saves what came of a stream's events up to `version`.
    ///
    /// # Errors
    ///
    /// If there is no such stream, or it has not come there yet.
    pub async fn save_snapshot(&self, stream: &str, version: u64, data: Bytes) -> Result<(), Error> {
        let saved = self.of.save_snapshot(stream, version, data).await;
        saved.map_err(|error| self.failed("saving a snapshot in", &error))
    }

    /// The latest snapshot up to `version`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn latest_snapshot(&self, stream: &str, version: u64) -> Result<Snapshot, Error> {
        let found = self.of.latest_snapshot(stream, version).await;
        let found = found.map_err(|error| self.failed("reading", &error))?;
        found.ok_or_else(|| {
            not_found(format!("there is no snapshot of stream {stream} in store {} up to there", self.name))
        })
    }

    /// Removes events before a version.
    ///
    /// # Errors
    ///
    /// If there is no such stream.
    pub async fn truncate(&self, stream: &str, before: u64) -> Result<(), Error> {
        self.of.truncate(stream, before).await.map_err(|error| self.failed("truncating a stream of", &error))
    }

    /// Removes a stream; if `tombstone`, for ever.
    ///
    /// # Errors
    ///
    /// If it is not as `expected`.
    pub async fn delete(
        &self,
        stream: &str,
        expected: Option<Expected>,
        tombstone: bool,
    ) -> Result<(), Error> {
        let deleted = self.of.delete(stream, expected, tombstone).await;
        deleted.map_err(|error| self.failed("deleting a stream of", &error))
    }

    fn no_stream(&self, stream: &str) -> Error {
        not_found(format!("there is no stream {stream} in store {}", self.name))
    }

    fn failed(&self, doing: &str, error: &engine::Error) -> Error {
        failed(self.name, doing, error)
    }
}

/// Somebody who follows.
struct Following {
    /// Nothing after an error.
    feed: Option<Feed<EmbeddedLog, Fjall, Events>>,
    phases: tokio::sync::watch::Receiver<Phase>,
    name: String,
}

impl Following {
    /// One by one, so that each has its own place to go on from. Nothing at the end.
    async fn next(&mut self) -> Option<Result<Told, Error>> {
        let feed = self.feed.as_mut()?;
        let found = tokio::select! {
            biased;
            found = feed.next(1) => found,
            _ = self.phases.wait_for(|phase| *phase == Phase::Stopping) => return None,
            () = sleep(QUIET) => return Some(Ok(Told::Quiet)),
        };
        match found {
            Ok(mut found) => {
                let event = Event::of(found.pop()?);
                Some(Ok(Told::Event(Box::new(event), feed.position())))
            }
            Err(error) => {
                self.feed = None;
                Some(Err(failed(&self.name, "following", &error)))
            }
        }
    }
}

impl NewEvent {
    fn lower(self) -> stream::NewEvent {
        let mut metadata = self.metadata;
        if self.payload.content_type != JSON && !self.payload.content_type.is_empty() {
            metadata.insert(CONTENT_TYPE.to_owned(), self.payload.content_type);
        }
        let text = (!metadata.is_empty()).then(|| serde_json::to_vec(&metadata).unwrap_or_default());
        stream::NewEvent {
            id: self.id.into(),
            r#type: self.r#type,
            payload: self.payload.data,
            metadata: text.map(Bytes::from),
        }
    }
}

impl Event {
    fn of(mut rest: Appended) -> Event {
        let data = std::mem::take(&mut rest.payload);
        let metadata = rest.metadata.take();
        // What a program has written that uses the engine itself may be anything.
        let metadata = metadata.and_then(|text| serde_json::from_slice(&text).ok());
        let mut metadata: BTreeMap<String, String> = metadata.unwrap_or_default();
        let content_type = metadata.remove(CONTENT_TYPE).unwrap_or_else(|| JSON.to_owned());
        Event { payload: Payload { data, content_type }, metadata, rest }
    }
}

/// What is expected of a stream, from text.
///
/// # Errors
///
/// If it is none of the words, and no version.
pub(crate) fn expected(text: &str) -> Result<Option<Expected>, Error> {
    Ok(match text {
        "any" => None,
        "noStream" => Some(Expected::NoStream(())),
        "streamExists" => Some(Expected::StreamExists(())),
        version => Some(Expected::Version(version.parse().map_err(|_| {
            invalid(format!("{version:?} is no version, and none of any, noStream and streamExists"))
        })?)),
    })
}

/// What is malformed.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new("ERR_STREAM_INVALID", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

fn not_found(message: String) -> Error {
    Error::new("ERR_STREAM_NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound, message)
}

fn failed(name: &str, doing: &str, error: &engine::Error) -> Error {
    refused(CODES, ("store", name), doing, error)
}

const CODES: Codes = codes!("STREAM");
const JSON: &str = "application/json";
/// The key in an event's metadata under which its content type is kept.
const CONTENT_TYPE: &str = "content-type";
/// After how long somebody who follows is told that there is nothing, so that a connection that is dead is found out.
const QUIET: Duration = Duration::from_secs(15);
