//! The machine of one service: decides when instances start, get requests, drain, end and start again. Pure:
//! time and chance come in, actions come out, nothing is touched.
//!
//! The driver calls, in this order and again and again: [`Machine::command`], [`Machine::handle`] or
//! [`Machine::handle_timeout`] (when [`Machine::next`] has come); then [`Machine::poll_action`] until it is
//! empty, carrying each action out in order before it takes the next. The order matters: an instance is no
//! longer published before it is drained or asked to end.

pub(crate) mod health;
pub(crate) mod instance;
mod jobs;
mod plan;
mod restarts;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use health::Which;
pub(crate) use instance::{Failure, RunId};
pub(crate) use jobs::{Command, JobId, Outcome};
pub(crate) use status::Snapshot;

use crate::config::{Endpoint, Probe, Service, Source};
use crate::event::Event;
use crate::status::InstanceState;
use health::{Health, Verdict};
use instance::{Instance, Stage};
use jobs::Job;
use policy::{Rng, Time};
use restarts::{Again, Attempt};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the world tells the machine. An input about an attempt that is over is ignored.
#[derive(Debug)]
pub(crate) enum Input {
    /// The process runs.
    Started { run: RunId, pid: u32, address: SocketAddr, command: String },
    /// There is no process, and why.
    NotStarted { run: RunId, why: String },
    /// A probe was answered; the address is the one that answered.
    Checked { run: RunId, which: Which, answer: Result<SocketAddr, String> },
    /// No request is under way on a draining instance.
    Drained { run: RunId },
    /// The leader of its process group has exited.
    Down { run: RunId, status: String },
    /// Nothing of its process group is left.
    Gone { run: RunId, last_lines: Vec<String> },
}

/// What the machine wants done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start a process and answer with `Started` or `NotStarted`; later `Down`, then `Gone`.
    Spawn { run: RunId, number: u32, spec: Arc<Service> },
    /// These and no others get requests.
    Publish(Vec<Endpoint>),
    /// Ask and answer with `Checked`.
    Check { run: RunId, which: Which, probe: Probe, target: Target },
    /// Answer with `Drained` when no request is under way, looking no longer than `patience`.
    Drain { run: RunId, id: String, patience: Duration },
    /// SIGTERM to the group.
    Terminate { run: RunId },
    /// SIGKILL to the group.
    Kill { run: RunId },
    /// Tell people.
    Emit(Event),
    /// A command has ended.
    Done { job: JobId, outcome: Outcome },
}

/// Whom a probe asks.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Target {
    /// A process of ours.
    Address(SocketAddr),
    /// `host:port` of something that already runs.
    Authority(String),
}

/// What the service as a whole is doing.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Phase {
    /// Not started; these must be ready first.
    Waiting(Vec<String>),
    Building,
    Running,
    Stopped,
    /// Its build has failed.
    Failed(Failure),
}

#[derive(Debug)]
pub(crate) struct Machine {
    spec: Arc<Service>,
    wanted: u32,
    generation: u64,
    generations: u64,
    phase: Phase,
    instances: BTreeMap<u32, Instance>,
    job: Option<Job>,
    queue: VecDeque<(JobId, Command)>,
    published: Vec<Endpoint>,
    ever_ready: bool,
    actions: VecDeque<Action>,
    runs: u64,
    rng: Rng,
}

impl Machine {
    pub fn new(spec: Service, seed: u64) -> Self {
        Self {
            wanted: spec.instances(),
            spec: Arc::new(spec),
            generation: 0,
            generations: 0,
            phase: Phase::Waiting(Vec::new()),
            instances: BTreeMap::new(),
            job: None,
            queue: VecDeque::new(),
            published: Vec::new(),
            ever_ready: false,
            actions: VecDeque::new(),
            runs: 0,
            rng: Rng::new(seed),
        }
    }

    pub fn spec(&self) -> &Arc<Service> {
        &self.spec
    }

    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// When [`Machine::handle_timeout`] is due.
    pub fn next(&self) -> Option<Time> {
        self.instances.values().filter_map(Instance::next).min()
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Time, input: Input) {
        let run = match &input {
            Input::Started { run, .. }
            | Input::NotStarted { run, .. }
            | Input::Checked { run, .. }
            | Input::Drained { run }
            | Input::Down { run, .. }
            | Input::Gone { run, .. } => *run,
        };
        let Some(number) = self.instances.values().find(|i| i.run == run).map(|i| i.number) else { return };
        match input {
            Input::Started { pid, address, command, .. } => self.started(now, number, pid, address, command),
            Input::NotStarted { why, .. } => {
                let failure = Failure { why, last_lines: Vec::new() };
                self.failed(now, number, failure, true);
            }
            Input::Checked { which, answer, .. } => self.checked(now, number, which, answer),
            Input::Drained { .. } => self.drained(now, number),
            Input::Down { status, .. } => self.down(now, number, status),
            Input::Gone { last_lines, .. } => self.gone(now, number, last_lines),
        }
        self.reconcile(now);
    }

    /// Does what time has made due.
    pub fn handle_timeout(&mut self, now: Time) {
        let due: Vec<u32> = self
            .instances
            .values()
            .filter(|i| i.next().is_some_and(|at| at <= now))
            .map(|i| i.number)
            .collect();
        for number in due {
            self.timeout(now, number);
        }
        self.reconcile(now);
    }

