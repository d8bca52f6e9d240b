//! Items as they come, in one call: the client says what came of each, and has so many at a time.
//!
//! The call is a task that works on the queue as a program in this process would; what works is the client. When the call ends,
//! by whichever side, the task is dropped, and with it what is open is given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::blocks::queue;
use engine::{Outcome, WorkConfig};
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::super::ours::duration;
use super::convert::received;
use crate::api::Api;
use crate::error::Error;
use crate::health::Phase;
use crate::host::Host;
use crate::proto::colony::v1::work_request::Say;
use crate::proto::colony::v1::{ReceivedItem, WorkBegin, WorkFailed, WorkRequest};
use crate::queues::{Work, invalid};
use crate::uses::{How, Uses};

type Items = BoxStream<'static, Result<ReceivedItem, Status>>;

/// Begins with what the client says first.
pub(super) async fn begin(api: &Arc<Api>, mut said: Streaming<WorkRequest>) -> Result<Items, Error> {
    let first = timeout(FIRST, said.message()).await;
    let first = first.ok().and_then(Result::ok).flatten().and_then(|request| request.say);
    let Some(Say::Begin(begin)) = first else {
        return Err(invalid("the first message of the call has to be `begin`"));
    };
    let lease = duration(begin.lease, invalid)?;
    if lease.is_some_and(|lease| lease.is_zero()) || begin.concurrency > CONCURRENCY_MAX {
        return Err(invalid(format!(
            "a lease has some time, and the concurrency is {CONCURRENCY_MAX} at most"
        )));
    }
    // What the engine would refuse for ever is told at once.
    api.queue(&begin.queue, None)?.look().await?;
    let (items, coming) = mpsc::channel(1);
    let mut tasks = JoinSet::new();
    let (host, phases) = (Arc::clone(&api.host), api.health.watch());
    let consumer = match begin.consumer.is_empty() {
        true => api.config.app_id.clone(),
        false => begin.consumer.clone(),
    };
    let worked = (consumer, Arc::clone(&api.uses));
    tasks.spawn(run(host, phases, worked, begin, (lease, said), items));
    let coming = stream::unfold((coming, tasks), |(mut coming, tasks)| async move {
        let item = coming.recv().await?;
        Some((item, (coming, tasks)))
    });
    Ok(coming.boxed())
}

async fn run(
    host: Arc<Host>,
    mut phases: watch::Receiver<Phase>,
    (consumer, uses): (String, Arc<Uses>),
    begin: WorkBegin,
    (lease, said): (Option<Duration>, Streaming<WorkRequest>),
    items: mpsc::Sender<Result<ReceivedItem, Status>>,
) {
    let WorkBegin { queue, concurrency, .. } = begin;
    let mut config = WorkConfig { lease, ..WorkConfig::default() };
    if concurrency > 0 {
        config.concurrency = concurrency;
    }
    let open = Arc::new(Open::default());
    let handler = |work| {
        let (open, items, uses, queue) = (Arc::clone(&open), items.clone(), Arc::clone(&uses), queue.clone());
        async move {
            let outcome = open.work(work, &items).await;
            uses.count(How::Work, &queue, 1, u64::from(matches!(outcome, Outcome::Failed { .. })));
            outcome
        }
    };
    let working = async {
        match host.disk().queue(&queue) {
            Ok(of) => of.work(&consumer, config, handler).await,
            Err(error) => error,
        }
    };
    let ended = tokio::select! {
        error = working => Err(crate::queues::failed(&queue, "working on", &error)),
        ended = open.listen(said) => ended,
        _ = phases.wait_for(|phase| *phase == Phase::Stopping) => Ok(()),
    };
    if let Err(error) = ended {
        let _ = items.send(Err(error.to_status())).await;
    }
}

/// What the client works on: who waits for what it says of each receipt.
#[derive(Default)]
struct Open(Mutex<HashMap<String, oneshot::Sender<Outcome>>>);

impl Open {
    /// Hands an item to the client, and waits for what comes of it.
    async fn work(&self, work: queue::Work, items: &mpsc::Sender<Result<ReceivedItem, Status>>) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let item = received(Work::of(work));
        self.open().insert(item.receipt.clone(), done);
        if items.send(Ok(item)).await.is_err() {
            return Outcome::Released;
        }
        outcome.await.unwrap_or(Outcome::Released)
    }

    /// Takes what the client says until it says nothing more.
    async fn listen(&self, mut said: Streaming<WorkRequest>) -> Result<(), Error> {
        // What breaks off has ended, too.
        while let Ok(Some(request)) = said.message().await {
            let (receipt, outcome) = match request.say {
                Some(Say::Done(receipt)) => (receipt, Outcome::Done),
                Some(Say::Released(receipt)) => (receipt, Outcome::Released),
                Some(Say::Failed(WorkFailed { receipt, cause, delay, dead })) => {
                    let delay = duration(delay, invalid)?;
                    (receipt, Outcome::Failed { cause, delay, for_good: dead })
                }
                Some(Say::Begin(_)) => return Err(invalid("`begin` is said once")),
                None => return Err(invalid("a message says nothing that is known here")),
            };
            let waiting = self.open().remove(&receipt);
            let Some(waiting) = waiting else {
                return Err(invalid(format!(
                    "{receipt:?} is no receipt of an item that is open in this call"
                )));
            };
            let _ = waiting.send(outcome);
        }
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the first message may take.
const FIRST: Duration = Duration::from_secs(10);
/// Most items at a time, as many as the engine hands out at once.
const CONCURRENCY_MAX: u32 = 1_000;
