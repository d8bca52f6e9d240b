//! Making a job.

use super::{
    Answer, BODIES_MAX, GRACE_MS_DEFAULT, Job, MISSED_MAX, Missed, Progress, Reply, Schedule, check_name,
    job_key, job_prefix, progress_key,
};
use crate::body::Body;
use crate::command::{self, Command};
use crate::context::Context;
use crate::refusal::{Code, Refusal};
use crate::time::Time;
use crate::timer::Owner;

/// Makes a job: `command` is sent to the shard `target` when the job is due.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Put {
    /// Whose job it is, such as a service.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// When it runs again and again. Without one it runs once, at `first_ms`.
    #[prost(message, optional, tag = "3")]
    pub schedule: Option<Schedule>,
    /// When the first run is, in milliseconds since the epoch, whatever the schedule says: what Dapr calls
    /// due time. Zero: the schedule says it; for an interval, one interval from now.
    #[prost(uint64, tag = "4")]
    pub first_ms: u64,
    /// Instead of `first_ms`, before when no run is, in milliseconds since the epoch. An interval begins then.
    /// Zero: now.
    #[prost(uint64, tag = "5")]
    pub from_ms: u64,
    /// After when no run is, in milliseconds since the epoch. Zero: it never ends.
    #[prost(uint64, tag = "6")]
    pub until_ms: u64,
    /// How many runs there are. Zero: any number.
    #[prost(uint64, tag = "7")]
    pub runs_max: u64,
    /// What becomes of runs that were missed. Default: one run is done for all of them.
    #[prost(enumeration = "Missed", tag = "8")]
    pub missed: i32,
    /// How many missed runs are made up for by [`Missed::RunAll`], 1 to [`MISSED_MAX`]; for nothing else.
    #[prost(uint32, tag = "9")]
    pub missed_max: u32,
    /// How late the last of the missed runs may be that [`Missed::Skip`] does not skip, in milliseconds. Zero:
    /// one minute.
    #[prost(uint64, tag = "10")]
    pub grace_ms: u64,
    /// The shard that the command is for.
    #[prost(uint32, tag = "11")]
    pub target: u32,
    /// The command.
    #[prost(message, required, boxed, tag = "12")]
    pub command: Box<Command>,
    /// Which of the entry's payloads are that command's, in its order.
    #[prost(uint32, repeated, tag = "13")]
    pub bodies: Vec<Body>,
    /// Whether it takes the place of one of the same name, whose runs no longer count; otherwise it is
    /// refused if there is one.
    #[prost(bool, tag = "14")]
    pub overwrite: bool,
}

impl Put {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_name(&self.scope, &self.name)?;
        self.schedule.as_ref().map_or(Ok(()), Schedule::check)?;
        let wrong = match &self.command.kind {
            Some(
                command::Kind::Fire(_)
                | command::Kind::Deliver(_)
                | command::Kind::Delivered(_)
                | command::Kind::Job(_),
            ) => "a job cannot send a command to jobs or of the machine's own",
            _ if self.schedule.is_none() && self.first_ms == 0 => {
                "a job needs a schedule, or a time for its one run"
            }
            _ if self.first_ms > 0 && self.from_ms > 0 => {
                "a job has both a first run and a time before which there is none; name one"
            }
            _ if (self.missed() == Missed::RunAll) != (1..=MISSED_MAX).contains(&self.missed_max) => {
                return Err(Refusal::new(
                    Code::Invalid,
                    format!(
                        "{} missed runs are to be made up for: 1 to {MISSED_MAX} if all are to be, else 0",
                        self.missed_max
                    ),
                ));
            }
            _ if self.bodies.len() > BODIES_MAX => "a job's command has more than 100 payloads",
            _ => return self.command.check(),
        };
        Err(Refusal::new(Code::Invalid, wrong))
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let prefix = job_prefix(&self.scope, &self.name);
        let before: Option<Job> = context.get(&job_key(&prefix));
        if before.is_some() && !self.overwrite {
            return Err(Refusal::new(Code::Exists, format!("there is a job {:?} already", self.name)));
        }
        let next = self
            .first_run(context.time())
            .filter(|next| self.until_ms == 0 || next.as_millis() <= self.until_ms);
        let Some(next) = next else {
            return Err(Refusal::new(Code::Invalid, format!("the job {:?} would never run", self.name)));
        };
        for body in &self.bodies {
            context.length(*body)?;
        }
        context.room_for_timers(1)?;
        let bodies = self.bodies.iter().map(|body| context.store(*body)).collect::<Result<Vec<_>, _>>()?;
        if let Some(before) = before {
            super::delete::forget(context, &prefix, before);
        }
        let job = Job {
            schedule: self.schedule.clone(),
            first_ms: self.anchor(context.time(), next),
            until_ms: self.until_ms,
            runs_max: self.runs_max,
            missed: self.missed,
            missed_max: self.missed_max,
            grace_ms: if self.grace_ms == 0 { GRACE_MS_DEFAULT } else { self.grace_ms },
            target: self.target,
            command: self.command.clone(),
            bodies,
            put_ms: context.time().as_millis(),
        };
        context.put(job_key(&prefix), &job);
        context.put(progress_key(&prefix), &Progress { next_ms: next.as_millis(), ..Progress::default() });
        context.set_timer(next, Owner::Job, prefix.as_bytes());
        Ok(Answer::NextMs(next.as_millis()).into())
    }

    /// A time that is past already is now for a single run; a schedule goes on from it.
    fn first_run(&self, now: Time) -> Option<Time> {
        let Some(schedule) = &self.schedule else { return Some(now.max(Time::from_millis(self.first_ms))) };
        let begin = Time::from_millis(self.first_ms.max(self.from_ms));
        if self.first_ms > 0 && begin >= now {
            return Some(begin);
        }
        match begin.as_millis() {
            0 => schedule.next(now, now),
            // The time itself is no longer before it.
            begin_ms => schedule.next(begin, now.max(Time::from_millis(begin_ms - 1))),
        }
    }

    /// What an interval counts from.
    fn anchor(&self, now: Time, next: Time) -> u64 {
        match self.first_ms.max(self.from_ms) {
            0 => next.max(now).as_millis(),
            begin_ms => begin_ms,
        }
    }
}