    fn timeout(&mut self, now: Time, number: u32) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        match &mut instance.stage {
            Stage::Running(health) => {
                if health.is_late(now) {
                    self.late(now, number)
                } else {
                    self.ask(now, number)
                }
            }
            Stage::Waiting { .. } => self.start(now, number),
            Stage::Draining { .. } => self.terminate(now, number),
            Stage::Stopping { kill_at } => {
                *kill_at = None;
                let (run, instance, grace) = (instance.run, instance.id(), instance.spec.grace());
                self.actions.push_back(Action::Kill { run });
                self.emit(Event::Killed { service: self.spec.name.clone(), instance, grace });
            }
            Stage::Spawning | Stage::Down => {}
        }
    }

    /// Makes a new instance with the lowest free number.
    fn add(&mut self, now: Time) {
        let number = (1..).find(|number| !self.instances.contains_key(number)).unwrap_or(u32::MAX);
        let mut instance = Instance::new(now, number, RunId(0), Arc::clone(&self.spec), self.generation);
        instance.authority = self.free_authority();
        self.instances.insert(number, instance);
        self.start(now, number);
    }

    /// Begins an attempt to run an instance.
    fn start(&mut self, now: Time, number: u32) {
        self.runs += 1;
        let run = RunId(self.runs);
        let Some(instance) = self.instances.get_mut(&number) else { return };
        instance.begin(now, run);
        let spec = Arc::clone(&instance.spec);
        if spec.is_external() {
            instance.stage = Stage::Running(Health::new(now, &spec));
        } else {
            self.actions.push_back(Action::Spawn { run, number, spec });
        }
    }

    fn started(&mut self, now: Time, number: u32, pid: u32, address: SocketAddr, command: String) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        instance.pid = Some(pid);
        instance.address = Some(address);
        instance.stage = Stage::Running(Health::new(now, &instance.spec));
        let (leaving, id) = (instance.leaving, instance.id());
        let service = self.spec.name.clone();
        self.emit(Event::Starting { service, instance: id, pid, port: address.port(), command });
        if leaving {
            self.terminate(now, number);
        }
    }

    fn ask(&mut self, now: Time, number: u32) {
        let target = self.target(number);
        let Some((instance, target)) = self.instances.get_mut(&number).zip(target) else { return };
        let Stage::Running(health) = &mut instance.stage else { return };
        let run = instance.run;
        for (which, probe) in health.due(now) {
            self.actions.push_back(Action::Check { run, which, probe, target: target.clone() });
        }
    }

    fn target(&self, number: u32) -> Option<Target> {
        let instance = self.instances.get(&number)?;
        let authority = instance.authority.clone().map(Target::Authority);
        authority.or_else(|| instance.address.map(Target::Address))
    }

    /// An external instance stands for one authority that no other of its generation stands for.
    fn free_authority(&self) -> Option<String> {
        let Source::Url { authorities } = &self.spec.source else { return None };
        let same = || self.instances.values().filter(|i| i.generation == self.generation);
        authorities
            .iter()
            .find(|a| same().all(|i| i.authority.as_ref() != Some(*a)))
            .or(authorities.first())
            .cloned()
    }

    fn checked(&mut self, now: Time, number: u32, which: Which, answer: Result<SocketAddr, String>) {
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

    fn ready(&mut self, number: u32) {
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
    fn late(&mut self, now: Time, number: u32) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let Stage::Running(health) = &instance.stage else { return };
        let within = instance.spec.ready.within;
        let why = health.last_error().to_owned();
        let (service, id, external) = (self.spec.name.clone(), instance.id(), instance.spec.is_external());
        let reason = format!("not ready within {}: {why}", crate::event::Human(within));
        self.emit(Event::Late { service, instance: id, within, why });
        if external {
            self.external_failed(now, number, reason);
        } else if let Some(instance) = self.instances.get_mut(&number) {
            instance.ended_for = Some(reason);
            self.terminate(now, number);
        }
    }

    fn external_failed(&mut self, now: Time, number: u32, why: String) {
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
    fn retire(&mut self, now: Time, number: u32) {
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

    fn drained(&mut self, now: Time, number: u32) {
        if matches!(self.instances.get(&number), Some(Instance { stage: Stage::Draining { .. }, .. })) {
            self.terminate(now, number);
        }
    }

    /// Asks a process to end.
    fn terminate(&mut self, now: Time, number: u32) {
        let Some(instance) = self.instances.get_mut(&number) else { return };
        let run = instance.run;
        instance.stage = Stage::Stopping { kill_at: Some(now + instance.spec.grace()) };
        self.publish();
        self.actions.push_back(Action::Terminate { run });
    }

    /// Its leader has exited. What is left of the group of one that was not asked to end has no master any
    /// more, so it is killed; the group of one that was asked keeps the rest of its grace.
    fn down(&mut self, now: Time, number: u32, status: String) {
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

    fn gone(&mut self, now: Time, number: u32, last_lines: Vec<String>) {
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
    fn failed(&mut self, now: Time, number: u32, failure: Failure, hopeless: bool) {
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

    /// Tells the data plane when the set of instances with requests has changed.
    fn publish(&mut self) {
        let ready: Vec<Endpoint> = self.instances.values().filter_map(Instance::endpoint).collect();
        if ready != self.published {
            self.published.clone_from(&ready);
            self.actions.push_back(Action::Publish(ready));
        }
    }

    fn emit(&mut self, event: Event) {
        self.actions.push_back(Action::Emit(event));
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
