//! Short stories in virtual time: a world of imagined processes around one machine.

use super::*;
use crate::config::{Check, Run, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

mod slots;

/// A service with assigned ports whose processes behave as `command` says, see [`World`].
pub(crate) fn service(command: &str, instances: u32) -> Service {
    let probe = Probe {
        check: Check::Tcp,
        every: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        failures: 2,
        within: Duration::from_secs(10),
    };
    let run = Run {
        command: command.to_owned(),
        build: None,
        dir: PathBuf::from("/"),
        env: BTreeMap::new(),
        port: None,
        instances,
        max: 9,
        grace: Duration::from_secs(5),
        beside: String::new(),
    };
    Service { name: "a".to_owned(), source: Source::Run(run), after: Vec::new(), ready: probe, live: None }
}

/// Processes named for what they do: `good` is ready after 50 ms and ends 20 ms after SIGTERM, `stubborn` is
/// good but ignores SIGTERM, `crash` exits after 30 ms, `hang` is never ready, `missing` cannot be started.
struct World {
    machine: Machine,
    now: Time,
    jobs: u64,
    coming: BTreeMap<(Time, u64), Input>,
    sequence: u64,
    alive: BTreeMap<RunId, (String, Time)>,
    /// Every set of ids ever published.
    published: Vec<Vec<String>>,
    /// The slots of every such set.
    slots: Vec<BTreeSet<u32>>,
    events: Vec<Event>,
    done: BTreeMap<JobId, Outcome>,
    most_alive: usize,
}

impl World {
    fn new(service: Service) -> Self {
        let mut world = World {
            machine: Machine::new(service, 42),
            now: Time::ZERO,
            jobs: 0,
            coming: BTreeMap::new(),
            sequence: 0,
            alive: BTreeMap::new(),
            published: Vec::new(),
            slots: Vec::new(),
            events: Vec::new(),
            done: BTreeMap::new(),
            most_alive: 0,
        };
        world.command(Command::Start);
        world
    }

    fn running(service: Service) -> Self {
        let mut world = World::new(service);
        world.pass(2_000);
        assert_eq!(world.state(), crate::State::Ready);
        world.published.clear();
        world.slots.clear();
        world.events.clear();
        world
    }

    fn command(&mut self, command: Command) -> JobId {
        self.jobs += 1;
        let job = JobId(self.jobs);
        self.machine.command(self.now, job, command);
        self.carry();
        job
    }

    fn roll(&mut self, command: &str, wanted: u32) -> JobId {
        let mut spec = (**self.machine.spec()).clone();
        let Source::Run(run) = &mut spec.source else { panic!("external") };
        run.command = command.to_owned();
        self.command(Command::Roll { spec: Arc::new(spec), wanted })
    }

    fn in_ms(&mut self, ms: u64, input: Input) {
        self.sequence += 1;
        self.coming.insert((self.now + Duration::from_millis(ms), self.sequence), input);
    }

    fn carry(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Spawn { run, spec, .. } => self.spawn(run, &spec.command()),
                Action::Publish(set) => {
                    self.slots.push(set.iter().map(|e| e.slot).collect());
                    self.published.push(set.into_iter().map(|e| e.id).collect());
                }
                Action::Check { run, which, target, .. } => self.check(run, which, target),
                Action::Drain { run, .. } => self.in_ms(100, Input::Drained { run }),
                Action::Terminate { run } if self.alive.get(&run).is_some_and(|(c, _)| c == "stubborn") => {}
                Action::Terminate { run } => self.end(run, 20, "exit code 0"),
                Action::Kill { run } if !self.alive.contains_key(&run) => {}
                Action::Kill { run } => self.end(run, 0, "signal 9"),
                Action::Emit(event) => self.events.push(event),
                Action::Done { job, outcome } => drop(self.done.insert(job, outcome)),
            }
        }
    }

    fn spawn(&mut self, run: RunId, command: &str) {
        if command == "missing" {
            return self.in_ms(0, Input::NotStarted { run, why: "no such file".to_owned() });
        }
        let port = 20_000 + run.0 as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        self.alive.insert(run, (command.to_owned(), self.now));
        self.most_alive = self.most_alive.max(self.alive.len());
        self.in_ms(1, Input::Started { run, pid: port.into(), address, command: command.to_owned() });
        if command == "crash" {
            self.end(run, 30, "exit code 3");
        }
    }

    fn check(&mut self, run: RunId, which: Which, target: Target) {
        let well = match self.alive.get(&run) {
            Some((command, started)) => {
                matches!(command.as_str(), "good" | "stubborn")
                    && self.now.since(*started) >= Duration::from_millis(50)
            }
            None => matches!(target, Target::Authority(at) if at.starts_with("up")),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let answer = if well { Ok(address) } else { Err("refused".to_owned()) };
        self.in_ms(1, Input::Checked { run, which, answer });
    }

    fn end(&mut self, run: RunId, ms: u64, status: &str) {
        self.in_ms(ms, Input::Down { run, status: status.to_owned() });
        self.in_ms(ms + 1, Input::Gone { run, last_lines: vec!["the last words".to_owned()] });
    }

    /// An instance's process dies by itself.
    fn crash(&mut self, number: u32) {
        let run = self.machine.instances[&number].run;
        self.end(run, 0, "signal 11");
        self.pass(1);
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        loop {
            let input = self.coming.first_key_value().map(|((at, _), _)| *at);
            let Some(next) =
                [input, self.machine.next()].into_iter().flatten().min().filter(|at| *at <= until)
            else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            match self.coming.first_entry().filter(|entry| entry.key().0 <= next) {
                Some(entry) => {
                    let input = entry.remove();
                    if let Input::Down { run, .. } = &input {
                        self.alive.remove(run);
                    }
                    self.machine.handle(self.now, input);
                }
                None => self.machine.handle_timeout(self.now),
            }
            self.carry();
        }
    }

    fn state(&self) -> crate::State {
        self.machine.snapshot().status().state
    }

    fn ids(&self) -> Vec<String> {
        self.machine.published.iter().map(|e| e.id.clone()).collect()
    }

    fn fewest_published(&self) -> usize {
        self.published.iter().map(Vec::len).min().unwrap_or(usize::MAX)
    }

    fn is_done(&self, job: JobId) -> bool {
        matches!(self.done.get(&job), Some(Outcome::Done { .. }))
    }
}

