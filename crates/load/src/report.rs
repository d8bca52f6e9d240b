//! What a run found, for programs (`serde`) and for people ([`render`](crate::render())).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ledger::Kind;

/// The result of one run. Counts and latencies leave the warm-up out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The scenario's name, or the method that was repeated.
    pub name: String,
    /// The base address.
    pub target: String,
    /// Arrivals asked for, per second.
    pub intended_rate: f64,
    /// Requests that ended, per second, until the last of them did.
    pub achieved_rate: f64,
    /// How long arrivals were measured.
    pub seconds: f64,
    /// Whether the run was stopped before its time.
    pub interrupted: bool,
    /// Requests whose intended send time lay in the measured time.
    pub sent: u64,
    /// Answers that were expected.
    pub ok: u64,
    /// Everything else that ended.
    pub failed: u64,
    /// Still under way when the run was stopped.
    pub unfinished: u64,
    /// `failed`, by reason.
    pub failures: Failures,
    /// From the intended send time to the end of the answer, or to the timeout.
    pub latency: Latency,
    /// How late the generator itself sent; it is part of `latency`.
    pub lag: Latency,
    /// Bytes of answers' bodies.
    pub bytes: u64,
    /// Connections opened, warm-up included.
    pub connections: u64,
    /// Requests sent once more since the server had closed an idle connection, warm-up included.
    pub repeated: u64,
    /// In the scenario's order.
    pub journeys: Vec<JourneyReport>,
    /// The first ten distinct failures, the most frequent foremost.
    pub examples: Vec<Example>,
}

/// One kind of journey.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JourneyReport {
    /// Its name in the scenario.
    pub name: String,
    /// Journeys begun.
    pub started: u64,
    /// Journeys whose last step succeeded.
    pub completed: u64,
    /// Journeys that ended at a failed step.
    pub failed: u64,
    /// In their order.
    pub steps: Vec<StepReport>,
}

/// One step of a journey.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StepReport {
    /// Its name in the scenario.
    pub name: String,
    /// Requests sent.
    pub sent: u64,
    /// Answers that were expected.
    pub ok: u64,
    /// Everything else that ended.
    pub failed: u64,
    /// As in the [`Report`].
    pub latency: Latency,
}

/// Percentiles in microseconds, from a histogram with three significant digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
    pub mean_us: u64,
}

/// Failed requests by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// No connection could be opened.
    pub connect: u64,
    /// The connection ended before the answer did.
    pub reset: u64,
    /// The answer was no HTTP.
    pub protocol: u64,
    /// No whole answer within the timeout.
    pub timeout: u64,
    /// What a step saves was not in the answer.
    pub save: u64,
    /// The request could not be written down.
    pub invalid: u64,
    /// A status that the step did not expect.
    pub status: BTreeMap<u16, u64>,
}

impl Failures {
    pub(crate) fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Connect => &mut self.connect,
            Kind::Reset => &mut self.reset,
            Kind::Protocol => &mut self.protocol,
            Kind::Timeout => &mut self.timeout,
            Kind::Save => &mut self.save,
            Kind::Invalid => &mut self.invalid,
            Kind::Status(status) => self.status.entry(status).or_default(),
        } += 1;
    }
}

/// A failure as it was first met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Example {
    /// `journey / step`.
    pub step: String,
    /// `connect`, `reset`, `protocol`, `timeout`, `status`, `save` or `invalid`.
    pub kind: &'static str,
    /// The answer's status, if there was one that the step did not expect.
    pub status: Option<u16>,
    /// The beginning of the answer's body, or what the system said.
    pub detail: String,
    /// How often this step failed in this way.
    pub count: u64,
}

impl Example {
    pub(crate) fn new(kind: Kind, detail: String) -> Example {
        let (kind, status) = match kind {
            Kind::Connect => ("connect", None),
            Kind::Reset => ("reset", None),
            Kind::Protocol => ("protocol", None),
            Kind::Timeout => ("timeout", None),
            Kind::Save => ("save", None),
            Kind::Invalid => ("invalid", None),
            Kind::Status(status) => ("status", Some(status)),
        };
        Example { step: String::new(), kind, status, detail, count: 1 }
    }
}

/// How a run stands, once a second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Tick {
    /// Since the first arrival, warm-up included.
    pub elapsed_s: f64,
    /// Warm-up and measurement together.
    pub total_s: f64,
    /// Whether arrivals are not measured yet.
    pub warming: bool,
    /// Requests that ended in the last second, per second.
    pub rate: f64,
    /// Measured requests sent so far.
    pub sent: u64,
    /// Of them: ended as expected.
    pub ok: u64,
    /// Of them: failed.
    pub failed: u64,
    /// Requests under way now.
    pub in_flight: u64,
    /// Latency of the last second.
    pub latency: Latency,
}
