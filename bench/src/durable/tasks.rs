//! A closed loop: tasks that each wait for their own answer before they ask again.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Measured;
use crate::stats::percentile;

/// What a load came to.
pub struct Load {
    /// Operations that were answered.
    pub count: u64,
    pub took: Duration,
    /// How long each took, in nanoseconds.
    pub each_ns: Vec<u64>,
}

impl Load {
    /// Without what it cost.
    pub fn measured(mut self) -> Measured {
        let us = |ns: Option<u64>| ns.unwrap_or(0) as f64 / 1e3;
        Measured {
            count: self.count,
            seconds: self.took.as_secs_f64(),
            p50_us: us(percentile(&mut self.each_ns, 50.0)),
            p99_us: us(percentile(&mut self.each_ns, 99.0)),
            ..Measured::default()
        }
    }
}

/// Has each of `tasks` called with its number: it gives what to do over and over, which answers how many operations
/// that was. Ends after `time`.
pub async fn closed_loop<T, F, O>(tasks: Vec<T>, time: Duration, operation: F) -> Load
where
    T: Send + 'static,
    F: Fn(T, u64) -> O + Send + Sync + 'static,
    O: Future<Output = (T, u64)> + Send,
{
    let operation = Arc::new(operation);
    let all = Arc::new(Mutex::new((0, Vec::new())));
    let begun = Instant::now();
    let running: Vec<_> = tasks
        .into_iter()
        .map(|mut task| {
            let (operation, all) = (Arc::clone(&operation), Arc::clone(&all));
            tokio::spawn(async move {
                let (mut count, mut each, mut call) = (0, Vec::new(), 0);
                let mut asked = Instant::now();
                while asked - begun < time {
                    let done;
                    (task, done) = operation(task, call).await;
                    // It asks again at once: one look at the clock tells both.
                    let answered = Instant::now();
                    each.push((answered - asked).as_nanos() as u64);
                    asked = answered;
                    count += done;
                    call += 1;
                }
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.0 += count;
                all.1.append(&mut each);
            })
        })
        .collect();
    for task in running {
        task.await.expect("no operation panics");
    }
    let took = begun.elapsed();
    let (count, each_ns) = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
    Load { count, took, each_ns }
}
