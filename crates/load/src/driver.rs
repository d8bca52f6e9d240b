//! Carries a run: time in, requests out, answers to the ledger. Decides nothing but when to stop.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::client::{Answer, Broken, Client, Lease, Pool};
use crate::config::{Config, Error};
use crate::journeys::{Call, Ended, Journeys, Turn};
use crate::ledger::{Kind, Ledger, Outcome, Sample};
use crate::pacer::Pacer;
use crate::report::{Example, JourneyReport, Report, StepReport, Tick};
use crate::scenario::{Scope, Step};

/// Runs to the end, or until `stop` is set, and tells what happened. Blocks; requests are sent by a
/// thread of its own. `progress` is called on the calling thread, about once a second.
///
/// # Errors
/// Only when the run could not begin; what fails during it is in the [`Report`].
pub fn run(config: Config, progress: &mut dyn FnMut(&Tick), stop: Arc<AtomicBool>) -> Result<Report, Error> {
    config.check()?;
    let addresses = config.target.resolve()?;
    let (ticks, ticked) = mpsc::channel();
    let system = |doing| move |source| Error::System { doing, source };
    let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("start the load generator's runtime"))?;
        let pool = Pool::new(addresses, config.connections_max);
        let local = tokio::task::LocalSet::new();
        local
            .block_on(&runtime, drive(config, pool, ticks, stop))
            .map_err(system("keep the load generator's time"))
    });
    let thread = thread.map_err(system("start the load generator's thread"))?;
    for tick in ticked {
        progress(&tick);
    }
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What every request under way shares.
struct Run {
    config: Config,
    client: Client,
    journeys: RefCell<Journeys>,
    ledger: RefCell<Ledger>,
    start: Instant,
    measured: Instant,
    under_way: Cell<u64>,
    last_end: Cell<Instant>,
}

async fn drive(
    config: Config,
    pool: Pool,
    ticks: mpsc::Sender<Tick>,
    stop: Arc<AtomicBool>,
) -> std::io::Result<Report> {
    let mut pacer = Pacer::new()?;
    let run = Rc::new(Run::new(config, pool));
    let mut clock = Clock { ticks, next: run.start + SECOND };
    let end = run.measured + run.config.duration;
    let mut arrivals = 0u64;
    let ended = loop {
        let due = run.start + Duration::from_secs_f64(arrivals as f64 / run.config.rate);
        let now = Instant::now();
        clock.tick(&run, now);
        if stop.load(Ordering::Relaxed) {
            break now.min(end);
        }
        if due >= end {
            pacer.until(end.min(now + POLL)).await?;
            if now >= end {
                break end;
            }
        } else if due > now {
            pacer.until(due.min(now + POLL)).await?;
        } else {
            arrivals += 1;
            run.arrive(due, now);
            if arrivals.is_multiple_of(BURST) {
                tokio::task::yield_now().await;
            }
        }
    };
    let interrupted = ended < end;
    run.drain(&mut clock, &stop).await;
    run.client.pool.close();
    Ok(run.report(ended, interrupted))
}

impl Run {
    fn new(config: Config, pool: Pool) -> Run {
        let start = Instant::now();
        let steps = config.scenario.journeys.iter().map(|journey| journey.steps.len()).sum();
        Run {
            client: Client::new(pool, config.target.host()),
            journeys: RefCell::new(Journeys::new(config.scenario.clone(), config.seed, run_name())),
            ledger: RefCell::new(Ledger::new(steps)),
            start,
            measured: start + config.warmup,
            under_way: Cell::new(0),
            last_end: Cell::new(start),
            config,
        }
    }

    fn arrive(self: &Rc<Run>, due: Instant, now: Instant) {
        let measured = due >= self.measured;
        let turn = self.journeys.borrow_mut().next(measured);
        if measured {
            self.ledger.borrow_mut().sent(turn.step, now - due);
        }
        self.under_way.set(self.under_way.get() + 1);
        tokio::task::spawn_local(self.clone().carry(turn, due, measured));
    }

