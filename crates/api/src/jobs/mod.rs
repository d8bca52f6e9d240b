//! Jobs: what an application is called for when its time comes, over the engine's jobs.
//!
//! An application's jobs are a scope of the engine. When one is due the engine sends an item to the queue `jobs/APP-ID`, in the same
//! entry in which it schedules the next run, and [`deliver`] works on that queue while the application is there: so a run
//! waits for the application, is with one of its replicas at a time, and survives a crash, and what comes of it is settled
//! like any other work. The item holds the whole job as it was scheduled, for the job itself may be gone by then.

mod data;
pub(crate) mod deliver;
mod errors;
mod kept;
mod when;

use std::time::SystemTime;

use bytes::Bytes;
use engine::blocks::jobs::Jobs;
use engine::blocks::{Idempotency, Time, queue};
use engine::store::Fjall;
use engine::{EmbeddedLog, Kind};
use prost::Message;

use crate::api::Api;
use crate::error::Error;
use crate::payload::Payload;
use crate::pubsub::Trace;
use crate::queues::Item;
use crate::time::millis;
pub(crate) use data::{from_json, text_of, to_json};
pub use errors::named_twice;
pub use kept::{Kept, Retry};

impl Api {
    /// Makes a job, once under `once`; if `overwrite`, in place of one of that name. Its runs say in which trace it was made.
    ///
    /// # Errors
    ///
    /// If something is missing, cannot be read, or there is one already.
    pub async fn schedule_job(
        &self,
        job: Option<Kept>,
        overwrite: bool,
        once: Option<&Idempotency>,
        trace: Trace<'_>,
    ) -> Result<(), Error> {
        let kept = job.ok_or_else(|| errors::empty(self, errors::Empty::Job))?.with_policy();
        let job = &kept.job;
        check_name(self, &job.name)?;
        if job.schedule.is_none() && job.due_time.is_none() {
            return Err(errors::empty(self, errors::Empty::Schedule));
        }
        let failed = |kind: Kind, why: &str| errors::schedule(self, kind, &job.name, why);
        let now = Time::from_millis(millis(SystemTime::now()));
        let when = when::of(job, now).map_err(|why| failed(Kind::Invalid, &why))?;
        let disk = self.host.disk();
        let queue = queue_name(&self.config.app_id);
        let put = async {
            let rest =
                queue::Item { key: job.name.clone(), ttl: when::waits(job, &when), ..queue::Item::default() };
            let payload = Payload { data: kept.encode_to_vec().into(), ..Payload::default() };
            let what = disk.queue(&queue)?.sending([Item { payload, rest }.traced(trace).lower()]);
            self.own_jobs(once).put(&job.name, when, what, overwrite).await
        };
        put.await.map(drop).map_err(|error: engine::Error| failed(error.kind(), &error.to_string()))
    }

    /// A job as it was scheduled.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be read.
    pub async fn job(&self, name: &str) -> Result<Kept, Error> {
        check_name(self, name)?;
        let found = self.host.disk().jobs(&self.config.app_id).get_whole(name).await;
        let found = found.map_err(|error| errors::get(self, &error.to_string()))?;
        let kept = found.and_then(|(_, payloads)| Kept::of(payloads));
        kept.ok_or_else(|| errors::get(self, &format!("job not found: {name}")))
    }

    /// All jobs of the application.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or are too many for an answer.
    pub async fn jobs(&self) -> Result<Vec<Kept>, Error> {
        let failed = |why: &str| errors::list(self, why);
        let jobs = self.host.disk().jobs(&self.config.app_id);
        let (mut all, mut bytes, mut from) = (Vec::new(), 0, None);
        loop {
            let (page, next) = jobs
                .list_whole("", from.as_deref(), PAGE)
                .await
                .map_err(|error| failed(&error.to_string()))?;
            for (_, payloads) in page {
                bytes += payloads.iter().map(Bytes::len).sum::<usize>();
                all.extend(Kept::of(payloads));
            }
            if all.len() > LISTED_MAX || bytes > LISTED_BYTES_MAX {
                return Err(failed(&format!(
                    "there are more than {LISTED_MAX} jobs or {LISTED_BYTES_MAX} bytes of them: get them by their names"
                )));
            }
            match next {
                Some(next) => from = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Takes a job away, once under `once`; that there is none is as good.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub async fn delete_job(&self, name: &str, once: Option<&Idempotency>) -> Result<(), Error> {
        check_name(self, name)?;
        let deleted = self.own_jobs(once).delete(name).await;
        deleted.map(drop).map_err(|error| errors::delete(self, &error))
    }

    /// Takes all jobs away whose names begin so. Under `once`, who asks again has those taken away that were left then, and
    /// none that is there since.
    ///
    /// # Errors
    ///
    /// If that cannot be written: some may be gone then.
    pub async fn delete_jobs(&self, prefix: &str, once: Option<&Idempotency>) -> Result<(), Error> {
        let deleted = self.own_jobs(once).delete_prefix(prefix).await;
        deleted.map(drop).map_err(|error| errors::delete(self, &error))
    }

    /// The application's, with what is asked of them done once under `once`.
    fn own_jobs<'a>(&'a self, once: Option<&'a Idempotency>) -> Jobs<'a, EmbeddedLog, Fjall> {
        let jobs = self.host.disk().jobs(&self.config.app_id);
        match once {
            Some(once) => jobs.once(once),
            None => jobs,
        }
    }
}

fn check_name(api: &Api, name: &str) -> Result<(), Error> {
    match name.is_empty() || name.contains('|') {
        true => Err(errors::empty(api, errors::Empty::Name)),
        false => Ok(()),
    }
}

/// Where the runs of an application's jobs wait for it.
fn queue_name(app_id: &str) -> String {
    format!("jobs/{app_id}")
}

/// How many jobs are looked at together.
const PAGE: usize = 100;
/// Most jobs that are listed.
const LISTED_MAX: usize = 10_000;
/// Most bytes of them.
const LISTED_BYTES_MAX: usize = 64 << 20;
