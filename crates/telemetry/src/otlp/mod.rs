//! OTLP, the protocol by which OpenTelemetry's SDKs and collectors hand over spans, logs and metrics: taken in and sent on.
//!
//! A request is walked where it lies (`wire.rs`), one span at a time is made of it (`decode.rs`) and handed to the
//! [`Recorder`](crate::Recorder), which never waits. What comes as JSON is written as protobuf first (`json.rs`). So what a request costs in
//! memory is its own size and a span's, whatever is in it, and how many bytes of requests there may be at a time has a maximum
//! (`receive`). Who sends more is told to come again later, in the protocol's own words.
//!
//! Who sends is who `service.name` says it is: what Colony starts is given that in its environment.

mod answer;
mod decode;
mod encode;
pub mod export;
mod json;
pub mod receive;
mod wire;

pub use decode::{Point, PointValue, logs, metrics, traces};
pub use encode::{Batch, measured};
pub use json::to_protobuf;
pub use wire::Malformed;

/// One of the three things that OTLP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Records of logs.
    Logs,
    /// Points of metrics.
    Metrics,
}

impl Signal {
    /// All there are.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    /// Its name: the last part of its path.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }

    /// Where it is sent to over HTTP.
    pub fn path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Logs => "/v1/logs",
            Signal::Metrics => "/v1/metrics",
        }
    }

    /// Its method of gRPC.
    pub fn method(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many spans, records or points were taken.
    pub accepted: u64,
    /// How many were not.
    pub rejected: u64,
    /// Of these, how many for want of room only.
    pub dropped: u64,
    /// Why the last of them was not.
    pub why: &'static str,
}

impl Taken {
    fn handed_over(&mut self, had_room: bool) {
        if had_room {
            self.accepted += 1;
        } else {
            self.dropped += 1;
            self.refused("more comes than can be kept, and some was dropped");
        }
    }

    fn refused(&mut self, why: &'static str) {
        self.rejected += 1;
        self.why = why;
    }
}
