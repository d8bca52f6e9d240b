//! Where what services write and what Colony says of them is kept: the last lines in memory, for `colony logs -f` and for whoever asks
//! why something fell over, and all of it as records in the window on the disk. Whatever comes here has no secrets in it any more.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use telemetry::logs::{LogWindow, Stream};
use telemetry::parse::{self, Origin};
use telemetry::{LogRecord, Recorder};

/// OpenTelemetry's numbers.
pub(crate) const INFO: u8 = 9;
pub(crate) const WARN: u8 = 13;
pub(crate) const ERROR: u8 = 17;

/// Both of them.
pub(crate) struct Lines {
    pub(crate) window: Arc<LogWindow>,
    pub(crate) recorder: Recorder,
}

/// Something that Colony says.
pub(crate) struct Said<'a> {
    pub(crate) service: &'a str,
    pub(crate) instance: &'a str,
    /// What it is about for programs; empty if only for people.
    pub(crate) event: &'a str,
    pub(crate) severity: u8,
    pub(crate) text: &'a str,
}

impl Lines {
    /// A line that a service wrote.
    pub(crate) fn written(&self, service: &str, instance: &str, stream: Stream, text: &str) {
        let at_ns = self.push(service, instance, stream, text);
        let origin = Origin {
            service: service.to_owned().into(),
            instance: instance.to_owned().into(),
            stream,
            at_ns,
        };
        self.recorder.log(parse::line(origin, text));
    }

    /// What Colony says about it.
    pub(crate) fn said(&self, said: &Said<'_>) {
        let at_ns = self.push(said.service, said.instance, Stream::Colony, said.text);
        self.record(said, at_ns);
    }

    /// The same of what `colony logs -f` is not shown, since it is no line.
    pub(crate) fn noted(&self, said: &Said<'_>) {
        self.record(said, unix_ns());
    }

    fn record(&self, said: &Said<'_>, at_ns: u64) {
        self.recorder.log(LogRecord {
            at_ns,
            severity: said.severity,
            service: said.service.to_owned().into(),
            instance: said.instance.to_owned().into(),
            event: said.event.to_owned().into(),
            body: said.text.to_owned().into(),
            attributes: Vec::new(),
            trace_id: None,
            span_id: None,
        });
    }

    fn push(&self, service: &str, instance: &str, stream: Stream, text: &str) -> u64 {
        let at_ns = unix_ns();
        self.window.push(at_ns / 1_000_000, service, instance, stream, text);
        at_ns
    }
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
