//! Working on a queue's items as they come, so many at a time.
//!
//! The free places are what is asked for, so a consumer never holds what it cannot begin with. What a queue's rate, its keys
//! or a pause hold back is not handed out, so nothing has to be known of them here; what fails waits as long as the queue's
//! backoff says.

use std::sync::Arc;
use std::time::Duration;

use log::Log;
use machine::queue::{Acknowledge, CAUSE_BYTES_MAX, Extend, Nack};
use machine::{Command, Entry, Shard};
use tokio::task::JoinSet;

use crate::blocks::queue::{Queue, Receipt, Work};
use crate::engine::Inner;
use crate::error::Error;
use crate::receive::give_back;
use crate::store::Store;

/// How a queue's items are worked on.
#[derive(Clone, Debug)]
pub struct WorkConfig {
    /// How many are worked on at a time. Default 16; zero counts as one.
    pub concurrency: u32,
    /// How long a lease is; it is extended for as long as the work takes. A shorter one has what was with a node that died
    /// begun again sooner, and costs more extensions. Default: as long as the queue's settings say.
    pub lease: Option<Duration>,
}

impl Default for WorkConfig {
    fn default() -> WorkConfig {
        WorkConfig { concurrency: 16, lease: None }
    }
}

/// What came of work on an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It has failed: it is tried again, after `delay` or as the queue's backoff says, unless its attempts are used up.
    Failed {
        /// What went wrong.
        cause: String,
        /// How long until it is tried again.
        delay: Option<Duration>,
        /// Whether trying again would be of no use.
        for_good: bool,
    },
    /// It was not begun: another gets it, and no attempt is counted.
    Released,
}

/// Receives and works until something goes wrong that does not pass.
pub(crate) async fn run<L: Log, S: Store, F, W>(
    queue: &Queue<'_, L, S>,
    consumer: &str,
    config: &WorkConfig,
    handler: F,
) -> Error
where
    F: Fn(Work) -> W,
    W: Future<Output = Outcome> + Send + 'static,
{
    let most = config.concurrency.clamp(1, RECEIVED_MAX) as usize;
    let mut working = JoinSet::new();
    loop {
        while working.try_join_next().is_some() {}
        if working.len() == most {
            working.join_next().await;
            continue;
        }
        let free = (most - working.len()) as u32;
        // Places that come free meanwhile are asked for the next time: who would ask anew for each would give back what is
        // just being handed out.
        match queue.receive(consumer, free, config.lease, LONGEST_WAIT).await {
            Ok(items) => {
                for item in items {
                    let held = Held::new(queue, &item);
                    let work = handler(item);
                    working.spawn(held.carry_out(work));
                }
            }
            Err(Error::Overloaded | Error::Full | Error::Unwritable(_)) => {
                tokio::time::sleep(BUSY_WAIT).await;
            }
            Err(error) => return error,
        }
    }
}

/// An item that is being worked on. Dropping it gives it back.
struct Held<L: Log, S: Store> {
    inner: Arc<Inner<L, S>>,
    queue: String,
    shard: Shard,
    receipt: machine::queue::Receipt,
    /// How long a lease is.
    lease: Duration,
    is_settled: bool,
}

impl<L: Log, S: Store> Held<L, S> {
    fn new(queue: &Queue<'_, L, S>, item: &Work) -> Held<L, S> {
        let inner = Arc::clone(queue.ask.inner());
        let lease = item.until.since(inner.now()).max(LEASE_MIN);
        let (shard, receipt) = Receipt::parts(item.receipt);
        Held { inner, queue: queue.queue.to_owned(), shard, receipt, lease, is_settled: false }
    }

    async fn carry_out(mut self, work: impl Future<Output = Outcome>) {
        let mut work = std::pin::pin!(work);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = tokio::time::sleep(self.lease / 2) => self.extend().await,
            }
        };
        self.settle(outcome).await;
    }

    /// If that does not work, the lease ends, and another begins: whoever is slower is refused when it is done.
    async fn extend(&self) {
        let visibility_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let extend = Extend { queue: self.queue.clone(), receipts: vec![self.receipt], visibility_ms };
        let _ = self.inner.propose(self.shard, Entry::new(extend)).await;
    }

    async fn settle(&mut self, outcome: Outcome) {
        let (queue, receipts) = (self.queue.clone(), vec![self.receipt]);
        let command: Command = match outcome {
            Outcome::Done => Acknowledge { queue, receipts, all: false }.into(),
            Outcome::Failed { mut cause, delay, for_good } => {
                cause.truncate(cause.floor_char_boundary(CAUSE_BYTES_MAX));
                let delay_ms = delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
                Nack { queue, receipts, cause, delay_ms, not_begun: false, for_good }.into()
            }
            Outcome::Released => Nack { queue, receipts, not_begun: true, ..Nack::default() }.into(),
        };
        // What is done is not to be given back, even where it cannot be said.
        self.is_settled = true;
        loop {
            match self.inner.propose(self.shard, Entry::new(command.clone())).await {
                Err(Error::Overloaded | Error::Full | Error::Unwritable(_)) => {
                    tokio::time::sleep(BUSY_WAIT).await;
                }
                // Done, or the lease was lost.
                _ => return,
            }
        }
    }
}

impl<L: Log, S: Store> Drop for Held<L, S> {
    fn drop(&mut self) {
        if !self.is_settled {
            let queue = std::mem::take(&mut self.queue);
            give_back(&Arc::downgrade(&self.inner), self.shard, queue, vec![self.receipt]);
        }
    }
}

/// Most items that are asked for at a time.
const RECEIVED_MAX: u32 = machine::queue::RECEIPTS_MAX as u32;
/// How long is waited for items before it is asked anew.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How long is waited where the engine has too much to do.
const BUSY_WAIT: Duration = Duration::from_millis(10);
/// Clocks differ, and a lease may be about to end.
const LEASE_MIN: Duration = Duration::from_millis(10);
