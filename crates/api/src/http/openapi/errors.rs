//! The codes that several endpoints answer with.

/// Of a body that cannot be had, or is not the JSON that it should be.
pub(super) const MALFORMED: &[&str] = &["ERR_MALFORMED_REQUEST"];
/// The same where Dapr has another code for the first.
pub(super) const BODY_READ: &[&str] = &["ERR_BODY_READ", "ERR_MALFORMED_REQUEST"];

/// What the engine answers, by status: what any request may come to, a write, and what names something that must be there.
pub(super) struct Codes {
    pub(super) any: &'static [(u16, &'static [&'static str])],
    pub(super) write: &'static [(u16, &'static [&'static str])],
    pub(super) missing: &'static [&'static str],
    pub(super) conflict: &'static [&'static str],
    pub(super) fenced: &'static [&'static str],
    pub(super) gone: &'static [&'static str],
}

macro_rules! codes {
    ($block:literal) => {
        Codes {
            any: &[
                (400, &[concat!("ERR_", $block, "_INVALID")]),
                (
                    500,
                    &[
                        concat!("ERR_", $block, "_FAILED"),
                        concat!("ERR_", $block, "_LOST"),
                        concat!("ERR_", $block, "_IN_DOUBT"),
                    ],
                ),
                (
                    503,
                    &[
                        concat!("ERR_", $block, "_UNAVAILABLE"),
                        concat!("ERR_", $block, "_BUSY"),
                        concat!("ERR_", $block, "_CLOSED"),
                    ],
                ),
            ],
            write: &[
                (409, &[concat!("ERR_", $block, "_CONFLICT")]),
                (413, &[concat!("ERR_", $block, "_TOO_LARGE")]),
                (429, &[concat!("ERR_", $block, "_LIMIT")]),
                (507, &[concat!("ERR_", $block, "_FULL")]),
            ],
            missing: &[concat!("ERR_", $block, "_NOT_FOUND")],
            conflict: &[concat!("ERR_", $block, "_CONFLICT"), concat!("ERR_", $block, "_EXISTS")],
            fenced: &[concat!("ERR_", $block, "_FENCED")],
            gone: &[concat!("ERR_", $block, "_GONE")],
        }
    };
}

pub(super) const QUEUE: Codes = codes!("QUEUE");
pub(super) const STREAM: Codes = codes!("STREAM");
pub(super) const TOPIC: Codes = codes!("TOPIC");
pub(super) const CONFIGURATION: Codes = codes!("CONFIGURATION");