    /// One request from its arrival to its place in the ledger.
    async fn carry(self: Rc<Run>, turn: Turn, due: Instant, measured: bool) {
        let Turn { underway, step: index, call } = turn;
        let step = underway.step(&self.config.scenario);
        let result = match call {
            Ok(call) => self.ask(step, &call, due + self.config.timeout).await,
            Err(why) => Err((Kind::Invalid, why)),
        };
        let now = Instant::now();
        let (bytes, judged, lease) = match result {
            Ok((answer, lease)) => (answer.bytes, judge(step, &answer), Some(lease)),
            Err(failed) => (0, Err(failed), None),
        };
        let (ended, outcome) = match judged {
            Ok(saved) => (Ended::Passed(saved), Outcome::Ok),
            Err((kind, detail)) => (Ended::Failed, Outcome::Failed { kind, detail }),
        };
        let sample = Sample { step: index, latency: now - due, bytes, outcome };
        if measured {
            self.ledger.borrow_mut().ended(sample);
            self.last_end.set(now);
        } else {
            self.ledger.borrow_mut().warmed(&sample);
        }
        self.journeys.borrow_mut().finished(underway, ended);
        self.under_way.set(self.under_way.get() - 1);
        if let Some(lease) = lease {
            self.client.pool.give_back(lease).await;
        }
    }

    async fn ask(
        &self,
        step: &Step,
        call: &Call,
        deadline: Instant,
    ) -> Result<(Answer, Lease), (Kind, String)> {
        let path = self.config.target.path(&call.path);
        let keep = if step.save.is_empty() { EXCERPT_BYTES } else { SAVE_BYTES_MAX };
        let exchange = self.client.exchange(call, &path, keep);
        match tokio::time::timeout_at(deadline.into(), exchange).await {
            Ok(answered) => answered.map_err(failure),
            Err(_) => Err((Kind::Timeout, format!("no answer within {:?}", self.config.timeout))),
        }
    }

