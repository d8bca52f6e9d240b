//! What is kept of what a system does, how its services hand it over, and where it is sent.

use std::net::SocketAddr;
use std::time::Duration;

/// Spans, logs and metrics of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Of which requests Colony records spans of its own.
    pub traces: Recorded,
    /// What is kept on disk.
    pub window: Window,
    /// Where services hand over theirs. None: nowhere.
    pub otlp: Option<OtlpListeners>,
    /// Where all of it is sent. None: nowhere, if the environment says nothing else.
    pub export: Option<ExportOtlp>,
}

/// Of which requests spans are recorded. Those that services send are taken in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// All but those whose `traceparent` says that they are not sampled.
    Sampled,
    /// All.
    All,
    /// None.
    None,
}

/// What is kept on disk of spans and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Most that it takes, in bytes. Default 512 MiB, at least 16 MiB.
    pub bytes: u64,
    /// How far it reaches back. Default 24 h.
    pub age: Duration,
}

/// Where services hand over spans, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtlpListeners {
    /// For gRPC. None: 127.0.0.1:4317, or another port if that is taken.
    pub grpc: Option<SocketAddr>,
    /// For HTTP. None: 127.0.0.1:4318, or another port if that is taken.
    pub http: Option<SocketAddr>,
}

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOtlp {
    /// `http://` or `https://`, host, port and path without a slash at its end.
    pub endpoint: String,
    /// How it is spoken to. Default HTTP.
    pub protocol: ExportProtocol,
    /// Headers of each request: names lower case, sorted.
    pub headers: Vec<(String, String)>,
    /// What is sent, each once. Default: all.
    pub signals: Vec<Signal>,
    /// How requests are compressed. Default: they are not.
    pub compression: Compression,
    /// Longest wait for an answer. Default 10 s.
    pub timeout: Duration,
    /// Most of each signal that waits in memory, in bytes. Default 16 MiB, at least 1 MiB.
    pub queue_bytes: u64,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportProtocol {
    /// HTTP with protobuf.
    Http,
    /// gRPC.
    Grpc,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// With gzip.
    Gzip,
    /// Not.
    None,
}

/// One of the three things that OTLP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }
}

impl Recorded {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Recorded::Sampled => "sampled",
            Recorded::All => "all",
            Recorded::None => "none",
        }
    }
}

impl ExportProtocol {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            ExportProtocol::Http => "http/protobuf",
            ExportProtocol::Grpc => "grpc",
        }
    }
}

impl Compression {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::None => "none",
        }
    }
}
