//! The task of one service: feeds its machine with what happens and carries out what it says. It decides
//! nothing but that a start waits until the services before it are ready.

use crate::config::{Routing, Service};
use crate::event::Event;
use crate::machine::{Action, Command, Failure, Input, JobId, Machine, Outcome, Phase, RunId};
use crate::mark::Mark;
use crate::shared::Shared;
use crate::{probe, process, procfs};
use policy::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// What the handle tells the task.
pub(crate) enum Message {
    /// Do this and answer when it has ended.
    Command {
        command: Command,
        reply: oneshot::Sender<Outcome>,
        progress: Option<mpsc::UnboundedSender<Event>>,
    },
    /// Its build runs or is queued.
    Building,
    /// Its build has failed.
    BuildFailed { why: String, last_lines: Vec<String> },
}

/// Starts the task of a service. It ends, and its processes with it, when the sender is dropped.
pub(crate) fn start(shared: Arc<Shared>, spec: Service, seed: u64) -> mpsc::UnboundedSender<Message> {
    let (messages, receiver) = mpsc::unbounded_channel();
    let (inbox, inputs) = mpsc::unbounded_channel();
    let task = Task {
        machine: Machine::new(spec, seed),
        shared,
        inbox,
        replies: BTreeMap::new(),
        jobs: 0,
        held: None,
        running: BTreeMap::new(),
    };
    task.shared.post(task.machine.snapshot());
    tokio::spawn(task.run(receiver, inputs));
    messages
}

struct Task {
    machine: Machine,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedSender<Input>,
    replies: BTreeMap<JobId, Reply>,
    jobs: u64,
    /// A start that waits for other services.
    held: Option<(JobId, Command)>,
    running: BTreeMap<RunId, Running>,
}

struct Reply {
    end: oneshot::Sender<Outcome>,
    progress: Option<mpsc::UnboundedSender<Event>>,
}

struct Running {
    life: JoinHandle<()>,
    group: Option<i32>,
    mark: Mark,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.life.abort();
    }
}