    /// Waits for what is under way; each request's timeout bounds that. Once stopped, only a moment.
    async fn drain(&self, clock: &mut Clock, stop: &AtomicBool) {
        let mut patience = None;
        while self.under_way.get() > 0 {
            let now = Instant::now();
            clock.tick(self, now);
            if stop.load(Ordering::Relaxed) && now > *patience.get_or_insert(now + STOPPING) {
                break;
            }
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    fn tick(&self, now: Instant) -> Tick {
        let mut ledger = self.ledger.borrow_mut();
        let window = ledger.turn_window();
        Tick {
            elapsed_s: (now - self.start).as_secs_f64(),
            total_s: (self.config.warmup + self.config.duration).as_secs_f64(),
            warming: now < self.measured,
            rate: (window.ok + window.failed) as f64,
            sent: ledger.all.sent,
            ok: ledger.all.ok,
            failed: ledger.all.failed,
            in_flight: self.under_way.get(),
            latency: window.latency(),
        }
    }

    fn report(&self, ended: Instant, interrupted: bool) -> Report {
        let ledger = self.ledger.borrow();
        let all = &ledger.all;
        let measured = ended.saturating_duration_since(self.measured);
        let until_last = self.last_end.get().saturating_duration_since(self.measured).max(measured);
        let finished = all.ok + all.failed;
        Report {
            name: self.config.scenario.name().to_owned(),
            target: self.config.target.to_string(),
            intended_rate: self.config.rate,
            achieved_rate: if finished == 0 { 0.0 } else { finished as f64 / until_last.as_secs_f64() },
            seconds: measured.as_secs_f64(),
            interrupted,
            sent: all.sent,
            ok: all.ok,
            failed: all.failed,
            unfinished: all.sent - finished,
            failures: ledger.failures.clone(),
            latency: all.latency(),
            lag: ledger.lag(),
            bytes: all.bytes,
            connections: self.client.pool.opened(),
            repeated: self.client.repeated(),
            journeys: self.journey_reports(&ledger),
            examples: self.examples(&ledger),
        }
    }

    fn journey_reports(&self, ledger: &Ledger) -> Vec<JourneyReport> {
        let journeys = self.journeys.borrow();
        let mut lines = ledger.steps.iter();
        let with_tally = self.config.scenario.journeys.iter().zip(journeys.tallies());
        with_tally
            .map(|(journey, tally)| JourneyReport {
                name: journey.name.clone(),
                started: tally.started,
                completed: tally.completed,
                failed: tally.failed,
                steps: std::iter::zip(&journey.steps, &mut lines)
                    .map(|(step, line)| StepReport {
                        name: step.name.clone(),
                        sent: line.sent,
                        ok: line.ok,
                        failed: line.failed,
                        latency: line.latency(),
                    })
                    .collect(),
            })
            .collect()
    }

    fn examples(&self, ledger: &Ledger) -> Vec<Example> {
        let journeys = self.config.scenario.journeys.iter();
        let names: Vec<String> = journeys
            .flat_map(|journey| {
                journey.steps.iter().map(move |step| format!("{} / {}", journey.name, step.name))
            })
            .collect();
        let named = |(step, example): (usize, Example)| Example { step: names[step].clone(), ..example };
        ledger.examples().into_iter().map(named).collect()
    }
}

/// Sends a tick when a second has passed.
struct Clock {
    ticks: mpsc::Sender<Tick>,
    next: Instant,
}

impl Clock {
    fn tick(&mut self, run: &Run, now: Instant) {
        if now >= self.next {
            self.next += SECOND;
            // Nobody listens any more only when the caller is gone, and the run goes with it.
            let _ = self.ticks.send(run.tick(now));
        }
    }
}

/// What the answer gives to later steps, or why it is not what the step wanted.
fn judge(step: &Step, answer: &Answer) -> Result<Scope, (Kind, String)> {
    let excerpt = || excerpt(&answer.kept);
    if !step.expects(answer.status) {
        return Err((Kind::Status(answer.status.as_u16()), excerpt()));
    }
    if step.save.is_empty() {
        return Ok(Scope::new());
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.kept)
        .map_err(|error| (Kind::Save, format!("the answer is no JSON ({error}): {}", excerpt())))?;
    let mut saved = Scope::new();
    for (name, path) in &step.save {
        let value = path.split('.').try_fold(&body, |value, key| match key.parse::<usize>() {
            Ok(index) if value.is_array() => value.get(index),
            _ => value.get(key),
        });
        let Some(value) = value else {
            return Err((Kind::Save, format!("the answer has no `{path}`: {}", excerpt())));
        };
        saved.insert(name.clone(), value.clone());
    }
    Ok(saved)
}

fn failure(broken: Broken) -> (Kind, String) {
    match broken {
        Broken::Connect(error) => (Kind::Connect, error.to_string()),
        Broken::Reset(why) => (Kind::Reset, why),
        Broken::Protocol(why) => (Kind::Protocol, why),
    }
}

/// The beginning of a body in one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Differs between runs, so that a second run's idempotency keys are not the first one's.
fn run_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}{:04x}", now.as_micros(), std::process::id() & 0xffff)
}

const SECOND: Duration = Duration::from_secs(1);
/// How soon a stop is noticed while nothing is due.
const POLL: Duration = Duration::from_millis(50);
const DRAIN_POLL: Duration = Duration::from_millis(2);
/// How long a stopped run still waits for answers.
const STOPPING: Duration = Duration::from_secs(1);
/// Overdue arrivals sent before answers get a turn.
const BURST: u64 = 64;
const EXCERPT_BYTES: usize = 200;
/// The most of an answer that is looked at for `save`.
const SAVE_BYTES_MAX: usize = 1 << 20;
