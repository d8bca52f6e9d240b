//! What is done to one item.

use std::collections::BTreeMap;

use crate::body::Body;
use crate::limits::{self, HEADERS_BYTES_MAX, HEADERS_MAX, within};
use crate::refusal::{Code, Refusal};

/// What is done to one item.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Edit {
    /// The item's key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The revision that the item must have; zero if it must not exist. Without one, it may have any.
    #[prost(uint64, optional, tag = "2")]
    pub revision: Option<u64>,
    /// What.
    #[prost(oneof = "What", tags = "3, 4")]
    pub what: Option<What>,
}

/// What can be done to an item.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum What {
    /// It is set in place of what was there.
    #[prost(message, tag = "3")]
    Set(Set),
    /// It is deleted. If it is not there, that is as good.
    #[prost(message, tag = "4")]
    Delete(()),
}

/// What an item is set to.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Set {
    /// The payload that is its value.
    #[prost(uint32, tag = "1")]
    pub body: Body,
    /// What the operator calls this version; may be empty.
    #[prost(string, tag = "2")]
    pub version: String,
    /// What else the operator says of it.
    #[prost(btree_map = "string, string", tag = "3")]
    pub metadata: BTreeMap<String, String>,
}

impl Edit {
    /// Sets the item to a payload.
    pub fn set(key: impl Into<String>, body: Body) -> Edit {
        Edit { key: key.into(), revision: None, what: Some(What::Set(Set { body, ..Set::default() })) }
    }

    /// Deletes the item.
    pub fn delete(key: impl Into<String>) -> Edit {
        Edit { key: key.into(), revision: None, what: Some(What::Delete(())) }
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("configuration item", &self.key)?;
        match &self.what {
            Some(What::Set(set)) => set.check(),
            Some(What::Delete(())) => Ok(()),
            None => Err(Refusal::new(Code::Invalid, "an edit says neither set nor delete")),
        }
    }
}

impl Set {
    fn check(&self) -> Result<(), Refusal> {
        let bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        within("metadata of a configuration item", self.metadata.len(), HEADERS_MAX)?;
        within("bytes of version and metadata", bytes + self.version.len(), HEADERS_BYTES_MAX)
    }
}
