//! Jobs: what is sent when its time comes.

use std::time::Duration;

use bytes::Bytes;
use log::Log;
use machine::command::Answer;
use machine::job::{self, ScheduleKind};
pub use machine::job::{Listed, Missed, NAMES_MAX, Page, Schedule, duration, point};
use machine::{Entry, Shard, Time};

use super::{Ask, Outgoing, dressing, named, time, unexpected};
use crate::engine::Engine;
use crate::error::Error;
use crate::store::Store;

/// The jobs of a scope.
pub struct Jobs<'a, L, S> {
    ask: Ask<'a, L, S>,
    scope: &'a str,
}

/// When a job runs. As it is by default it never would: it needs a schedule or a first run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// When it runs again and again; without one it runs once.
    pub schedule: Option<Schedule>,
    /// When the first run is, whatever the schedule says.
    pub first: Option<Time>,
    /// Before when no run is, instead.
    pub from: Option<Time>,
    /// After when no run is.
    pub until: Option<Time>,
    /// How many runs there are; zero for any number.
    pub runs_max: u64,
    /// What becomes of runs that were missed.
    pub missed: Missed,
    /// How many of them are made up for, by [`Missed::RunAll`].
    pub missed_max: u32,
    /// How late the last of them may be that [`Missed::Skip`] does not skip, in milliseconds; zero for a minute.
    pub grace_ms: u64,
}

impl When {
    /// Once.
    pub fn once(at: Time) -> When {
        When { first: Some(at), ..When::default() }
    }

    /// As a schedule says, written as [`job::schedule`] reads it.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn schedule(text: &str) -> Result<When, Error> {
        let schedule = job::schedule(text).map_err(|error| Error::invalid(error.to_string()))?;
        Ok(When { schedule: Some(schedule), ..When::default() })
    }

    /// How long it is from one run to the next, where that is always the same.
    pub fn interval(&self) -> Option<Duration> {
        match self.schedule.as_ref()?.kind.as_ref()? {
            ScheduleKind::Every(every) => Some(Duration::from_millis(every.every_ms)),
            ScheduleKind::Cron(_) => None,
        }
    }
}

dressing!(Jobs);

impl<L: Log, S: Store> Engine<L, S> {
    /// Up to `max` scopes that have jobs, by name: those after `after`.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn job_scopes(&self, after: Option<&str>, max: usize) -> Result<Vec<String>, Error> {
        super::union(&self.inner, max, |state| job::scopes(state, after, max))
    }
}

