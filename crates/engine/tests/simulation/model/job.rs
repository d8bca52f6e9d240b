//! Jobs as users think of them: when each runs, and what it sends then.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::job::{self, Answer, Deleted, Missed, Put, Reply, ScheduleKind};
use machine::{Code, Read, Shard, Time};

use super::{Payloads, Sent, Step};

/// Jobs by scope and name.
#[derive(Default)]
pub struct Jobs {
    jobs: BTreeMap<(String, String), Job>,
}

struct Job {
    put: Put,
    bodies: Vec<Bytes>,
    rhythm: Rhythm,
    next: u64,
    runs: u64,
    last: u64,
    paused: bool,
    made_up: u32,
}

/// Runs at every `every` milliseconds from `from` on, both ways, for ever.
#[derive(Clone, Copy)]
struct Rhythm {
    from: u64,
    /// Nothing for a single run.
    every: Option<u64>,
    /// Nothing is later.
    until: u64,
}

/// What a job sends.
pub(super) type Run = (Shard, Sent);

impl Jobs {
    pub(super) fn apply(
        &mut self,
        step: &Step<'_>,
        command: &job::Command,
        runs: &mut Vec<Run>,
    ) -> Result<Reply, Code> {
        let now = step.time.as_millis();
        let mut answer = None;
        match command.kind.as_ref().expect("what is in the log says what it is") {
            job::Kind::Put(put) => {
                let place = (put.scope.clone(), put.name.clone());
                if self.jobs.contains_key(&place) && !put.overwrite {
                    return Err(Code::Exists);
                }
                let job = Job::new(step, put).ok_or(Code::Invalid)?;
                answer = Some(Answer::NextMs(job.next));
                self.jobs.insert(place, job);
            }
            job::Kind::Delete(delete) => {
                let place = |name: &String| (delete.scope.clone(), name.clone());
                let count =
                    delete.names.iter().filter(|name| self.jobs.remove(&place(name)).is_some()).count();
                answer = Some(Answer::Deleted(Deleted { count: count as u32, more: false }));
            }
            job::Kind::DeletePrefix(delete) => {
                let before = self.jobs.len();
                self.jobs
                    .retain(|(scope, name), _| *scope != delete.scope || !name.starts_with(&delete.prefix));
                let count = (before - self.jobs.len()) as u32;
                answer = Some(Answer::Deleted(Deleted { count, more: false }));
            }
            job::Kind::Pause(pause) => self.at(&pause.scope, &pause.name)?.paused = true,
            job::Kind::Resume(resume) => {
                let job = self.at(&resume.scope, &resume.name)?;
                match job.resume(now) {
                    true => answer = Some(Answer::NextMs(job.next)),
                    false => drop(self.jobs.remove(&(resume.scope.clone(), resume.name.clone()))),
                }
            }
            job::Kind::Trigger(trigger) => {
                runs.push(self.at(&trigger.scope, &trigger.name)?.sends());
            }
        }
        Ok(Reply { answer })
    }

    /// What is due at `now` runs, in the order in which it was due.
    pub(super) fn fire(&mut self, now: Time, runs: &mut Vec<Run>) {
        let now = now.as_millis();
        let is_due = |job: &Job| !job.paused && job.next <= now;
        let due = self.jobs.iter().filter(|(_, job)| is_due(job));
        let mut due: Vec<_> = due.map(|(place, job)| (job.next, place.clone())).collect();
        due.sort_unstable();
        for (_, place) in due {
            let Some(job) = self.jobs.get_mut(&place) else { continue };
            let (does_run, goes_on) = job.turn(now);
            runs.extend(does_run.then(|| job.sends()));
            if !goes_on {
                self.jobs.remove(&place);
            }
        }
    }

    /// Whether there is such a job.
    pub fn has(&self, scope: &str, name: &str) -> bool {
        self.jobs.contains_key(&(scope.to_owned(), name.to_owned()))
    }

    fn at(&mut self, scope: &str, name: &str) -> Result<&mut Job, Code> {
        self.jobs.get_mut(&(scope.to_owned(), name.to_owned())).ok_or(Code::NotFound)
    }

