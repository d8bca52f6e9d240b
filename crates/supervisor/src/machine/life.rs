//! The life of an instance, step by step: started, asked, ready, late, retired, down, gone, failed.

use super::health::{Health, Verdict, Which};
use super::instance::{Failure, Instance, RunId, Stage};
use super::restarts::{Again, Attempt};
use super::{Action, Machine, Target};
use crate::config::Source;
use crate::event::{Event, Human};
use crate::status::InstanceState;
use policy::Time;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

impl Machine {
    /// Makes a new instance with the lowest free number.
    pub(super) fn add(&mut self, now: Time) {
        let number = (1..).find(|number| !self.instances.contains_key(number)).unwrap_or(u32::MAX);
        let authority = self.free_authority();
        let slot = self.slot_for(authority.as_deref());
        let mut instance = Instance::new(now, number, slot, Arc::clone(&self.spec), self.generation);
        instance.authority = authority;
        self.instances.insert(number, instance);
        self.start(now, number);
    }

    /// Begins an attempt to run an instance.
    pub(super) fn start(&mut self, now: Time, number: u32) {
        self.runs += 1;
        let run = RunId(self.runs);
        let Some(instance) = self.instances.get_mut(&number) else { return };
        instance.begin(now, run);
        let spec = Arc::clone(&instance.spec);
        if spec.is_external() {
            instance.stage = Stage::Running(Box::new(Health::new(now, &spec)));
        } else {
            self.actions.push_back(Action::Spawn { run, number, spec });
        }
    }

