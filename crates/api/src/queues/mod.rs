//! Queues: work to be done, item by item, each by one consumer at a time.
//!
//! A queue is a name of the node, not of an application: one sends and another works. What it holds is the engine's; here it
//! gets a content type, which the engine keeps as a header, and errors that an API can say.

pub mod push;

use std::time::Duration;

use bytes::Bytes;
use engine::EmbeddedLog;
use engine::blocks::Idempotency;
use engine::blocks::queue::{
    self, Header, Id, Ledger, Nack, Peeked, Receipt, Redrive, Redriven, Sent, Settings, Which,
};
use engine::store::Fjall;
use http::StatusCode;
use tonic::Code;

use crate::api::Api;
use crate::error::Error;
use crate::health::Phase;
use crate::payload::Payload;
use crate::pubsub::Trace;
use crate::refused::{Codes, codes, refused};
use crate::spans::{self, TRACE};
use crate::uses::How;

/// A queue, for one request.
pub struct Queue<'a> {
    api: &'a Api,
    name: &'a str,
    of: queue::Queue<'a, EmbeddedLog, Fjall>,
}

/// An item to be sent.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// The payload.
    pub payload: Payload,
    /// All else; its payload and content type are the ones above.
    pub rest: queue::Item,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Receive {
    /// Who asks: what a dead letter says of who has failed.
    pub consumer: String,
    /// Most items. Default 1, most 1,000.
    pub max: u32,
    /// For how long whoever asks has them; as the queue's settings say if it does not.
    pub lease: Option<Duration>,
    /// How long there may be nothing. Default none, longest 5 minutes.
    pub wait: Duration,
}

/// An item that was handed out.
#[derive(Clone, Debug)]
pub struct Work {
    /// The payload.
    pub payload: Payload,
    /// All else; its payload and content type are the ones above.
    pub rest: queue::Work,
}

/// An item as one sees who only looks.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its number.
    pub id: Id,
    /// The payload.
    pub payload: Payload,
    /// All else; its content type is the one above.
    pub peeked: Peeked,
}

impl Api {
    /// Up to `max` queues by name, those after `after`, with how many items stand where in each.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn queues(&self, after: Option<&str>, max: usize) -> Result<Vec<(String, Ledger)>, Error> {
        let found = self.host.disk().queues(after.filter(|after| !after.is_empty()), max).await;
        found.map_err(|error| refused(CODES, ("queues", ""), "listing", &error))
    }

    /// The queue of this name; what is written to it is done once under `once`.
    ///
    /// # Errors
    ///
    /// If it cannot be looked at.
    pub fn queue<'a>(&'a self, name: &'a str, once: Option<&'a Idempotency>) -> Result<Queue<'a>, Error> {
        let of = self.host.disk().queue(name).map_err(|error| failed(name, "opening", &error))?;
        let of = match once {
            Some(idempotency) => of.once(idempotency),
            None => of,
        };
        Ok(Queue { api: self, name, of })
    }
}

