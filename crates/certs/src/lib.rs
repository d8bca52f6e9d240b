//! Certificates: read and checked, and signed by an authority for development.
//!
//! Nothing in here reads a file or a clock: the binary passes contents and the time in.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod authority;
mod certificate;

pub use authority::{Authority, Issued, Refused};
pub use certificate::{Certificate, Validity, Wrong};