#[test]
fn a_good_service_is_ready_soon() {
    let mut world = World::new(service("good", 2));
    world.pass(100);
    assert_eq!(world.ids(), ["a-1", "a-2"]);
    assert!(world.is_done(JobId(1)));
}

#[test]
fn a_roll_never_publishes_none_and_starts_one_more_at_most() {
    for instances in 1..4 {
        let mut world = World::running(service("good", instances));
        let job = world.roll("good", instances);
        world.pass(5_000);
        assert!(world.is_done(job));
        assert!(world.fewest_published() >= instances as usize);
        assert_eq!(world.alive.len(), instances as usize);
        assert!(world.most_alive <= instances as usize + 1);
    }
}

#[test]
fn how_far_a_roll_is_can_be_seen_until_it_is_over() {
    let mut world = World::running(service("good", 2));
    let rollout = |world: &World| world.machine.snapshot().status().rollout;
    assert_eq!(rollout(&world), None);
    let job = world.roll("good", 2);
    let mut seen = Vec::new();
    while !world.is_done(job) {
        seen.extend(rollout(&world));
        world.pass(1);
    }
    seen.dedup();
    assert_eq!((seen[0].replaced, seen[0].of, seen[0].old), (0, 2, 2));
    assert!(seen.iter().any(|roll| roll.replaced == 1 && roll.old >= 1), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0].replaced <= pair[1].replaced), "{seen:?}");
    assert_eq!(rollout(&world), None);
}

