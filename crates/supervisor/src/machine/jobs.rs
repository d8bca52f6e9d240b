//! The commands to a service and what they do over time: one job at a time, the next waits. `Stop` does not
//! wait, it interrupts. [`Machine::reconcile`] runs after every input and moves the instances one step nearer
//! to what is wanted.

use super::instance::{Failure, Instance};
use super::plan::{self, Step, View};
use super::{Action, Machine, Phase};
use crate::config::Service;
use crate::event::Event;
use policy::Time;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

/// Names a command, so that its end can be told to who gave it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct JobId(pub u64);

/// What can be asked of a service.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Start it, when it does not run.
    Start,
    /// Replace every instance by one of this kind, so many in the end.
    Roll { spec: Arc<Service>, wanted: u32 },
    /// Have so many instances.
    Scale(u32),
    /// Take on what needs no restart.
    Adjust(Arc<Service>),
    /// End it until it is rolled or started.
    Stop,
}

/// How a command ended.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Outcome {
    Done { instances: Vec<String>, took: Duration },
    Failed { failure: Failure, old_stays: bool },
    Interrupted,
}

#[derive(Debug)]
pub(super) struct Job {
    /// `None` for a way back that nobody asked for.
    id: Option<JobId>,
    kind: Kind,
    begun: Time,
}

#[derive(Debug)]
enum Kind {
    /// Until as many instances as wanted are ready and none is leaving.
    Settle,
    /// Until every instance is of the current generation. Holds what there was before.
    Roll { spec: Arc<Service>, wanted: u32, generation: u64 },
    /// Until no instance is left.
    Stop,
}

impl Machine {
    /// Takes a command; `Action::Done` with this job tells its end.
    pub fn command(&mut self, now: Time, job: JobId, command: Command) {
        if matches!(command, Command::Stop) {
            self.interrupt();
        }
        self.queue.push_back((job, command));
        self.reconcile(now);
    }

    /// It was asked to start and has not yet.
    pub fn waiting(&mut self) {
        if self.instances.is_empty() {
            self.phase = Phase::Waiting(Vec::new());
        }
    }

    /// It waits for these services before it starts. True when it did not already wait for the same.
    pub fn wait_for(&mut self, services: Vec<String>) -> bool {
        let waits = matches!(&self.phase, Phase::Waiting(on) if *on != services);
        if waits {
            self.phase = Phase::Waiting(services);
        }
        waits
    }

    /// Its build runs or is queued. What already runs goes on.
    pub fn building(&mut self) {
        if self.instances.is_empty() {
            self.phase = Phase::Building;
        }
    }

    /// Its build has failed. What already runs goes on.
    pub fn build_failed(&mut self, why: String, last_lines: Vec<String>) {
        if self.instances.is_empty() {
            self.phase = Phase::Failed(Failure { why, last_lines });
        }
    }

    /// Moves everything one step on. Called after every input.
    pub(super) fn reconcile(&mut self, now: Time) {
        loop {
            self.step(now);
            self.publish();
            if !self.finish_job(now) && self.job.is_some() {
                return;
            }
            let Some((id, command)) = self.queue.pop_front() else { return };
            self.begin(now, id, command);
        }
    }

    fn begin(&mut self, now: Time, id: JobId, command: Command) {
        let kind = match command {
            Command::Start => {
                self.phase = Phase::Running;
                Kind::Settle
            }
            Command::Scale(wanted) => {
                self.wanted = wanted;
                Kind::Settle
            }
            Command::Adjust(spec) => {
                self.adjust(spec);
                return self.end(now, Job { id: Some(id), kind: Kind::Settle, begun: now });
            }
            Command::Roll { spec, wanted } => self.begin_roll(now, spec, wanted),
            Command::Stop => {
                self.phase = Phase::Stopped;
                self.instances_where(|_| true).into_iter().for_each(|number| self.retire(now, number));
                Kind::Stop
            }
        };
        self.job = Some(Job { id: Some(id), kind, begun: now });
    }

    /// Instances of the current kind take the new settings on; older ones keep theirs.
    fn adjust(&mut self, spec: Arc<Service>) {
        for instance in self.instances.values_mut().filter(|i| i.generation == self.generation) {
            instance.spec = Arc::clone(&spec);
        }
        self.spec = spec;
    }

    /// With an instance that serves, the new must prove itself before the old goes. Without one there is
    /// nothing to protect: all old ones go at once.
    fn begin_roll(&mut self, now: Time, spec: Arc<Service>, wanted: u32) -> Kind {
        let before = (Arc::clone(&self.spec), self.wanted, self.generation);
        let serves = self.instances.values().any(Instance::is_ready);
        self.generations += 1;
        self.generation = self.generations;
        self.spec = spec;
        self.wanted = wanted;
        self.phase = Phase::Running;
        if serves {
            return Kind::Roll { spec: before.0, wanted: before.1, generation: before.2 };
        }
        self.instances_where(|_| true).into_iter().for_each(|number| self.retire(now, number));
        Kind::Settle
    }

    fn step(&mut self, now: Time) {
        if self.phase != Phase::Running {
            return;
        }
        match self.job.as_ref().map(|job| &job.kind) {
            Some(Kind::Roll { .. }) => self.step_roll(now),
            _ => self.step_count(now),
        }
    }

    fn step_count(&mut self, now: Time) {
        self.part_slots();
        let is_fixed = self.spec.fixed_port().is_some();
        while self.staying() < self.wanted && !(is_fixed && self.leaving() > 0) {
            self.add(now);
        }
        while self.staying() > self.wanted {
            let Some(number) = self.least_wanted(|_| true) else { return };
            self.retire(now, number);
        }
    }