    pub(super) fn started(&mut self, now: Time, number: u32, pid: u32, address: SocketAddr, command: String) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        instance.pid = Some(pid);
        instance.address = Some(address);
        instance.stage = Stage::Running(Box::new(Health::new(now, &instance.spec)));
        let (leaving, id) = (instance.leaving, instance.id());
        let service = self.spec.name.clone();
        self.emit(Event::Starting { service, instance: id, pid, port: address.port(), command });
        if leaving {
            self.terminate(now, number);
        }
    }

    pub(super) fn ask(&mut self, now: Time, number: u32) {
        let target = self.target(number);
        let Some((instance, target)) = self.instances.get_mut(&number).zip(target) else { return };
        let Stage::Running(health) = &mut instance.stage else { return };
        let run = instance.run;
        for (which, probe) in health.due(now) {
            self.actions.push_back(Action::Check { run, which, probe, target: target.clone() });
        }
    }

    pub(super) fn target(&self, number: u32) -> Option<Target> {
        let instance = self.instances.get(&number)?;
        let authority = instance.authority.clone().map(Target::Authority);
        authority.or_else(|| instance.address.map(Target::Address))
    }

    /// An external instance stands for one authority that no other of its generation stands for.
    pub(super) fn free_authority(&self) -> Option<String> {
        let Source::Url { authorities } = &self.spec.source else { return None };
        let same = || self.instances.values().filter(|i| i.generation == self.generation);
        authorities
            .iter()
            .find(|a| same().all(|i| i.authority.as_ref() != Some(*a)))
            .or(authorities.first())
            .cloned()
    }

    pub(super) fn checked(
        &mut self,
        now: Time,
        number: u32,
        which: Which,
        answer: Result<SocketAddr, String>,
    ) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let Stage::Running(health) = &mut instance.stage else { return };
        if let (true, Ok(address)) = (instance.spec.is_external(), &answer) {
            instance.address = Some(*address);
        }
        let verdict = health.answered(now, which, answer.map(drop));
        let (service, id) = (self.spec.name.clone(), instance.id());
        match verdict {
            Some(Verdict::Ready) => self.ready(number),
            Some(Verdict::Unready(why)) => {
                self.emit(Event::Unready { service, instance: id, why });
            }
            Some(Verdict::Dead(why)) => {
                instance.ended_for = Some(format!("not alive: {why}"));
                self.emit(Event::Unhealthy { service, instance: id, why });
                self.terminate(now, number);
            }
            None => {}
        }
        self.publish();
    }

    pub(super) fn ready(&mut self, number: u32) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let (Stage::Running(health), Some(address)) = (&instance.stage, instance.address) else { return };
        instance.first_ready = health.first_ready();
        instance.failing = None;
        self.ever_ready = true;
        let took = instance.first_ready.map_or(Duration::ZERO, |ready| ready.since(instance.started));
        let event = Event::Ready { service: self.spec.name.clone(), instance: instance.id(), address, took };
        self.publish();
        self.emit(event);
    }

    /// It was not ready in time: a process is started again, an external one is asked on.
    pub(super) fn late(&mut self, now: Time, number: u32) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let Stage::Running(health) = &instance.stage else { return };
        let within = instance.spec.ready.within;
        let why = health.last_error().to_owned();
        let (service, id, external) = (self.spec.name.clone(), instance.id(), instance.spec.is_external());
        let reason = format!("not ready within {}: {why}", Human(within));
        self.emit(Event::Late { service, instance: id, within, why });
        if external {
            self.external_failed(now, number, reason);
        } else if let Some(instance) = self.instances.get_mut(&number) {
            instance.ended_for = Some(reason);
            self.terminate(now, number);
        }
    }

    pub(super) fn external_failed(&mut self, now: Time, number: u32, why: String) {
        let failure = Failure { why, last_lines: Vec::new() };
        if self.is_new_of_roll(number) {
            self.instances.remove(&number);
            self.abort_roll(now, failure);
        } else if let Some(instance) = self.instances.get_mut(&number) {
            instance.failing = Some(failure.clone());
            self.fail_job(failure);
        }
    }

    /// Takes an instance out for good, as gently as its stage allows.
    pub(super) fn retire(&mut self, now: Time, number: u32) {
        self.publish();
        let Some(instance) = self.instances.get_mut(&number) else { return };
        instance.leaving = true;
        let gone = instance.spec.is_external() || matches!(instance.stage, Stage::Waiting { .. });
        if gone {
            self.instances.remove(&number);
            return self.publish();
        }
        if !matches!(instance.stage, Stage::Running(_)) {
            return;
        }
        let (run, id, was_ready) = (instance.run, instance.id(), instance.is_ready());
        let patience = instance.spec.grace();
        let until = now + patience;
        self.emit(Event::Stopping { service: self.spec.name.clone(), instance: id.clone() });
        if !was_ready {
            return self.terminate(now, number);
        }
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.stage = Stage::Draining { until };
        }
        self.publish();
        self.actions.push_back(Action::Drain { run, id, patience });
    }

    pub(super) fn drained(&mut self, now: Time, number: u32) {
        if matches!(self.instances.get(&number), Some(Instance { stage: Stage::Draining { .. }, .. })) {
            self.terminate(now, number);
        }
    }

    /// Asks a process to end.
    pub(super) fn terminate(&mut self, now: Time, number: u32) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let run = instance.run;
        instance.stage = Stage::Stopping { kill_at: Some(now + instance.spec.grace()) };
        self.publish();
        self.actions.push_back(Action::Terminate { run });
    }

    /// Its leader has exited. What is left of the group of one that was not asked to end has no master any
    /// more, so it is killed; the group of one that was asked keeps the rest of its grace.
    pub(super) fn down(&mut self, now: Time, number: u32, status: String) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let known = matches!(instance.stage, Stage::Stopping { .. } | Stage::Down);
        instance.last_exit = Some(status.clone());
        if known {
            return;
        }
        instance.stage = Stage::Down;
        let (run, id, uptime) = (instance.run, instance.id(), now.since(instance.started));
        self.publish();
        self.actions.push_back(Action::Kill { run });
        self.emit(Event::Exited { service: self.spec.name.clone(), instance: id, status, uptime });
    }

    pub(super) fn gone(&mut self, now: Time, number: u32, last_lines: Vec<String>) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let status = instance.last_exit.clone().unwrap_or_else(|| "ended".to_owned());
        if instance.leaving {
            let event = Event::Stopped { service: self.spec.name.clone(), instance: instance.id(), status };
            self.instances.remove(&number);
            return self.emit(event);
        }
        let why = instance.ended_for.take().unwrap_or(status);
        self.failed(now, number, Failure { why, last_lines }, false);
    }

    /// An attempt to run an instance is over although it was to stay.
    pub(super) fn failed(&mut self, now: Time, number: u32, failure: Failure, hopeless: bool) {
        let leaving = self.instances.get(&number).is_none_or(|i| i.leaving);
        let new_of_roll = self.is_new_of_roll(number);
        if leaving || new_of_roll {
            self.instances.remove(&number);
            if new_of_roll {
                self.abort_roll(now, failure);
            }
            return;
        }
        let healthy_sibling = self.instances.values().any(|i| i.number != number && i.is_ready());
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let attempt = Attempt { ready_for: instance.ready_for(now), healthy_sibling, hopeless };
        let was_late =
            instance.first_ready.is_none() && now.since(instance.started) >= instance.spec.ready.within;
        let again = instance.restarts.failed(attempt, &mut self.rng);
        let (state, wait) = match again {
            Again::Soon(wait) => (InstanceState::Backoff, wait),
            Again::CrashLoop(wait) if hopeless => (InstanceState::Failed, wait),
            Again::CrashLoop(wait) => (InstanceState::CrashLoop, wait),
        };
        instance.stage = Stage::Waiting { at: now + wait, state };
        (instance.pid, instance.address) = (None, None);
        if was_late || state != InstanceState::Backoff {
            instance.failing = Some(failure.clone());
        }
        let (id, restarts) = (instance.id(), instance.restarts.total());
        self.emit(failure_event(&self.spec.name, id, restarts, state, wait, &failure));
        self.fail_job(failure);
    }
}

fn failure_event(
    service: &str,
    instance: String,
    restarts: u32,
    state: InstanceState,
    wait: Duration,
    failure: &Failure,
) -> Event {
    let service = service.to_owned();
    let why = failure.why.clone();
    match state {
        InstanceState::Failed => Event::NotStarted { service, instance, why, retry_in: wait },
        InstanceState::CrashLoop => {
            let last_lines = failure.last_lines.clone();
            Event::CrashLoop { service, instance, restarts, why, last_lines, retry_in: wait }
        }
        _ => Event::Restarting { service, instance, in_: wait, why },
    }
}
