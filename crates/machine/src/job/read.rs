//! What can be read of jobs without an entry in the log.

use std::ops::ControlFlow;

use super::{Job, Progress, job_key, job_prefix, progress_key};
use crate::context::{decode, read};
use crate::key::{Key, Parts, Table};
use crate::state::{Order, Read, names};

/// A job, and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What was put.
    pub job: Job,
    /// How far it is.
    pub progress: Progress,
}

/// Some jobs, and where to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The jobs by name.
    pub jobs: Vec<Listed>,
    /// What [`list`] goes on from; nothing if this was all.
    pub next: Option<Vec<u8>>,
}

/// A job.
pub fn get(state: &(impl Read + ?Sized), scope: &str, name: &str) -> Option<Listed> {
    let prefix = job_prefix(scope, name);
    let job = read(state, &job_key(&prefix))?;
    let progress = read(state, &progress_key(&prefix))?;
    Some(Listed { name: name.to_owned(), job, progress })
}

/// Up to `max` scopes that have jobs in this shard, by name: those after `after`.
pub fn scopes(state: &(impl Read + ?Sized), after: Option<&str>, max: usize) -> Vec<String> {
    names(state, &Key::new(Table::Job), "", after, max)
}

/// Up to `max` jobs of a scope whose name begins with `prefix`; `from` is what an earlier page ended with.
pub fn list(
    state: &(impl Read + ?Sized),
    scope: &str,
    prefix: &str,
    from: Option<&[u8]>,
    max: usize,
) -> Page {
    let all = Key::new(Table::Job).name(scope).bytes(prefix.as_bytes());
    let begin = from.map_or_else(|| all.clone(), Key::from);
    let mut page = Page::default();
    // A job's two records lie beside each other.
    let mut job: Option<Job> = None;
    state.scan(begin.as_bytes(), all.end().as_bytes(), Order::Forwards, &mut |key, value| {
        let Some(put) = job.take() else {
            if page.jobs.len() == max {
                page.next = Some(key.to_vec());
                return ControlFlow::Break(());
            }
            job = Some(decode(key, value.clone()));
            return ControlFlow::Continue(());
        };
        let mut parts = Parts::of(key);
        parts.name();
        let name = parts.name().unwrap_or_default().to_owned();
        page.jobs.push(Listed { name, job: put, progress: decode(key, value.clone()) });
        ControlFlow::Continue(())
    });
    page
}