impl Task {
    async fn run(
        mut self,
        mut messages: mpsc::UnboundedReceiver<Message>,
        mut inputs: mpsc::UnboundedReceiver<Input>,
    ) {
        let mut changes = self.shared.changes();
        loop {
            self.release_held();
            self.carry_out();
            self.shared.post(self.machine.snapshot());
            let next = self.machine.next();
            let wake = self.shared.instant(next.unwrap_or(Time::MAX));
            tokio::select! {
                biased;
                Some(input) = inputs.recv() => self.on_input(input),
                message = messages.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return,
                },
                () = sleep_until(wake), if next.is_some() => self.machine.handle_timeout(self.shared.now()),
                changed = changes.changed(), if self.held.is_some() => if changed.is_err() { return },
            }
        }
    }

    fn on_input(&mut self, input: Input) {
        match &input {
            Input::Started { run, pid, .. } => {
                if let Some(running) = self.running.get_mut(run) {
                    running.group = i32::try_from(*pid).ok();
                }
            }
            Input::Gone { run, .. } | Input::NotStarted { run, .. } => drop(self.running.remove(run)),
            _ => {}
        }
        self.machine.handle(self.shared.now(), input);
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Building => self.machine.building(),
            Message::BuildFailed { why, last_lines } => self.machine.build_failed(why, last_lines),
            Message::Command { command, reply, progress } => {
                self.jobs += 1;
                let job = JobId(self.jobs);
                self.replies.insert(job, Reply { end: reply, progress });
                self.on_command(job, command);
            }
        }
    }

    /// What starts a service that does not run is held until those before it are ready. What comes later
    /// takes its place.
    fn on_command(&mut self, job: JobId, command: Command) {
        let starts = matches!(command, Command::Start | Command::Roll { .. });
        let replaces = starts || matches!(command, Command::Stop);
        if let Some((before, _)) = self.held.take_if(|_| replaces) {
            self.reply(before, Outcome::Interrupted);
        }
        if starts && *self.machine.phase() != Phase::Running {
            self.held = Some((job, command));
            self.machine.waiting();
        } else {
            self.machine.command(self.shared.now(), job, command);
        }
    }

    fn release_held(&mut self) {
        let Some((job, command)) = self.held.take() else { return };
        let spec = match &command {
            Command::Roll { spec, .. } => spec,
            _ => self.machine.spec(),
        };
        let on = self.shared.not_ready(&spec.after);
        if on.is_empty() {
            return self.machine.command(self.shared.now(), job, command);
        }
        self.held = Some((job, command));
        self.give_up_waiting(job, &on);
        if self.machine.wait_for(on.clone()) {
            let service = self.machine.spec().name.clone();
            self.emit(&Event::Waiting { service, on });
        }
    }

    /// Who waits for a start is told when those before it fail. The start itself is held on.
    fn give_up_waiting(&mut self, job: JobId, on: &[String]) {
        let stuck = if self.replies.contains_key(&job) { self.shared.stuck(on) } else { Vec::new() };
        if !stuck.is_empty() {
            let why = format!("waits for {}, which will not become ready by itself", stuck.join(", "));
            let failure = Failure { why, last_lines: Vec::new() };
            self.reply(job, Outcome::Failed { failure, old_stays: false });
        }
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Spawn { run, number, spec } => self.spawn(run, number, spec),
                Action::Publish(instances) => {
                    self.shared.routing.publish(&self.machine.spec().name, &instances);
                }
                Action::Check { run, which, probe, target } => {
                    let inbox = self.inbox.clone();
                    tokio::spawn(async move {
                        let answer = probe::ask(&probe.check, &target, probe.timeout).await;
                        let _ = inbox.send(Input::Checked { run, which, answer });
                    });
                }
                Action::Drain { run, id, patience } => self.drain(run, id, patience),
                Action::Terminate { run } => self.signal(run, libc::SIGTERM),
                Action::Kill { run } => {
                    self.signal(run, libc::SIGKILL);
                    // Also who has left the group.
                    self.running.get(&run).iter().for_each(|running| running.mark.kill());
                }
                Action::Emit(event) => self.emit(&event),
                Action::Done { job, outcome } => self.reply(job, outcome),
            }
        }
    }

    fn spawn(&mut self, run: RunId, number: u32, spec: Arc<Service>) {
        let mark = self.shared.warden.mark(&format!("{}-{number}", spec.name));
        let life = process::run_instance(Arc::clone(&self.shared), spec, run, number, self.inbox.clone());
        self.running.insert(run, Running { life: tokio::spawn(life), group: None, mark });
    }

    /// Looks until no request is under way, twice in a row: one may be between its routing and its counting.
    fn drain(&self, run: RunId, id: String, patience: Duration) {
        let routing: Arc<dyn Routing> = Arc::clone(&self.shared.routing);
        let (service, inbox) = (self.machine.spec().name.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let (begun, mut idle) = (Instant::now(), 0);
            while idle < IDLE_LOOKS && begun.elapsed() < patience && !inbox.is_closed() {
                idle = if routing.in_flight(&service, &id) == 0 { idle + 1 } else { 0 };
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let _ = inbox.send(Input::Drained { run });
        });
    }

    fn signal(&self, run: RunId, signal: libc::c_int) {
        if let Some(group) = self.running.get(&run).and_then(|running| running.group) {
            procfs::signal_group(group, signal);
        }
    }

    fn emit(&self, event: &Event) {
        self.shared.observer.event(event);
        for progress in self.replies.values().filter_map(|reply| reply.progress.as_ref()) {
            let _ = progress.send(event.clone());
        }
    }

    fn reply(&mut self, job: JobId, outcome: Outcome) {
        if let Some(reply) = self.replies.remove(&job) {
            // Whoever asked may have gone away.
            let _ = reply.end.send(outcome);
        }
    }
}

const IDLE_LOOKS: u32 = 2;
const LOOK_EVERY: Duration = Duration::from_millis(10);
