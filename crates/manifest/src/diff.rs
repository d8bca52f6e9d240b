//! What differs between two manifests, in words, for people who reloaded one.

use crate::valid::Manifest;

/// Whether something came, went, or is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is still there, and differs.
    Changed,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Came, went or changed.
    pub kind: Kind,
    /// What it is about: "service catalog".
    pub what: String,
    /// What about it: "calls.payments.timeout 2s -> 1s". Empty if it came or went as a whole.
    pub detail: String,
}

/// What differs, part by part. Never contains a secret value.
pub fn diff(_old: &Manifest, _new: &Manifest) -> Vec<Change> {
    Vec::new()
}
