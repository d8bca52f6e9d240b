//! One of several things that a command does.

use bytes::Bytes;

use super::OPERATIONS_MAX;
use crate::body::Body;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// What is done to one item.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Operation {
    /// The item's key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The ETag that the item must have; zero if it must not exist. Without one, the last write wins.
    #[prost(uint64, optional, tag = "2")]
    pub etag: Option<u64>,
    /// What is done.
    #[prost(oneof = "Action", tags = "3, 4, 5")]
    pub action: Option<Action>,
}

/// What can be done to an item.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Action {
    /// It is put in place of what was there.
    #[prost(message, tag = "3")]
    Put(Value),
    /// It is deleted.
    #[prost(message, tag = "4")]
    Delete(()),
    /// Nothing, but that its ETag is looked at.
    #[prost(message, tag = "5")]
    Check(()),
}

/// What is put.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Value {
    /// The payload that is the item's value.
    #[prost(uint32, tag = "1")]
    pub body: Body,
    /// For how long the item lives, in milliseconds; zero for ever.
    #[prost(uint64, tag = "2")]
    pub ttl_ms: u64,
}

impl Operation {
    /// Puts the item.
    pub fn put(key: impl Into<Bytes>, body: Body) -> Operation {
        Operation { key: key.into(), etag: None, action: Some(Action::Put(Value { body, ttl_ms: 0 })) }
    }

    /// Deletes the item.
    pub fn delete(key: impl Into<Bytes>) -> Operation {
        Operation { key: key.into(), etag: None, action: Some(Action::Delete(())) }
    }

    /// Looks whether the item has the ETag `etag`, or is not there if that is zero.
    pub fn check(key: impl Into<Bytes>, etag: u64) -> Operation {
        Operation { key: key.into(), etag: Some(etag), action: Some(Action::Check(())) }
    }

    /// Only if the item has the ETag `etag`, or is not there if that is zero.
    #[must_use]
    pub fn only_if(mut self, etag: u64) -> Operation {
        self.etag = Some(etag);
        self
    }
}

/// Refuses operations that are malformed, or too many.
pub(super) fn check_all(operations: &[Operation]) -> Result<(), Refusal> {
    if operations.len() > OPERATIONS_MAX {
        let many = format!("{} operations; {OPERATIONS_MAX} are the most", operations.len());
        return Err(Refusal::new(Code::Invalid, many));
    }
    for operation in operations {
        limits::key("item", &operation.key)?;
        if operation.action.is_none() {
            return Err(Refusal::new(Code::Invalid, "an operation says neither put, delete nor check"));
        }
    }
    Ok(())
}