    fn step_roll(&mut self, now: Time) {
        loop {
            let generation = self.generation;
            match plan::next(self.view()) {
                Step::Start => self.add(now),
                Step::Retire => {
                    let Some(number) = self.least_wanted(|i| i.generation != generation) else { return };
                    self.retire(now, number);
                }
                Step::Wait | Step::Done => return,
            }
        }
    }

    fn view(&self) -> View {
        let staying = || self.staying_ones();
        let new = || staying().filter(|i| i.generation == self.generation);
        let ports = || staying().filter(|i| i.generation != self.generation).map(|i| i.spec.fixed_port());
        let overlap = self.spec.fixed_port().is_none_or(|port| ports().all(|old| old != Some(port)));
        View {
            old: count(staying().filter(|i| i.generation != self.generation)),
            new_ready: count(new().filter(|i| i.is_ready())),
            new_pending: count(new().filter(|i| !i.is_ready())),
            leaving: self.leaving(),
            wanted: self.wanted,
            overlap,
        }
    }

    /// Instances are being replaced.
    pub(super) fn is_rolling(&self) -> bool {
        matches!(&self.job, Some(Job { kind: Kind::Roll { .. }, .. }))
    }

    /// Whether the instance is a new one that a roll under way depends on.
    pub(super) fn is_new_of_roll(&self, number: u32) -> bool {
        self.is_rolling() && self.instances.get(&number).is_some_and(|i| i.generation == self.generation)
    }

    /// A new instance has failed: what was before is wanted again. New instances that already took over are
    /// replaced back, in the same careful way; should that fail too, what runs is kept.
    pub(super) fn abort_roll(&mut self, now: Time, failure: Failure) {
        let Some(Job { id, kind: Kind::Roll { spec, wanted, generation }, begun }) = self.job.take() else {
            return;
        };
        if spec != self.spec {
            self.emit(Event::RolledBack { service: self.spec.name.clone(), why: failure.why.clone() });
        }
        let is_way_back = id.is_none();
        let old_stays = spec != self.spec || self.instances.values().any(Instance::is_ready);
        self.done(id, Outcome::Failed { failure, old_stays });
        if spec == self.spec || is_way_back {
            return;
        }
        let after = (std::mem::replace(&mut self.spec, spec), std::mem::replace(&mut self.wanted, wanted));
        let after_generation = std::mem::replace(&mut self.generation, generation);
        if self.instances.values().any(|i| !i.leaving && i.generation == after_generation) {
            let kind = Kind::Roll { spec: after.0, wanted: after.1, generation: after_generation };
            self.job = Some(Job { id: None, kind, begun });
        }
        self.step(now);
    }

    /// A job that waits for instances to be ready has seen one fail. They are tried on without it.
    pub(super) fn fail_job(&mut self, failure: Failure) {
        if matches!(&self.job, Some(Job { kind: Kind::Settle, .. }))
            && let Some(job) = self.job.take()
        {
            self.done(job.id, Outcome::Failed { failure, old_stays: false });
        }
    }

    fn interrupt(&mut self) {
        let waiting = std::mem::take(&mut self.queue).into_iter().map(|(id, _)| Some(id));
        let under_way = self.job.take().map(|job| job.id);
        for id in under_way.into_iter().chain(waiting) {
            self.done(id, Outcome::Interrupted);
        }
    }

    /// Ends the job when what it is for has come about; true if so.
    fn finish_job(&mut self, now: Time) -> bool {
        let is_over = match self.job.as_ref().map(|job| &job.kind) {
            None => false,
            Some(Kind::Roll { .. }) => plan::next(self.view()) == Step::Done,
            Some(Kind::Stop) => self.instances.is_empty(),
            Some(Kind::Settle) => self.phase != Phase::Running || self.is_settled(),
        };
        if let Some(job) = self.job.take_if(|_| is_over) {
            self.end(now, job);
        }
        is_over
    }

    fn is_settled(&self) -> bool {
        let ready = count(self.instances.values().filter(|i| i.is_ready()));
        self.leaving() == 0 && self.staying() == self.wanted && ready == self.wanted
    }

    fn end(&mut self, now: Time, job: Job) {
        let instances = self.staying_ones().map(Instance::id).collect();
        self.done(job.id, Outcome::Done { instances, took: now.since(job.begun) });
    }

    fn done(&mut self, id: Option<JobId>, outcome: Outcome) {
        if let Some(job) = id {
            self.actions.push_back(Action::Done { job, outcome });
        }
    }

    fn staying(&self) -> u32 {
        count(self.staying_ones())
    }

    fn leaving(&self) -> u32 {
        count(self.instances.values().filter(|i| i.leaving))
    }

    /// The one to go first: one whose slot is taken over, then one that nobody will come for, then one that does
    /// not serve, otherwise the one with the highest slot.
    fn least_wanted(&self, among: impl Fn(&Instance) -> bool) -> Option<u32> {
        let candidates = self.staying_ones().filter(|i| among(i));
        let worth =
            |i: &Instance| (!self.is_superseded(i), self.has_successor(i), i.is_ready(), Reverse(i.slot));
        candidates.min_by_key(|i| worth(i)).map(|i| i.number)
    }

    fn instances_where(&self, which: impl Fn(&Instance) -> bool) -> Vec<u32> {
        self.instances.values().filter(|i| which(i)).map(|i| i.number).collect()
    }
}

fn count<'a>(instances: impl Iterator<Item = &'a Instance>) -> u32 {
    u32::try_from(instances.count()).unwrap_or(u32::MAX)
}
