//! A bulkhead: no more than so many requests are in flight at a time, over all cores, so that one upstream
//! that has become slow does not take everything that its callers have, and gets no more than it can do.
//! After Nygard, "Release It!" (2007). A call may have one, and an upstream one that all its calls share.
//!
//! The cores share one counter on a cache line of its own: to come in and to leave is one atomic
//! operation each, and no core waits for another. Only where it is full there is a lock, around the
//! queue of those who wait, which is one for all cores and first come, first served. Whoever leaves
//! while somebody waits hands the free place over. That none is forgotten is due to the order on both
//! sides: the leaver gives the place back and then looks for waiters, the waiter queues up and then
//! looks for a place (each sequentially consistent, so at least one of them sees the other).
//!
//! Where the limit is to be found out, each core gathers latencies and hands them over in lots.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy::{Deadline, Gradient, Samples, Time};
use tokio::sync::oneshot;

use crate::call::guard::lock;
use crate::call::{LocalCall, too_late};
use crate::clock;
use crate::config::{Concurrency, ConcurrencyLimit};
use crate::request::problem::{Kind, Problem};

/// When it is worth asking again where too many requests are in flight. How long they take is not known;
/// a second is what keeps those refused from being a load of their own.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Lots of latencies that a core hands over in one window.
const LOTS_PER_WINDOW: u32 = 10;

/// The places of a request: among those of its call, and among all that its upstream has in flight.
pub(crate) struct Place {
    _own: Option<Permit>,
    _shared: Option<Permit>,
}

/// A place for a request that came at `started`, where places are limited.
pub(crate) async fn enter(
    call: &LocalCall,
    deadline: Deadline,
    started: Time,
) -> Result<Option<Place>, Problem> {
    if call.bulkhead.is_none() && call.shared_bulkhead.is_none() {
        return Ok(None);
    }
    let config = &call.state.config;
    let ends = deadline.within(started, config.timeout).map(|left| started + left);
    let refusal = |full, whose: &str| match deadline.has_passed(clock::now()) {
        true => too_late(call, 0),
        false => overloaded(call, full, whose),
    };
    let _own = permit(&call.bulkhead, ends).await.map_err(|full| refusal(full, &config.id))?;
    let everybody = || format!("all calls to {}", config.upstream);
    let _shared = permit(&call.shared_bulkhead, ends).await.map_err(|full| refusal(full, &everybody()))?;
    Ok(Some(Place { _own, _shared }))
}

/// A permit of one bulkhead, if there is that. Err: it is full.
async fn permit(
    bulkhead: &Option<Rc<LocalBulkhead>>,
    ends: Option<Time>,
) -> Result<Option<Permit>, &Bulkhead> {
    match bulkhead {
        None => Ok(None),
        Some(bulkhead) => bulkhead.enter(ends).await.map(Some).ok_or(&*bulkhead.shared),
    }
}

fn overloaded(call: &LocalCall, full: &Bulkhead, whose: &str) -> Problem {
    call.tally().overloaded.add(1);
    let (limit, waiting) = (full.limit(), full.waiting());
    let detail = format!("{limit} requests of {whose} are in flight and {waiting} wait");
    let mut problem = Problem::new(Kind::Overloaded, detail).retry_after(OVERLOADED_RETRY_AFTER);
    problem.call = Some(call.state.config.id.clone());
    problem.upstream = Some(call.state.config.upstream.clone());
    problem
}

/// A bulkhead as all cores see it.
pub(crate) struct Bulkhead {
    config: Concurrency,
    in_flight: OwnLine,
    limit: AtomicUsize,
    /// How long the queue is, to be seen without its lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
    refused: AtomicU64,
    learner: Option<Mutex<Gradient>>,
}

#[repr(align(64))]
struct OwnLine(AtomicUsize);

#[derive(Default)]
struct Queue {
    next: u64,
    /// By ids that rise.
    waiters: VecDeque<(u64, oneshot::Sender<Grant>)>,
}

