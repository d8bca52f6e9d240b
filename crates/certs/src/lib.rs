//! Certificates: read and checked.
//!
//! Nothing in here reads a file or a clock: the binary passes contents and the time in.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod certificate;

pub use certificate::{Certificate, Validity, Wrong};
