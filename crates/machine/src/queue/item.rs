//! What is stored of an item.

use crate::body::Stored;
use crate::limits::{HEADERS_BYTES_MAX, HEADERS_MAX};
use crate::refusal::{Code, Refusal};
use crate::topic::Header;

/// An item, written once when it is sent: a value under [`Table::QueueItem`](crate::Table::QueueItem).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Item {
    /// Its payload.
    #[prost(message, required, tag = "1")]
    pub body: Stored,
    /// What describes the payload.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<Header>,
    /// What limits of keys go by; empty for none.
    #[prost(string, tag = "3")]
    pub key: String,
    /// Its priority, up to [`PRIORITY_MAX`](super::PRIORITY_MAX), the highest.
    #[prost(uint32, tag = "4")]
    pub priority: u32,
    /// When it was sent.
    #[prost(uint64, tag = "5")]
    pub sent_ms: u64,
    /// When it may first be had.
    #[prost(uint64, tag = "6")]
    pub ready_ms: u64,
    /// When it is too old to be handed out; zero for never.
    #[prost(uint64, tag = "7")]
    pub expires_ms: u64,
}

/// How an item has failed, in a record of its own beside it: few items ever have one.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct History {
    /// Its last failures, the oldest first.
    #[prost(message, repeated, tag = "1")]
    pub failures: Vec<Failure>,
    /// When it may be had again.
    #[prost(uint64, tag = "2")]
    pub ready_ms: u64,
}

/// A failed attempt.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Failure {
    /// When.
    #[prost(uint64, tag = "1")]
    pub at_ms: u64,
    /// Which attempt, from one.
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
    /// Who had it.
    #[prost(string, tag = "3")]
    pub consumer: String,
    /// What happened.
    #[prost(enumeration = "Reason", tag = "4")]
    pub reason: i32,
    /// What the consumer says about it.
    #[prost(string, tag = "5")]
    pub cause: String,
}

/// A dead letter: a value under [`Table::QueueDead`](crate::Table::QueueDead). The item stays as it was.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Dead {
    /// Since when.
    #[prost(uint64, tag = "1")]
    pub at_ms: u64,
    /// How often it was handed out and failed.
    #[prost(uint32, tag = "2")]
    pub attempts: u32,
    /// What happened last.
    #[prost(enumeration = "Reason", tag = "3")]
    pub reason: i32,
    /// What the last consumer says about it.
    #[prost(string, tag = "4")]
    pub cause: String,
    /// The item's key.
    #[prost(string, tag = "5")]
    pub key: String,
    /// Whether there is no [`History`].
    #[prost(bool, tag = "6")]
    pub no_history: bool,
}

/// Why an attempt has failed, or an item is dead. Numbers are stored and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Reason {
    /// From a later version.
    Unknown = 0,
    /// The consumer said so.
    Nacked = 1,
    /// The lease ran out.
    LeaseExpired = 2,
    /// It was too old.
    Expired = 3,
}

/// What is known of an item where it waits: small, for it is written anew at each change.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Waiting {
    /// How often it has failed since it was sent or put back.
    #[prost(uint32, tag = "1")]
    pub attempts: u32,
    /// The item's key.
    #[prost(string, tag = "2")]
    pub key: String,
    /// Whether there is a [`History`].
    #[prost(bool, tag = "3")]
    pub history: bool,
    /// The item's priority, where the key does not say it.
    #[prost(uint32, tag = "4")]
    pub priority: u32,
}

/// Refuses headers that are too many or too large.
pub(super) fn check_headers(headers: &[Header]) -> Result<(), Refusal> {
    if headers.len() > HEADERS_MAX {
        let many = format!("{} headers of an item; {HEADERS_MAX} are the most", headers.len());
        return Err(Refusal::new(Code::Invalid, many));
    }
    let bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        let large = format!("headers of an item of {bytes} bytes; {HEADERS_BYTES_MAX} are the most");
        return Err(Refusal::new(Code::Invalid, large));
    }
    Ok(())
}
