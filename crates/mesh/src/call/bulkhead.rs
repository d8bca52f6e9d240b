//! A bulkhead: no more than so many requests are in flight at a time, over all cores, so that one upstream
//! that has become slow does not take everything that its callers have, and gets no more than it can do.
//! After Nygard, "Release It!" (2007). A call may have one, and an upstream one that all its calls share.
//!
//! The cores share one counter on a cache line of its own: to come in and to leave is one atomic
//! operation each, and no core waits for another. Only where there is no room for a request's class there
//! is a lock, around the [`Queue`] of those who wait, which is one for all cores. Whoever leaves while
//! somebody waits hands the free place over. That none is forgotten is due to the order on both sides: the
//! leaver gives the place back and then looks for waiters, the waiter queues up and then looks for a place
//! (each sequentially consistent, so at least one of them sees the other). A leaver that sees no room yet
//! for who is next need not lock: somebody is still in flight then, who leaves later and looks again.
//!
//! Where the limit is to be found out, each core gathers latencies and hands them over in lots.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy::shed::CLASSES;
use policy::{Class, Gradient, Line, Samples, Shares, Time};
use tokio::sync::oneshot;

use super::queue::Queue;
use crate::call::guard::lock;
use crate::call::{LocalCall, Outgoing, too_late};
use crate::clock;
use crate::config::{Concurrency, ConcurrencyLimit};
use crate::request::problem::{Kind, Problem};
use crate::spans::Trace;

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
    outgoing: &Outgoing<'_>,
    started: Time,
) -> Result<Option<Place>, Problem> {
    if call.bulkhead.is_none() && call.shared_bulkhead.is_none() {
        return Ok(None);
    }
    let config = &call.state.config;
    let Outgoing { class, deadline, .. } = *outgoing;
    let ends = deadline.within(started, config.timeout).map(|left| started + left);
    let refusal = |refused: Refused, whose: &str| match deadline.has_passed(clock::now()) {
        true => too_late(call, 0),
        false => refused.problem(call, class, whose),
    };
    let own = permit(&call.bulkhead, class, ends, outgoing.trace).await;
    let _own = own.map_err(|refused| refusal(refused, &config.id))?;
    let everybody = || format!("all calls to {}", config.upstream);
    let shared = permit(&call.shared_bulkhead, class, ends, outgoing.trace).await;
    let _shared = shared.map_err(|refused| refusal(refused, &everybody()))?;
    Ok(Some(Place { _own, _shared }))
}

/// A permit of one bulkhead, if there is that.
async fn permit<'b>(
    bulkhead: &'b Option<Rc<LocalBulkhead>>,
    class: Class,
    ends: Option<Time>,
    trace: &Trace,
) -> Result<Option<Permit>, Refused<'b>> {
    let Some(bulkhead) = bulkhead else { return Ok(None) };
    if let Some(permit) = bulkhead.enter(class) {
        return Ok(Some(permit));
    }
    trace.queued();
    // Boxed, for it is rare, and every request's future would have to have room for it.
    let waited = Box::pin(bulkhead.wait(class, ends)).await;
    waited.map(Some).map_err(|why| Refused { by: &bulkhead.shared, why })
}

/// Why somebody found no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// There is none for its class, and too many wait, or it waited in vain.
    Full,
    /// A higher class took its place in the queue.
    Displaced,
}

struct Refused<'a> {
    by: &'a Bulkhead,
    why: Why,
}

impl Refused<'_> {
    /// Counts and tells it; the bulkhead is that of `whose`.
    fn problem(self, call: &LocalCall, class: Class, whose: &str) -> Problem {
        let (limit, room, name) = (self.by.limit(), self.by.room(class), class.name());
        let shed = self.why == Why::Displaced || room < limit;
        let detail = match self.why {
            Why::Displaced => format!(
                "its priority is {name}, and one of a higher priority took its place in the queue of {whose}"
            ),
            Why::Full if shed => {
                format!("its priority is {name}, which may fill {room} of the {limit} places of {whose}")
            }
            Why::Full => {
                let waiting = self.by.line().len();
                format!("{limit} requests of {whose} are in flight and {waiting} wait")
            }
        };
        let (kind, count) = match shed {
            true => (Kind::Shed, &call.tally().shed),
            false => (Kind::Overloaded, &call.tally().overloaded),
        };
        count.add(1);
        let mut problem = Problem::new(kind, detail).retry_after(OVERLOADED_RETRY_AFTER);
        problem.call = Some(call.state.config.id.clone());
        problem.upstream = Some(call.state.config.upstream.clone());
        problem
    }
}