impl Queue<'_> {
    /// Sends items, each with the trace that its sending belongs to, for who works on it. Returns what became of each.
    ///
    /// # Errors
    ///
    /// If none was taken.
    pub async fn send(&self, items: Vec<Item>, trace: Trace<'_>) -> Result<Vec<Result<Sent, Error>>, Error> {
        let failed = |error| self.failed("sending to", &error);
        if items.is_empty() {
            return Err(invalid("there are no items to be sent"));
        }
        let count = items.len() as u64;
        let items = items.into_iter().map(|item| item.traced(trace).lower());
        let sent = self.of.send(items).await.map_err(failed)?;
        let refused = sent.iter().filter(|one| one.is_err()).count() as u64;
        self.api.uses.count(How::Send, self.name, count, refused);
        Ok(sent.into_iter().map(|one| one.map_err(failed)).collect())
    }

    /// Items, as soon as there are some; none if it took too long, or this node is being ended.
    ///
    /// # Errors
    ///
    /// If something is malformed, or they cannot be had.
    pub async fn receive(&self, asked: &Receive) -> Result<Vec<Work>, Error> {
        if asked.wait > WAIT_MAX {
            return Err(invalid(format!("a wait of {:?}; {WAIT_MAX:?} are the most", asked.wait)));
        }
        asked.lease.map_or(Ok(()), check_lease)?;
        let received = self.of.receive(&asked.consumer, asked.max, asked.lease, asked.wait);
        let mut phases = self.api.health.watch();
        let received = tokio::select! {
            biased;
            received = received => received,
            _ = phases.wait_for(|phase| *phase == Phase::Stopping), if !asked.wait.is_zero() => Ok(Vec::new()),
        };
        let received = received.map_err(|error| self.failed("receiving from", &error))?;
        self.api.uses.count(How::Work, self.name, received.len() as u64, 0);
        let works: Vec<Work> = received.into_iter().map(Work::of).collect();
        works.iter().filter_map(Work::sent_by).for_each(spans::received);
        Ok(works)
    }

    /// Work that is done. Returns the receipts that were good no longer.
    ///
    /// # Errors
    ///
    /// If none was good.
    pub async fn acknowledge(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Error> {
        self.of.acknowledge(receipts).await.map_err(|error| self.failed("acknowledging items of", &error))
    }

    /// Work that has failed. Returns the receipts that were good no longer.
    ///
    /// # Errors
    ///
    /// If none was good.
    pub async fn nack(&self, receipts: &[Receipt], nack: &Nack) -> Result<Vec<Receipt>, Error> {
        let fenced = self.of.nack(receipts, nack).await;
        let fenced = fenced.map_err(|error| self.failed("giving back items of", &error))?;
        self.api.uses.count(How::Work, self.name, 0, receipts.len().saturating_sub(fenced.len()) as u64);
        Ok(fenced)
    }

    /// Work that was not begun. Returns the receipts that were good no longer.
    ///
    /// # Errors
    ///
    /// If none was good.
    pub async fn release(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Error> {
        self.of.release(receipts).await.map_err(|error| self.failed("releasing items of", &error))
    }

    /// Work that takes longer: its leases end `lease` from now. Returns the receipts that were good no longer.
    ///
    /// # Errors
    ///
    /// If none was good, or the leases would end at once.
    pub async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Result<Vec<Receipt>, Error> {
        check_lease(lease)?;
        self.of.extend(receipts, lease).await.map_err(|error| self.failed("extending leases of", &error))
    }

    /// Its settings, and how many items stand where.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn look(&self) -> Result<(Settings, Ledger), Error> {
        let failed = |error| self.failed("reading", &error);
        self.check_name()?;
        Ok((self.of.settings().await.map_err(failed)?, self.of.counts().await.map_err(failed)?))
    }

    /// Sets what holds for it.
    ///
    /// # Errors
    ///
    /// If something is malformed, or contradicts what is there.
    pub async fn define(&self, settings: Settings) -> Result<(), Error> {
        self.of.define(settings).await.map_err(|error| self.failed("setting", &error))
    }

    /// Has nothing handed out, or again.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn pause(&self, paused: bool) -> Result<(), Error> {
        let done = if paused { self.of.pause().await } else { self.of.resume().await };
        done.map_err(|error| self.failed(if paused { "pausing" } else { "resuming" }, &error))
    }

    /// Takes away what waits, dead letters, or both.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn purge(&self, waiting: bool, dead: bool) -> Result<(), Error> {
        self.of.purge(waiting, dead).await.map_err(|error| self.failed("purging", &error))
    }

    /// Puts dead letters back; only these, if some are named.
    ///
    /// # Errors
    ///
    /// If something is malformed, or there is no room.
    pub async fn redrive(&self, redrive: &Redrive, only: &[Id]) -> Result<Redriven, Error> {
        self.of.redrive(redrive, only).await.map_err(|error| self.failed("redriving items of", &error))
    }

    /// Up to `max` items of each shard that stand there, without handing them out.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn peek(&self, which: Which, max: usize) -> Result<Vec<Found>, Error> {
        self.check_name()?;
        let found = self.of.peek(which, max).await.map_err(|error| self.failed("reading", &error))?;
        Ok(found.into_iter().map(|(id, peeked, data)| Found::of(id, peeked, data)).collect())
    }

    /// An item, wherever it stands.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn get(&self, id: Id) -> Result<Found, Error> {
        self.check_name()?;
        let found = self.of.get(id).await.map_err(|error| self.failed("reading", &error))?;
        let found = found.map(|(peeked, data)| Found::of(id, peeked, data));
        found.ok_or_else(|| self.no_item(id))
    }

    /// Takes an item out that nobody has.
    ///
    /// # Errors
    ///
    /// If there is none, or somebody has it, or it is dead.
    pub async fn cancel(&self, id: Id) -> Result<(), Error> {
        let (not_waiting, not_found) =
            self.of.cancel(&[id]).await.map_err(|error| self.failed("cancelling items of", &error))?;
        match (not_waiting.is_empty(), not_found.is_empty()) {
            (_, false) => Err(self.no_item(id)),
            (false, _) => {
                let message = format!("item {id} of queue {} is with somebody, or dead", self.name);
                Err(Error::new("ERR_QUEUE_CONFLICT", StatusCode::CONFLICT, Code::FailedPrecondition, message))
            }
            _ => Ok(()),
        }
    }

    fn no_item(&self, id: Id) -> Error {
        let message = format!("there is no item {id} in queue {}", self.name);
        Error::new("ERR_QUEUE_NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    /// Reading finds nothing under a name that there cannot be.
    fn check_name(&self) -> Result<(), Error> {
        check_name(self.name)
    }

    fn failed(&self, doing: &str, error: &engine::Error) -> Error {
        failed(self.name, doing, error)
    }
}

impl Item {
    /// With the trace that its sending belongs to. What it says itself of that goes before.
    pub(crate) fn traced(mut self, trace: Trace<'_>) -> Item {
        let headers = &mut self.rest.headers;
        let mut bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        for (name, value) in TRACE.into_iter().zip([trace.parent, trace.state, trace.baggage]) {
            bytes += name.len() + value.len();
            // One that has no room for it is sent without.
            let fits = bytes + CONTENT_TYPE.len() + self.payload.content_type.len() <= HEADERS_BYTES_MAX;
            if !value.is_empty() && fits && !headers.iter().any(|header| header.name == name) {
                headers
                    .push(Header { name: name.to_owned(), value: Bytes::copy_from_slice(value.as_bytes()) });
            }
        }
        self
    }

    /// As the engine has it.
    pub(crate) fn lower(self) -> queue::Item {
        let mut item = self.rest;
        item.payload = self.payload.data;
        if !self.payload.content_type.is_empty() {
            let value = Bytes::from(self.payload.content_type);
            item.headers.push(Header { name: CONTENT_TYPE.to_owned(), value });
        }
        item
    }
}

impl Work {
    /// The span by which it was sent, as `traceparent` has it.
    pub(crate) fn sent_by(&self) -> Option<&[u8]> {
        header(&self.rest.headers, TRACE[0])
    }

    pub(crate) fn of(mut rest: queue::Work) -> Work {
        let data = std::mem::take(&mut rest.payload);
        Work { payload: Payload { data, content_type: take_type(&mut rest.headers) }, rest }
    }
}

impl Found {
    fn of(id: Id, mut peeked: Peeked, data: Bytes) -> Found {
        Found { id, payload: Payload { data, content_type: take_type(&mut peeked.item.headers) }, peeked }
    }
}

/// The content type, which is told beside the headers.
fn take_type(headers: &mut Vec<Header>) -> String {
    let Some(at) = headers.iter().rposition(|header| header.name == CONTENT_TYPE) else {
        return String::new();
    };
    String::from_utf8_lossy(&headers.remove(at).value).into_owned()
}

/// Receipts from text.
///
/// # Errors
///
/// Which of them is none.
pub(crate) fn receipts(texts: &[String]) -> Result<Vec<Receipt>, Error> {
    if texts.is_empty() {
        return Err(invalid("no receipts are named"));
    }
    let receipt = |text: &String| text.parse::<Receipt>().map_err(|refusal| invalid(refusal.to_string()));
    texts.iter().map(receipt).collect()
}

/// The number of an item from text.
///
/// # Errors
///
/// If it is none.
pub(crate) fn id(text: &str) -> Result<Id, Error> {
    text.parse::<Id>().map_err(|refusal| invalid(refusal.to_string()))
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    match fits {
        true => Ok(()),
        false => Err(invalid(format!("{name:?} is no name of a queue"))),
    }
}

/// Who has a lease that is over when it begins has nothing of it.
fn check_lease(lease: Duration) -> Result<(), Error> {
    match lease.as_millis() {
        0 => Err(invalid(format!("a lease of {lease:?}; a millisecond is the least"))),
        _ => Ok(()),
    }
}

/// What is malformed.
/// One of what describes an item.
pub(crate) fn header<'h>(headers: &'h [Header], name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|header| header.name == name).map(|header| &header.value[..])
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new("ERR_QUEUE_INVALID", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

pub(crate) fn failed(name: &str, doing: &str, error: &engine::Error) -> Error {
    refused(CODES, ("queue", name), doing, error)
}

const CODES: Codes = codes!("QUEUE");
/// The header that a content type is kept as.
const CONTENT_TYPE: &str = "content-type";
/// Most bytes of headers, as the engine has it.
const HEADERS_BYTES_MAX: usize = 16 << 10;
/// Longest name of a queue, as the engine has it.
const NAME_BYTES_MAX: usize = 255;
/// Longest wait for items.
const WAIT_MAX: Duration = Duration::from_secs(300);
