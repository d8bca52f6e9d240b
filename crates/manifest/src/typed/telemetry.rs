//! `telemetry`: what is kept of what a system does, how its services hand it over, and where it is sent.

use crate::codes;
use crate::http::{self, Url};
use crate::typed::macros::scalar;
use crate::typed::{AsWritten, Dur, Listen, Map, OneOrMany, OrNone, Size, keys};
use crate::units::Wrong;
use crate::valid::{Compression, ExportProtocol, Recorded, Signal};
use crate::yaml::clip;

keys! {
    /// Spans and logs of the system: what is kept, how services hand theirs over, and where all of it is sent.
    Telemetry, "`telemetry`";
    /// Of which requests Colony records spans: `sampled`, `all` or `none`. Default `sampled`: all but those whose caller says that they
    /// are not to be.
    "traces" => traces: RecordedTraces,
    /// What is kept on disk of spans and logs.
    "window" => window: WindowOptions,
    /// Where services hand over theirs by OTLP, or `none`. Default: 127.0.0.1:4317 and 127.0.0.1:4318, or other ports if those are taken.
    "otlp" => otlp: OrNone<OtlpListeners>,
    /// Where spans, logs and metrics are sent. Default: nowhere, or where OTEL_EXPORTER_OTLP_ENDPOINT says that `colony up` was started with.
    "export" => export: Export,
}

keys! {
    /// What is kept on disk of spans and logs; what is over goes, the oldest first.
    WindowOptions, "the window";
    /// Most that it takes on disk. Default 512MiB; at least 16MiB.
    "size" => size: Size,
    /// How far it reaches back. Default 24h.
    "age" => age: Dur,
}

keys! {
    /// Where services hand over spans, logs and metrics by OTLP.
    OtlpListeners, "`otlp`";
    /// For gRPC. Default 127.0.0.1:4317, or another port if that is taken; port 0 lets the system choose.
    "grpc" => grpc: Listen,
    /// For HTTP. Default 127.0.0.1:4318, or another port if that is taken; port 0 lets the system choose.
    "http" => http: Listen,
}

keys! {
    /// Where spans, logs and metrics are sent.
    Export, "`export`";
    /// A collector, or anything that takes OTLP.
    "otlp" => otlp: ExportOtlp = required,
}

keys! {
    /// A collector.
    ExportOtlp, "a collector";
    /// Where it is: an http or https URL. Over HTTP `/v1/traces`, `/v1/logs` and `/v1/metrics` are put behind it.
    "endpoint" => endpoint: CollectorUrl = required,
    /// How it is spoken to: `http/protobuf` or `grpc`. Default `http/protobuf`.
    "protocol" => protocol: OtlpProtocol,
    /// Headers of each request, or metadata of each call: who asks, mostly.
    "headers" => headers: Map<AsWritten>,
    /// What is sent: `traces`, `logs`, `metrics`, or a list of these. Default: all three.
    "signals" => signals: OneOrMany<SignalName>,
    /// `gzip` or `none`. Default `none`.
    "compression" => compression: OtlpCompression,
    /// Longest wait for an answer. Default 10s.
    "timeout" => timeout: Dur,
    /// Most of each signal that waits in memory while the collector does not take it; the oldest goes first. Default 16MiB; at least 1MiB.
    "queue" => queue: Size,
}

scalar! {
    /// Of which requests spans are recorded.
    RecordedTraces(Recorded), "`sampled`, `all` or `none`", codes::WRONG_TYPE, scalar(recorded),
    { "enum": ["sampled", "all", "none"] }
}
scalar! {
    /// Where a collector is: an http or https URL.
    CollectorUrl(Url), "a URL such as `http://collector:4318`", codes::URL, scalar(http::url),
    { "type": "string", "pattern": "^https?://|\\$\\{", "examples": ["http://collector:4318", "https://otlp.example"] }
}
scalar! {
    /// How a collector is spoken to.
    OtlpProtocol(ExportProtocol), "`http/protobuf` or `grpc`", codes::WRONG_TYPE, scalar(protocol),
    { "enum": ["http/protobuf", "grpc"] }
}
scalar! {
    /// One of the three things that OTLP carries.
    SignalName(Signal), "`traces`, `logs` or `metrics`", codes::WRONG_TYPE, scalar(signal),
    { "enum": ["traces", "logs", "metrics"] }
}
scalar! {
    /// How requests are compressed.
    OtlpCompression(Compression), "`gzip` or `none`", codes::WRONG_TYPE, scalar(compression),
    { "enum": ["gzip", "none"] }
}

fn recorded(text: &str) -> Result<Recorded, Wrong> {
    match text {
        "sampled" => Ok(Recorded::Sampled),
        "all" => Ok(Recorded::All),
        "none" => Ok(Recorded::None),
        _ => Err(Wrong::new(format!("`{}` is no choice of requests", clip(text)))
            .help("write `sampled`, `all` or `none`; how many are kept follows from `window`")),
    }
}

fn protocol(text: &str) -> Result<ExportProtocol, Wrong> {
    match text {
        "http/protobuf" => Ok(ExportProtocol::Http),
        "grpc" => Ok(ExportProtocol::Grpc),
        _ => Err(Wrong::new(format!("`{}` is no protocol that spans are sent by", clip(text)))
            .help("write `http/protobuf`, which most collectors take at port 4318, or `grpc`, at 4317")),
    }
}

fn signal(text: &str) -> Result<Signal, Wrong> {
    let known = Signal::ALL.into_iter().find(|signal| signal.name() == text);
    known.ok_or_else(|| {
        Wrong::new(format!("`{}` is nothing that is sent", clip(text)))
            .help("write `traces`, `logs` or `metrics`")
    })
}

fn compression(text: &str) -> Result<Compression, Wrong> {
    match text {
        "gzip" => Ok(Compression::Gzip),
        "none" => Ok(Compression::None),
        _ => Err(Wrong::new(format!("`{}` is no way to compress a request", clip(text)))
            .help("write `gzip` or `none`")),
    }
}
