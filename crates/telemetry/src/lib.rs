//! What a running system shows of itself: the trace that a request belongs to, how many and how fast,
//! and the last lines that its services wrote.
//!
//! Everything here is always on, so it is cheap where it is written and bounded in what it keeps.

#![warn(clippy::unwrap_used, clippy::expect_used)]

pub mod alerts;
pub mod api;
pub mod catalogue;
pub mod exemplars;
pub mod exposition;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod json;
pub mod logs;
pub mod metrics;
pub mod otlp;
pub mod parse;
pub mod part;
pub mod query;
pub mod recorder;
pub mod redact;
pub mod sample;
pub mod series;
pub mod share;
pub mod slo;
pub mod span;
pub mod telemetry;
pub mod trace;
mod window;

pub use json::{hex, level, unhex};
pub use logs::{Line, LogWindow, Since, Stream};
pub use metrics::{Counter, Histogram, HistogramSnapshot};
pub use part::{Kept, KeptLog, Part, Why};
pub use recorder::{Compact, Inbox, Record, Recorder};
pub use redact::Redactor;
pub use share::Share;
pub use span::{LogRecord, Span};
pub use telemetry::{Config, Telemetry};
pub use trace::TraceContext;
