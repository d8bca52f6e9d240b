//! HTTP/1.1 messages: heads, fields and the framing of bodies. Pure: bytes in, bytes out.
//!
//! This is a parser of our own around `httparse`, not for taste: what the data plane does with a head
//! is to route by it and to pass it on, so the fields stay where they were read, in one buffer, and no
//! map is built and taken apart again. HTTP/2 heads become the same.

pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod head;