#[test]
fn a_new_version_that_crashes_leaves_the_old() {
    let mut world = World::running(service("good", 2));
    let job = world.roll("crash", 3);
    world.pass(5_000);
    let Some(Outcome::Failed { failure, old_stays: true }) = world.done.get(&job) else {
        panic!("{:?}", world.done)
    };
    assert_eq!(failure.last_lines, ["the last words"]);
    assert_eq!(world.ids(), ["a-1", "a-2"]);
    assert!(world.fewest_published() >= 2);
    assert_eq!(world.machine.spec().command(), "good");
    assert!(world.events.iter().any(|event| matches!(event, Event::RolledBack { .. })));
}

#[test]
fn a_new_version_that_hangs_leaves_the_old() {
    let mut world = World::running(service("good", 1));
    let job = world.roll("hang", 1);
    world.pass(11_000);
    assert!(matches!(world.done.get(&job), Some(Outcome::Failed { old_stays: true, .. })));
    assert_eq!((world.alive.len(), world.state()), (1, crate::State::Ready));
}

#[test]
fn a_crash_loop_can_be_mended_by_a_new_version() {
    let mut world = World::new(service("crash", 1));
    world.pass(10_000);
    assert_eq!(world.state(), crate::State::CrashLoop);
    let job = world.roll("good", 1);
    world.pass(1_000);
    assert!(world.is_done(job));
    assert_eq!(world.state(), crate::State::Ready);
}

#[test]
fn a_crash_loop_has_the_last_lines_and_goes_on_trying() {
    let mut world = World::new(service("crash", 1));
    world.pass(120_000);
    let loops = world.events.iter().filter_map(|event| match event {
        Event::CrashLoop { last_lines, retry_in, .. } => Some((last_lines.clone(), *retry_in)),
        _ => None,
    });
    let loops: Vec<_> = loops.collect();
    assert!(loops.len() >= 4, "{loops:?}");
    assert!(
        loops.iter().all(|(lines, wait)| lines == &["the last words"] && *wait <= Duration::from_secs(30))
    );
}

#[test]
fn a_fixed_port_is_stopped_before_it_is_started() {
    let mut fixed = service("good", 1);
    let Source::Run(run) = &mut fixed.source else { unreachable!() };
    run.port = Some(7000);
    let mut world = World::running(fixed);
    let job = world.roll("good", 1);
    world.pass(3_000);
    assert!(world.is_done(job));
    assert_eq!(world.most_alive, 1);
    let failed = world.roll("crash", 1);
    world.pass(3_000);
    assert!(matches!(world.done.get(&failed), Some(Outcome::Failed { .. })));
    assert_eq!((world.state(), world.most_alive), (crate::State::Ready, 1));
}

#[test]
fn who_ignores_sigterm_is_killed_after_the_grace() {
    let mut world = World::running(service("stubborn", 1));
    let job = world.command(Command::Stop);
    world.pass(5_050);
    assert_eq!(world.alive.len(), 1);
    world.pass(100);
    assert!(world.alive.is_empty() && world.is_done(job));
    assert!(world.events.iter().any(|event| matches!(event, Event::Killed { .. })));
    assert_eq!(world.state(), crate::State::Stopped);
}

#[test]
fn a_crashed_instance_is_unpublished_at_once_and_back_soon() {
    let mut world = World::running(service("good", 2));
    world.crash(1);
    assert_eq!(world.ids(), ["a-2"]);
    world.pass(200);
    assert_eq!(world.ids(), ["a-1", "a-2"]);
}

#[test]
fn scaling_goes_up_and_down_and_ends_when_all_is_settled() {
    let mut world = World::running(service("good", 1));
    let up = world.command(Command::Scale(4));
    world.pass(500);
    assert!(world.is_done(up) && world.ids().len() == 4);
    let down = world.command(Command::Scale(1));
    assert_eq!(world.ids(), ["a-1"]);
    assert!(!world.is_done(down));
    world.pass(500);
    assert!(world.is_done(down) && world.alive.len() == 1);
}

