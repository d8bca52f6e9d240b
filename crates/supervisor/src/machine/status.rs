//! The state of a service, from the states of its instances.

use super::instance::{Failure, Instance, millis};
use super::{Machine, Phase};
use crate::status::{InstanceState, Rollout, ServiceStatus, State};
use policy::Time;

/// The status of a service without what changes by itself.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Snapshot {
    status: ServiceStatus,
    /// When each instance was started.
    started: Vec<Time>,
}

impl Snapshot {
    pub fn status(&self) -> &ServiceStatus {
        &self.status
    }

    /// With uptimes as of now.
    pub fn at(&self, now: Time) -> ServiceStatus {
        let mut status = self.status.clone();
        for (instance, started) in status.instances.iter_mut().zip(&self.started) {
            if instance.pid.is_some() {
                instance.uptime_ms = millis(now.since(*started));
            }
        }
        status
    }
}

impl Machine {
    pub fn snapshot(&self) -> Snapshot {
        let (state, failure) = self.state();
        let waits_for = if let Phase::Waiting(on) = &self.phase { on.clone() } else { Vec::new() };
        let status = ServiceStatus {
            name: self.spec.name.clone(),
            state,
            why: failure.as_ref().map(|failure| failure.why.clone()),
            last_lines: failure.map(|failure| failure.last_lines).unwrap_or_default(),
            waits_for,
            rollout: self.rollout(),
            wanted: if matches!(self.phase, Phase::Stopped) { 0 } else { self.wanted },
            ready: u32::try_from(self.published.len()).unwrap_or(u32::MAX),
            command: self.spec.command(),
            external: self.spec.is_external(),
            instances: self.instances.values().map(Instance::status).collect(),
        };
        Snapshot { status, started: self.instances.values().map(|instance| instance.started).collect() }
    }

    fn rollout(&self) -> Option<Rollout> {
        let is_new = |instance: &&Instance| instance.generation == self.generation;
        let count = |all: usize| u32::try_from(all).unwrap_or(u32::MAX);
        self.is_rolling().then(|| Rollout {
            replaced: count(self.instances.values().filter(is_new).filter(|new| new.is_ready()).count()),
            of: self.wanted,
            old: count(self.instances.values().filter(|one| !is_new(one)).count()),
        })
    }

    fn state(&self) -> (State, Option<Failure>) {
        match &self.phase {
            Phase::Waiting(on) if on.is_empty() => (State::Waiting, None),
            Phase::Waiting(on) => {
                let why = format!("waits for {}", on.join(", "));
                (State::Waiting, Some(Failure { why, last_lines: Vec::new() }))
            }
            Phase::Building => (State::Building, None),
            Phase::Stopped => (State::Stopped, None),
            Phase::Failed(failure) => (State::Failed, Some(failure.clone())),
            Phase::Running => self.running_state(),
        }
    }

    fn running_state(&self) -> (State, Option<Failure>) {
        let staying = || self.staying_ones();
        let ready = staying().filter(|i| i.is_ready()).count();
        let failing = staying().find(|i| i.failing.is_some());
        let failure = failing.and_then(|i| i.failing.clone());
        if ready >= self.wanted as usize {
            return (State::Ready, None);
        }
        let state = match failing {
            Some(_) if ready > 0 => State::Degraded,
            Some(instance) if is_crash_looping(instance) => State::CrashLoop,
            Some(_) => State::Failed,
            None if self.ever_ready && !staying().all(|i| i.is_ready() || i.is_fresh()) => State::Degraded,
            None => State::Starting,
        };
        (state, failure)
    }
}

fn is_crash_looping(instance: &Instance) -> bool {
    match instance.state() {
        InstanceState::CrashLoop => true,
        InstanceState::Failed => false,
        _ => instance.restarts.total() >= super::restarts::CRASH_LOOP_FAILURES,
    }
}
