//! Why a command was not done.

/// A command's refusal: part of the machine's reply, as deterministic as all of it, and nothing of
/// the command has happened.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Refusal {
    /// What kind.
    #[prost(enumeration = "Code", tag = "1")]
    pub code: i32,
    /// A sentence for the caller: what was refused, and what to do about it.
    #[prost(string, tag = "2")]
    pub message: String,
}

impl Refusal {
    /// A refusal of the kind `code`.
    pub fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code: code.into(), message: message.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// The kinds of refusals: what a caller can act on. Numbers are stored and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Code {
    /// From a later version, or damaged.
    Unknown = 0,
    /// Malformed: it will be refused again.
    Invalid = 1,
    /// What it names is not there.
    NotFound = 2,
    /// What it would make is there already.
    Exists = 3,
    /// Something else has changed what it relies on: an ETag or a version does not match.
    Conflict = 4,
    /// Its lease or token is no longer the valid one.
    Fenced = 5,
    /// A named maximum is reached.
    Limit = 6,
    /// Not at present: paused, or above a rate; later it may be taken.
    Unavailable = 7,
    /// It was there and has been given up, such as a position before the first that is kept.
    Gone = 8,
    /// A payload, or the request as a whole, has more bytes than are taken.
    TooLarge = 9,
    /// Its idempotency key was used for another request.
    Reused = 10,
}