impl<'a, L: Log, S: Store> Jobs<'a, L, S> {
    pub(super) fn new(ask: Ask<'a, L, S>, scope: &'a str) -> Jobs<'a, L, S> {
        Jobs { ask, scope }
    }

    /// Makes a job that sends `what`, such as [an item of a queue](super::queue::Queue::sending); if `overwrite`, in place of
    /// one of that name. Returns when it runs first.
    ///
    /// # Errors
    ///
    /// [`Exists`](crate::Kind::Exists) if there is one, [`Invalid`](crate::Kind::Invalid) if it would never run.
    pub async fn put(&self, name: &str, when: When, what: Outgoing, overwrite: bool) -> Result<Time, Error> {
        let millis = |at: Option<Time>| at.map_or(0, Time::as_millis);
        let put = job::Put {
            scope: self.scope.to_owned(),
            name: name.to_owned(),
            schedule: when.schedule,
            first_ms: millis(when.first),
            from_ms: millis(when.from),
            until_ms: millis(when.until),
            runs_max: when.runs_max,
            missed: when.missed.into(),
            missed_max: when.missed_max,
            grace_ms: when.grace_ms,
            target: what.target.0,
            command: Box::new(what.command),
            bodies: (0..what.bodies.len() as u32).collect(),
            overwrite,
        };
        let mut entry = Entry::new(put);
        entry.bodies = what.bodies;
        Ok(next(self.ask.propose(self.shard(), entry).await?).unwrap_or_default())
    }

    /// A job, and how far it is.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<Listed>, Error> {
        named("job", name)?;
        self.ask.read(self.shard(), |state, _| job::get(state, self.scope, name))
    }

    /// A job with the payloads that it sends.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn get_whole(&self, name: &str) -> Result<Option<(Listed, Vec<Bytes>)>, Error> {
        named("job", name)?;
        let (found, payloads) = self.ask.read_with(self.shard(), |state, _| {
            let found = job::get(state, self.scope, name);
            let stored = found.iter().flat_map(|found| found.job.bodies.clone()).collect();
            Ok((found, stored))
        })?;
        Ok(found.map(|found| (found, payloads)))
    }

    /// Up to `max` jobs whose names begin with `prefix`, with the payloads that each sends, and what [`Jobs::list`] and this go on
    /// from.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn list_whole(
        &self,
        prefix: &str,
        from: Option<&[u8]>,
        max: usize,
    ) -> Result<(Vec<(Listed, Vec<Bytes>)>, Option<Vec<u8>>), Error> {
        let (page, payloads) = self.ask.read_with(self.shard(), |state, _| {
            let page = job::list(state, self.scope, prefix, from, max);
            let stored = page.jobs.iter().flat_map(|one| one.job.bodies.clone()).collect();
            Ok((page, stored))
        })?;
        let mut payloads = payloads.into_iter();
        let with = |one: Listed| {
            let own = payloads.by_ref().take(one.job.bodies.len()).collect();
            (one, own)
        };
        Ok((page.jobs.into_iter().map(with).collect(), page.next))
    }

    /// Up to `max` jobs whose names begin with `prefix`; `from` is what an earlier page ended with.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn list(&self, prefix: &str, from: Option<&[u8]>, max: usize) -> Result<Page, Error> {
        self.ask.read(self.shard(), |state, _| job::list(state, self.scope, prefix, from, max))
    }

    /// Takes a job away. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn delete(&self, name: &str) -> Result<bool, Error> {
        self.delete_many(vec![name.to_owned()]).await.map(|count| count > 0)
    }

    /// Takes jobs away, at most [`NAMES_MAX`]. Returns how many were there.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn delete_many(&self, names: Vec<String>) -> Result<u32, Error> {
        let delete = job::Delete { scope: self.scope.to_owned(), names };
        match self.ask.propose(self.shard(), Entry::new(delete)).await? {
            Some(Answer::Job(job::Reply { answer: Some(job::Answer::Deleted(deleted)) })) => {
                Ok(deleted.count)
            }
            odd => unexpected(odd),
        }
    }

    /// Takes away all jobs whose names begin with `prefix`, in as many commits as it takes: where that ends early, some are
    /// gone. Returns how many there were. Under an idempotency key, who asks again has those taken away that were left;
    /// once all were, none that is there since.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        let mut count = 0;
        for step in 0.. {
            let (scope, prefix) = (self.scope.to_owned(), prefix.to_owned());
            let entry = Entry::new(job::DeletePrefix { scope, prefix });
            match self.ask.propose_step(step, self.shard(), entry).await? {
                Some(Answer::Job(job::Reply { answer: Some(job::Answer::Deleted(deleted)) })) => {
                    count += u64::from(deleted.count);
                    if !deleted.more {
                        break;
                    }
                }
                odd => unexpected(odd),
            }
        }
        Ok(count)
    }

    /// Has a job not run until it is resumed.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn pause(&self, name: &str) -> Result<(), Error> {
        let (scope, name) = (self.scope.to_owned(), name.to_owned());
        self.ask.propose(self.shard(), Entry::new(job::Pause { scope, name })).await.map(|_| ())
    }

    /// Has a job run again. Returns when it runs next, if it does.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn resume(&self, name: &str) -> Result<Option<Time>, Error> {
        let (scope, name) = (self.scope.to_owned(), name.to_owned());
        self.ask.propose(self.shard(), Entry::new(job::Resume { scope, name })).await.map(next)
    }

    /// Runs a job now, besides.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn trigger(&self, name: &str) -> Result<(), Error> {
        let (scope, name) = (self.scope.to_owned(), name.to_owned());
        self.ask.propose(self.shard(), Entry::new(job::Trigger { scope, name })).await.map(|_| ())
    }

    fn shard(&self) -> Shard {
        job::shard(self.ask.inner.shards(), self.scope)
    }
}

fn next(answer: Option<Answer>) -> Option<Time> {
    match answer {
        Some(Answer::Job(job::Reply { answer: Some(job::Answer::NextMs(millis)) })) => time(millis),
        _ => None,
    }
}