#[test]
fn stop_interrupts_a_roll_and_what_waits_behind_it() {
    let mut world = World::running(service("good", 2));
    let roll = world.roll("good", 2);
    let scale = world.command(Command::Scale(5));
    world.pass(20);
    let stop = world.command(Command::Stop);
    world.pass(1_000);
    assert_eq!(world.done.get(&roll), Some(&Outcome::Interrupted));
    assert_eq!(world.done.get(&scale), Some(&Outcome::Interrupted));
    assert!(world.is_done(stop) && world.alive.is_empty());
    let again = world.roll("good", 2);
    world.pass(1_000);
    assert!(world.is_done(again) && world.ids().len() == 2);
}

#[test]
fn what_is_missing_fails_at_once() {
    let mut world = World::new(service("missing", 1));
    world.pass(10);
    assert_eq!(world.state(), crate::State::Failed);
    assert!(matches!(world.done.get(&JobId(1)), Some(Outcome::Failed { .. })));
}

#[test]
fn an_external_service_is_published_without_a_process_and_reported_when_late() {
    let mut external = service("", 1);
    external.source = Source::Url { authorities: vec!["up:1".to_owned(), "down:1".to_owned()] };
    let mut world = World::new(external);
    world.pass(100);
    assert_eq!(world.ids(), ["a-1"]);
    world.pass(10_000);
    assert_eq!((world.state(), world.alive.len()), (crate::State::Degraded, 0));
    let stop = world.command(Command::Stop);
    assert!(world.is_done(stop) && world.ids().is_empty());
}

mod chaos {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    pub enum Deed {
        Roll(&'static str, u32),
        Scale(u32),
        Crash(u32),
        Stop,
        Pass(u64),
    }

    impl Deed {
        pub fn perform(self, world: &mut World) {
            match self {
                Deed::Roll(command, wanted) => drop(world.roll(command, wanted)),
                Deed::Scale(wanted) => drop(world.command(Command::Scale(wanted))),
                Deed::Crash(n) => {
                    let run = world.machine.instances.get(&n).map(|i| i.run);
                    if run.is_some_and(|run| world.alive.contains_key(&run)) {
                        world.crash(n);
                    }
                }
                Deed::Stop => drop(world.command(Command::Stop)),
                Deed::Pass(ms) => world.pass(ms),
            }
        }
    }

    pub fn deed() -> impl Strategy<Value = Deed> {
        let command =
            prop_oneof![Just("good"), Just("crash"), Just("hang"), Just("stubborn"), Just("missing")];
        prop_oneof![
            (command, 1..4u32).prop_map(|(command, wanted)| Deed::Roll(command, wanted)),
            (1..5u32).prop_map(Deed::Scale),
            (1..5u32).prop_map(Deed::Crash),
            Just(Deed::Stop),
            (1..20_000u64).prop_map(Deed::Pass),
        ]
    }

    proptest! {
        /// Whatever happened before: a good version settles, every command is answered once, nothing is left.
        #[test]
        fn a_good_version_always_settles(deeds in prop::collection::vec(deed(), 0..12)) {
            let mut world = World::new(service("good", 2));
            for deed in deeds {
                deed.perform(&mut world);
            }
            world.pass(300_000);
            let job = world.roll("good", 2);
            world.pass(60_000);
            prop_assert!(world.is_done(job), "{:?}\n{:#?}", world.done.get(&job), world.machine);
            prop_assert_eq!(world.ids().len(), 2);
            prop_assert_eq!(world.alive.len(), 2);
            prop_assert_eq!(world.done.len() as u64, world.jobs);
            world.command(Command::Stop);
            world.pass(20_000);
            prop_assert!(world.alive.is_empty() && world.ids().is_empty());
        }
    }
}