impl Bulkhead {
    pub(crate) fn new(config: Concurrency, now: Time) -> Bulkhead {
        let learner = match config.limit {
            ConcurrencyLimit::Fixed(_) => None,
            ConcurrencyLimit::Adaptive(gradient) => Some(Gradient::new(gradient, now)),
        };
        let limit = match (config.limit, &learner) {
            (ConcurrencyLimit::Fixed(max), _) => max,
            (_, learner) => learner.as_ref().map_or(0, Gradient::limit),
        };
        Bulkhead {
            config,
            in_flight: OwnLine(AtomicUsize::new(0)),
            limit: AtomicUsize::new(limit as usize),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
            refused: AtomicU64::new(0),
            learner: learner.map(Mutex::new),
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.0.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Who found no place so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let one_more = |count| (count < limit).then_some(count + 1);
        self.in_flight.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    fn give_back(self: &Arc<Self>) {
        self.in_flight.0.fetch_sub(1, Ordering::SeqCst);
        self.hand_over();
    }

    /// Gives free places to those who wait.
    fn hand_over(self: &Arc<Self>) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut unwanted = None;
        let mut queue = lock(&self.queue);
        while !queue.waiters.is_empty() && self.take() {
            unwanted = queue.give(Grant(Some(self.clone())));
        }
        self.waiting.store(queue.waiters.len(), Ordering::SeqCst);
        // Dropped without the lock, for it is given back then.
        drop(queue);
        drop(unwanted);
    }

    /// A place, as soon as one is free. None: too many wait, or it took too long.
    async fn wait(self: &Arc<Self>, ends: Option<Time>) -> Option<Grant> {
        let mut waiting = self.queue_up()?;
        let patience = ends.map_or(Duration::MAX, |ends| ends.since(clock::now()));
        tokio::time::timeout(patience.min(self.config.wait), &mut waiting.grant).await.ok()?.ok()
    }

    /// A place in the queue. None: it is full.
    fn queue_up(self: &Arc<Self>) -> Option<Waiting> {
        let (sender, grant) = oneshot::channel();
        let mut queue = lock(&self.queue);
        if queue.waiters.len() >= self.config.queue as usize {
            return None;
        }
        let id = queue.next;
        queue.next += 1;
        queue.waiters.push_back((id, sender));
        self.waiting.store(queue.waiters.len(), Ordering::SeqCst);
        drop(queue);
        let waiting = Waiting { bulkhead: self.clone(), id, grant };
        self.hand_over();
        Some(waiting)
    }
}

impl Queue {
    /// To the first who still waits; back if nobody does.
    fn give(&mut self, mut grant: Grant) -> Option<Grant> {
        while let Some((_, waiter)) = self.waiters.pop_front() {
            match waiter.send(grant) {
                Ok(()) => return None,
                Err(unwanted) => grant = unwanted,
            }
        }
        Some(grant)
    }
}

/// A place on its way from one request to another, maybe on another core.
struct Grant(Option<Arc<Bulkhead>>);

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(bulkhead) = self.0.take() {
            bulkhead.give_back();
        }
    }
}

/// Somebody in the queue, who leaves it when dropped.
struct Waiting {
    bulkhead: Arc<Bulkhead>,
    id: u64,
    grant: oneshot::Receiver<Grant>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = lock(&self.bulkhead.queue);
        if let Ok(at) = queue.waiters.binary_search_by_key(&self.id, |(id, _)| *id) {
            queue.waiters.remove(at);
            self.bulkhead.waiting.store(queue.waiters.len(), Ordering::SeqCst);
        }
    }
}

/// A bulkhead as one core sees it.
pub(crate) struct LocalBulkhead {
    pub(crate) shared: Arc<Bulkhead>,
    /// Latencies that the learner has not been told, and since when.
    untold: Cell<(Samples, Time)>,
}

/// The right to be in flight, until it is dropped.
pub(crate) struct Permit(Rc<LocalBulkhead>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.shared.give_back();
    }
}

impl LocalBulkhead {
    pub(crate) fn new(shared: Arc<Bulkhead>) -> Rc<LocalBulkhead> {
        Rc::new(LocalBulkhead { shared, untold: Cell::default() })
    }

    /// Comes in, or waits for that as long as it may, and no longer than until `ends`. None: overloaded.
    async fn enter(self: &Rc<Self>, ends: Option<Time>) -> Option<Permit> {
        let shared = &self.shared;
        // Nobody overtakes those who wait.
        if shared.waiting.load(Ordering::SeqCst) == 0 && shared.take() {
            return Some(Permit(self.clone()));
        }
        let granted = shared.wait(ends).await;
        if granted.is_none() {
            shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        // From here on the permit gives the place back.
        granted?.0 = None;
        Some(Permit(self.clone()))
    }

    /// Tells how long the upstream took for one of the requests in flight.
    pub(crate) fn learn(&self, now: Time, took: Duration) {
        let (Some(learner), ConcurrencyLimit::Adaptive(gradient)) =
            (&self.shared.learner, self.shared.config.limit)
        else {
            return;
        };
        let (mut samples, since) = self.untold.get();
        let since = if samples.is_empty() { now } else { since };
        samples.add(took, self.shared.in_flight() as u32);
        if now.since(since) < gradient.window / LOTS_PER_WINDOW {
            return self.untold.set((samples, since));
        }
        self.untold.set((Samples::default(), now));
        let limit = lock(learner).record(now, samples) as usize;
        if self.shared.limit.swap(limit, Ordering::Relaxed) < limit {
            self.shared.hand_over();
        }
    }
}
