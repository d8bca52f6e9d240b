//! Queues: work to be done, item by item, each by one consumer at a time.
//!
//! A queue is a name of the node, not of an application: one sends and another works. What it holds is the engine's; here it
//! gets a content type, which the engine keeps as a header, and errors that an API can say.

use std::time::Duration;

use bytes::Bytes;
use engine::EmbeddedLog;
use engine::blocks::Idempotency;
use engine::blocks::queue::{self, Header, Nack, Receipt, Sent};
use engine::store::Fjall;
use http::StatusCode;
use tonic::Code;

use crate::api::Api;
use crate::error::Error;
use crate::health::Phase;
use crate::payload::Payload;
use crate::refused::{Codes, codes, refused};

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

impl Api {
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
    /// Sends items. Returns what became of each.
    ///
    /// # Errors
    ///
    /// If none was taken.
    pub async fn send(&self, items: Vec<Item>) -> Result<Vec<Result<Sent, Error>>, Error> {
        let failed = |error| self.failed("sending to", &error);
        if items.is_empty() {
            return Err(invalid("there are no items to be sent"));
        }
        let sent = self.of.send(items.into_iter().map(Item::lower)).await.map_err(failed)?;
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
        let received = self.of.receive(&asked.consumer, asked.max, asked.lease, asked.wait);
        let mut phases = self.api.health.watch();
        let received = tokio::select! {
            biased;
            received = received => received,
            _ = phases.wait_for(|phase| *phase == Phase::Stopping), if !asked.wait.is_zero() => Ok(Vec::new()),
        };
        let received = received.map_err(|error| self.failed("receiving from", &error))?;
        Ok(received.into_iter().map(Work::of).collect())
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
        self.of.nack(receipts, nack).await.map_err(|error| self.failed("giving back items of", &error))
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
    /// If none was good.
    pub async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Result<Vec<Receipt>, Error> {
        self.of.extend(receipts, lease).await.map_err(|error| self.failed("extending leases of", &error))
    }

    fn failed(&self, doing: &str, error: &engine::Error) -> Error {
        failed(self.name, doing, error)
    }
}

impl Item {
    fn lower(self) -> queue::Item {
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
    fn of(mut rest: queue::Work) -> Work {
        let data = std::mem::take(&mut rest.payload);
        Work { payload: Payload { data, content_type: take_type(&mut rest.headers) }, rest }
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

/// What is malformed.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new("ERR_QUEUE_INVALID", StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

fn failed(name: &str, doing: &str, error: &engine::Error) -> Error {
    refused(CODES, ("queue", name), doing, error)
}

const CODES: Codes = codes!("QUEUE");
/// The header that a content type is kept as.
const CONTENT_TYPE: &str = "content-type";
/// Longest wait for items.
const WAIT_MAX: Duration = Duration::from_secs(300);
