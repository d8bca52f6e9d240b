//! Bindings: systems outside that an application sends things to (outputs), or gets events from (inputs).

mod cron;
mod direction;
mod http;
#[cfg(feature = "outside")]
mod postgres;
mod storage;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::Reply;

pub use cron::Cron;
pub use direction::Direction;
pub use http::Http;
#[cfg(feature = "outside")]
pub use postgres::Postgres;
pub use storage::LocalStorage;

/// Does things outside, each known by the name of its operation.
///
/// - An answer MUST come in bounded time, or when the caller gives up and drops it.
/// - What a binding holds of an answer MUST have a bound, and reaching it MUST be an error, never a shorter answer.
/// - Nothing that was not done MUST be answered as done.
/// - What is outside MUST be found again when it was away, without help.
pub trait Output: Send + Sync {
    /// What can be done. It is not asked for anything else.
    fn operations(&self) -> &'static [&'static str];

    /// Does it.
    fn invoke(&self, request: Request) -> Reply<'_, Result<Response, Error>>;
}

/// Brings events from outside.
///
/// - What `run` answers MUST go on until it is dropped, whatever happens outside, and be no task beyond that.
/// - An event that was not taken MUST be brought again where what is outside can keep it.
/// - How many events wait to be taken MUST have a bound.
pub trait Input: Send + Sync {
    /// Brings events to this taker.
    fn run<'a>(&'a self, taker: &'a dyn Taker) -> Reply<'a, ()>;
}

/// Takes events.
pub trait Taker: Send + Sync {
    /// Takes one. An error says that it was not taken.
    fn take(&self, event: Event) -> Reply<'_, Result<(), Error>>;
}

/// Something that happened outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub data: Bytes,
    /// What else there is to say of it.
    pub metadata: BTreeMap<String, String>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// One of the binding's operations.
    pub operation: String,
    /// With what. Over HTTP it is JSON as it was written: a text has its quotes.
    pub data: Bytes,
    /// How, in the binding's words.
    pub metadata: BTreeMap<String, String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// What there is to say; empty if nothing.
    pub data: Bytes,
    /// What else there is to say.
    pub metadata: BTreeMap<String, String>,
}

/// Why it was not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    /// A sentence.
    pub why: String,
    /// What the other side said besides.
    pub metadata: BTreeMap<String, String>,
}

impl Request {
    /// What is said of this, if it is and is not empty.
    pub fn said(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }
}

impl Response {
    /// With nothing but this to say.
    pub fn of(data: impl Into<Bytes>) -> Response {
        Response { data: data.into(), metadata: BTreeMap::new() }
    }
}

impl Error {
    /// For this reason.
    pub fn new(why: impl Into<String>) -> Error {
        Error { why: why.into(), metadata: BTreeMap::new() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Error {}

/// Yes or no, as people write it; None if it is neither.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "t" | "y" | "yes" | "on" => Some(true),
        "false" | "0" | "f" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}