    pub(super) fn assert_read(&self, state: &impl Read, payloads: Payloads<'_>) {
        for ((scope, name), job) in &self.jobs {
            let read = job::get(state, scope, name);
            let read = read.unwrap_or_else(|| panic!("the job {name:?} of {scope:?} is not there"));
            let progress = read.progress;
            let is = (progress.next_ms, progress.runs, progress.last_ms, progress.paused);
            let should = (job.next, job.runs, job.last, job.paused);
            assert_eq!(is, should, "the job {name:?} of {scope:?}: next, runs, last, whether it is paused");
            let bodies: Vec<Bytes> = read.job.bodies.iter().map(payloads).collect();
            assert_eq!(bodies, job.bodies, "the payloads of the job {name:?} of {scope:?}");
        }
        for scope in self.jobs.keys().map(|(scope, _)| scope) {
            let names = self.jobs.keys().filter(|(of, _)| of == scope).count();
            let listed = job::list(state, scope, "", None, usize::MAX).jobs.len();
            assert_eq!(listed, names, "how many jobs {scope:?} has");
        }
    }
}

impl Job {
    /// Nothing if it would never run.
    fn new(step: &Step<'_>, put: &Put) -> Option<Job> {
        let now = step.time.as_millis();
        let begin = put.first_ms.max(put.from_ms);
        let until = if put.until_ms == 0 { u64::MAX } else { put.until_ms };
        let (from, every) = match put.schedule.as_ref().and_then(|schedule| schedule.kind.as_ref()) {
            None => (put.first_ms, None),
            Some(ScheduleKind::Every(every)) if begin == 0 => (now + every.every_ms, Some(every.every_ms)),
            Some(ScheduleKind::Every(every)) => (begin, Some(every.every_ms)),
            // By the clock, whenever it was put.
            Some(ScheduleKind::Cron(_)) => {
                let text = &put.schedule.as_ref()?.text;
                (0, Some(CRONS.iter().find(|(cron, _)| cron == text).expect("one that is known").1))
            }
        };
        let rhythm = Rhythm { from, every, until };
        let next = if every.is_none() {
            now.max(put.first_ms)
        } else if put.first_ms > 0 && put.first_ms >= now {
            put.first_ms
        } else {
            rhythm.after(now.max(begin.saturating_sub(1)))?
        };
        let bodies = put.bodies.iter().map(|body| step.bodies[*body as usize].clone()).collect();
        let job = Job { put: put.clone(), bodies, rhythm, next, runs: 0, last: 0, paused: false, made_up: 0 };
        (next <= until).then_some(job)
    }

    /// It is due: whether it runs, and whether it goes on after.
    fn turn(&mut self, now: u64) -> (bool, bool) {
        let grace = if self.put.grace_ms == 0 { GRACE_MS } else { self.put.grace_ms };
        let following = self.rhythm.after(self.next);
        let is_behind = following.is_some_and(|following| following <= now);
        let runs = match self.put.missed() {
            Missed::Skip => {
                let in_time = |at: u64| at + grace >= now;
                in_time(self.next) || self.rhythm.after(now - grace - 1).is_some_and(|at| at <= now)
            }
            Missed::RunOnce | Missed::RunAll => true,
        };
        let makes_up =
            self.put.missed() == Missed::RunAll && is_behind && self.made_up + 1 < self.put.missed_max;
        self.made_up = if makes_up { self.made_up + 1 } else { 0 };
        let next = if makes_up { following } else { self.rhythm.after(now) };
        if runs {
            self.runs += 1;
            self.last = now;
        }
        let is_last = self.put.runs_max > 0 && self.runs >= self.put.runs_max;
        self.next = next.unwrap_or(self.next);
        (runs, next.is_some() && !is_last)
    }

    /// Whether it goes on.
    fn resume(&mut self, now: u64) -> bool {
        if !std::mem::take(&mut self.paused) {
            return true;
        }
        self.made_up = 0;
        if self.next >= now {
            return true;
        }
        let next = if self.rhythm.every.is_some() { self.rhythm.after(now) } else { Some(now) };
        self.next = next.unwrap_or(self.next);
        next.is_some()
    }

    fn sends(&self) -> Run {
        let sent = Sent { command: (*self.put.command).clone(), bodies: self.bodies.clone() };
        (Shard(self.put.target), sent)
    }
}

impl Rhythm {
    /// The first run after `after`.
    fn after(&self, after: u64) -> Option<u64> {
        let every = self.every?;
        let next = if after < self.from { self.from } else { after + every - (after - self.from) % every };
        (next <= self.until).then_some(next)
    }
}

/// Schedules by the clock whose runs one can count: the text, and how many milliseconds lie between two runs.
pub const CRONS: [(&str, u64); 4] = [
    ("*/5 * * * * *", 5_000),
    ("* * * * *", 60_000),
    ("*/15 * * * *", 15 * 60_000),
    ("CRON_TZ=Europe/Berlin 0 * * * *", 60 * 60_000),
];
/// As the docs say.
const GRACE_MS: u64 = 60_000;
