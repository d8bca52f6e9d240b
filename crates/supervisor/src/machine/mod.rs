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
mod life;
mod plan;
mod restarts;
mod slots;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use health::Which;
pub(crate) use instance::{Failure, RunId};
pub(crate) use jobs::{Command, JobId, Outcome};
pub(crate) use status::Snapshot;

use crate::config::{Endpoint, Probe, Service};
use crate::event::Event;
use instance::{Instance, Stage};
use jobs::Job;
use policy::{Rng, Time};
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
