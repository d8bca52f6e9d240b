//! One instance within the machine of its service: where it is in its life and what the machine knows of it.

use super::health::Health;
use super::restarts::Restarts;
use crate::config::{Endpoint, Service};
use crate::status::{InstanceState, InstanceStatus};
use policy::Time;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One attempt to run an instance; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct RunId(pub u64);

/// Where an instance is in its life.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The driver was asked to start it.
    Spawning,
    /// It runs; its health says whether it gets requests.
    Running(Box<Health>),
    /// Its leader has exited by itself; the rest of its group is being ended.
    Down,
    /// It has failed and is started again at this time.
    Waiting { at: Time, state: InstanceState },
    /// It gets no new requests and finishes those under way, at most until then.
    Draining { until: Time },
    /// It was asked to end; killed at this time, or killed already.
    Stopping { kill_at: Option<Time> },
}

/// Why an instance is not well.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Failure {
    pub why: String,
    pub last_lines: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Instance {
    pub number: u32,
    /// Its place among its siblings, which its replacement takes over.
    pub slot: u32,
    pub run: RunId,
    pub spec: Arc<Service>,
    pub generation: u64,
    pub stage: Stage,
    /// It is not to be started again.
    pub leaving: bool,
    /// Of an external instance: where it is.
    pub authority: Option<String>,
    pub restarts: Restarts,
    /// Since its failures count as a state of the service; until it is ready again.
    pub failing: Option<Failure>,
    /// Why it is being ended although it is to stay.
    pub ended_for: Option<String>,
    pub started: Time,
    pub pid: Option<u32>,
    pub address: Option<SocketAddr>,
    pub first_ready: Option<Time>,
    pub last_exit: Option<String>,
}

impl Instance {
    pub fn new(now: Time, number: u32, slot: u32, spec: Arc<Service>, generation: u64) -> Self {
        Self {
            number,
            slot,
            run: RunId(0),
            spec,
            generation,
            stage: Stage::Spawning,
            leaving: false,
            authority: None,
            restarts: Restarts::default(),
            failing: None,
            ended_for: None,
            started: now,
            pid: None,
            address: None,
            first_ready: None,
            last_exit: None,
        }
    }

    /// `catalog-1`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.spec.name, self.number)
    }

    /// It gets requests.
    pub fn is_ready(&self) -> bool {
        matches!(&self.stage, Stage::Running(health) if health.is_ready()) && self.address.is_some()
    }

    /// It has an attempt that may still become ready, without having failed before.
    pub fn is_fresh(&self) -> bool {
        self.restarts.total() == 0
            && self.first_ready.is_none()
            && matches!(self.stage, Stage::Spawning | Stage::Running(_))
    }

    pub fn endpoint(&self) -> Option<Endpoint> {
        let address = self.address.filter(|_| self.is_ready())?;
        Some(Endpoint { id: self.id(), slot: self.slot, address, authority: self.authority.clone() })
    }

    /// When its stage needs the machine.
    pub fn next(&self) -> Option<Time> {
        match &self.stage {
            Stage::Spawning | Stage::Down => None,
            Stage::Running(health) => health.next(),
            Stage::Waiting { at, .. } => Some(*at),
            Stage::Draining { until } => Some(*until),
            Stage::Stopping { kill_at } => *kill_at,
        }
    }

    /// How long its present attempt has been up since it was ready.
    pub fn ready_for(&self, now: Time) -> Option<Duration> {
        self.first_ready.map(|ready| now.since(ready))
    }

    /// Begins another attempt.
    pub fn begin(&mut self, now: Time, run: RunId) {
        self.run = run;
        self.stage = Stage::Spawning;
        self.ended_for = None;
        self.started = now;
        self.pid = None;
        self.address = None;
        self.first_ready = None;
    }

    pub fn state(&self) -> InstanceState {
        match &self.stage {
            Stage::Spawning => InstanceState::Starting,
            Stage::Running(_) if self.is_ready() => InstanceState::Ready,
            Stage::Running(_) if self.first_ready.is_some() => InstanceState::Unready,
            Stage::Running(_) => InstanceState::Starting,
            Stage::Down => InstanceState::Backoff,
            Stage::Waiting { state, .. } => *state,
            Stage::Draining { .. } => InstanceState::Draining,
            Stage::Stopping { .. } => InstanceState::Stopping,
        }
    }

    /// As a row of `status`. Its uptime and what it uses are filled in by who can look.
    pub fn status(&self) -> InstanceStatus {
        InstanceStatus {
            id: self.id(),
            slot: self.slot,
            pid: self.pid,
            address: self.address,
            authority: self.authority.clone(),
            state: self.state(),
            uptime_ms: 0,
            restarts: self.restarts.total(),
            last_exit: self.last_exit.clone(),
            ready_after_ms: self.first_ready.map(|ready| millis(ready.since(self.started))),
            rss_kib: None,
            cpu_ms: None,
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