/// A bulkhead as all cores see it.
pub(crate) struct Bulkhead {
    config: Concurrency,
    in_flight: OwnLine,
    limit: AtomicUsize,
    /// Who is next in the queue, to be seen without its lock: one more than the rank of its class, zero for
    /// nobody.
    next: AtomicUsize,
    queue: Mutex<Queue<Grant>>,
    /// Who found no place so far, by class.
    refused: [AtomicU64; CLASSES],
    learner: Option<Mutex<Gradient>>,
}

#[repr(align(64))]
struct OwnLine(AtomicUsize);

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
            next: AtomicUsize::new(0),
            queue: Mutex::default(),
            refused: Default::default(),
            learner: learner.map(Mutex::new),
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.0.load(Ordering::SeqCst)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many may be in flight for one of a class to come in.
    pub(crate) fn room(&self, class: Class) -> usize {
        self.config.shares.room(self.limit(), class)
    }

    /// Whether some classes may fill less than others.
    pub(crate) fn sheds(&self) -> bool {
        self.config.shares != Shares::WHOLE
    }

    /// Who waits.
    pub(crate) fn line(&self) -> Line {
        lock(&self.queue).line()
    }

    /// Requests of a class that found no place so far.
    pub(crate) fn refused(&self, class: Class) -> u64 {
        self.refused[class.rank()].load(Ordering::Relaxed)
    }

    fn take(&self, class: Class) -> bool {
        let room = self.room(class);
        let one_more = |count| (count < room).then_some(count + 1);
        self.in_flight.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    fn give_back(self: &Arc<Self>) {
        self.in_flight.0.fetch_sub(1, Ordering::SeqCst);
        self.hand_over();
    }

    /// Gives free places to those who wait.
    fn hand_over(self: &Arc<Self>) {
        let Some(rank) = self.next.load(Ordering::SeqCst).checked_sub(1) else { return };
        if self.in_flight() >= self.room(Class::ALL[rank]) {
            return;
        }
        let mut unwanted = None;
        let mut queue = lock(&self.queue);
        while let Some(class) = queue.line().front()
            && unwanted.is_none()
            && self.take(class)
        {
            unwanted = queue.give(class, Grant(Some(self.clone())));
        }
        self.tell_next(queue.line());
        // Dropped without the lock, for it is given back then, which hands it on.
        drop(queue);
        drop(unwanted);
    }

    fn tell_next(&self, line: Line) {
        self.next.store(line.front().map_or(0, |class| class.rank() + 1), Ordering::SeqCst);
    }

    /// Whether one of a class overtakes nobody of its own or a higher one.
    fn is_next(&self, class: Class) -> bool {
        self.next.load(Ordering::SeqCst) <= class.rank()
    }

    /// A place, as soon as one is free.
    async fn wait(self: &Arc<Self>, class: Class, ends: Option<Time>) -> Result<Grant, Why> {
        let mut waiting = self.queue_up(class).ok_or(Why::Full)?;
        let patience = ends.map_or(Duration::MAX, |ends| ends.since(clock::now()));
        match tokio::time::timeout(patience.min(self.config.wait), &mut waiting.grant).await {
            Ok(granted) => granted.map_err(|_| Why::Displaced),
            Err(_) => Err(Why::Full),
        }
    }

    /// A place in the queue. None: it is full.
    fn queue_up(self: &Arc<Self>, class: Class) -> Option<Waiting> {
        let mut queue = lock(&self.queue);
        let (id, grant) = queue.join(class, self.config.queue as usize)?;
        self.tell_next(queue.line());
        drop(queue);
        let waiting = Waiting { bulkhead: self.clone(), class, id, grant };
        self.hand_over();
        Some(waiting)
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
    class: Class,
    id: u64,
    grant: oneshot::Receiver<Grant>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = lock(&self.bulkhead.queue);
        queue.leave(self.class, self.id);
        self.bulkhead.tell_next(queue.line());
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

    /// Comes in, if there is room.
    fn enter(self: &Rc<Self>, class: Class) -> Option<Permit> {
        (self.shared.is_next(class) && self.shared.take(class)).then(|| Permit(self.clone()))
    }

    /// Comes in as soon as there is room, and waits for that no longer than it may, and than until `ends`.
    async fn wait(self: &Rc<Self>, class: Class, ends: Option<Time>) -> Result<Permit, Why> {
        let shared = &self.shared;
        match shared.wait(class, ends).await {
            Ok(mut grant) => {
                // From here on the permit gives the place back.
                grant.0 = None;
                Ok(Permit(self.clone()))
            }
            Err(why) => {
                shared.refused[class.rank()].fetch_add(1, Ordering::Relaxed);
                Err(why)
            }
        }
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
