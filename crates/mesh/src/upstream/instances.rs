//! Upstreams: their instances as all cores see them, and what one core keeps of each.
//!
//! Instances are published as a whole list with a version; a core looks at the version on every
//! request (one atomic load of a line that is hardly ever written) and fetches the list when it
//! has changed. Pools, latencies and in-flight counts belong to a core.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy::{PeakEwma, Time};
use tokio::sync::Notify;

use crate::call::bulkhead::Bulkhead;
use crate::call::guard::lock;
use crate::call::late::Late;
use crate::clock;
use crate::config;
use crate::spans::names::InstanceNames;
use crate::upstream::Sides;
use crate::upstream::http1::Connection;
use crate::upstream::pool::Pool;

/// For so long after it was taken out an instance counts as busy: a core that chose it in that very
/// moment may not have counted its request yet.
const LEAVING_MIN: Duration = Duration::from_millis(20);
/// First guess of an instance's latency where there are no others to go by.
const LATENCY_GUESS: Duration = Duration::from_millis(1);
/// Time in which a latency peak decays to 1/e (Finagle's default).
const LATENCY_DECAY: Duration = Duration::from_secs(10);

/// One instance that gets requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What people call it, such as `catalog-1`.
    pub id: String,
    /// By what a hashing balancer places it. Default its id. Of several with the same the one that was published
    /// last gets the keys.
    pub slot: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share among those of the same priority. Default 1; zero: next to none while another has more.
    pub weight: u16,
    /// Only those of the lowest that is well get requests. Default 0.
    pub priority: u16,
    /// Which origin of its external it belongs to. Default 0.
    pub origin: usize,
    /// Which place of [`config::Zones`] it is at. Default empty: none.
    pub place: String,
}

impl Endpoint {
    /// One among equals.
    pub fn new(id: impl Into<String>, address: SocketAddr) -> Endpoint {
        let id = id.into();
        Endpoint { slot: id.clone(), id, address, weight: 1, priority: 0, origin: 0, place: String::new() }
    }

    /// Whether the other is the same instance, whatever its rank.
    fn is(&self, other: &Endpoint) -> bool {
        let unranked = |one: &Endpoint| (one.address, one.origin);
        unranked(self) == unranked(other)
            && (&self.id, &self.slot, &self.place) == (&other.id, &other.slot, &other.place)
    }
}

/// An instance as all cores see it.
pub(crate) struct Instance {
    /// As first published; its rank may be another now.
    pub(crate) endpoint: Endpoint,
    weight: AtomicU16,
    priority: AtomicU16,
    /// Unique in the process, for the ejection machine; the later, the higher.
    pub(crate) key: u64,
    /// When it was first published.
    pub(crate) since: Time,
    in_flight: Box<[Count]>,
}

/// One core's count, on a cache line of its own.
#[repr(align(64))]
struct Count(AtomicUsize);

impl Instance {
    fn new(endpoint: Endpoint, cores: usize) -> Instance {
        static KEYS: AtomicU64 = AtomicU64::new(1);
        Instance {
            weight: AtomicU16::new(endpoint.weight),
            priority: AtomicU16::new(endpoint.priority),
            endpoint,
            key: KEYS.fetch_add(1, Ordering::Relaxed),
            since: clock::now(),
            in_flight: (0..cores).map(|_| Count(AtomicUsize::new(0))).collect(),
        }
    }

    pub(crate) fn weight(&self) -> u16 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(crate) fn priority(&self) -> u16 {
        self.priority.load(Ordering::Relaxed)
    }

    /// The same instance, at its new rank.
    fn ranked(self: &Arc<Self>, endpoint: &Endpoint) -> Arc<Self> {
        self.weight.store(endpoint.weight, Ordering::Relaxed);
        self.priority.store(endpoint.priority, Ordering::Relaxed);
        self.clone()
    }

    fn is_as(&self, endpoint: &Endpoint) -> bool {
        self.endpoint.is(endpoint) && (self.weight(), self.priority()) == (endpoint.weight, endpoint.priority)
    }

    /// Only ever called by the core itself, so a load and a store do.
    fn count(&self, core: usize, change: impl FnOnce(usize) -> usize) {
        let count = &self.in_flight[core].0;
        count.store(change(count.load(Ordering::Relaxed)), Ordering::Release);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.iter().map(|count| count.0.load(Ordering::Acquire)).sum()
    }
}

/// An upstream as all cores see it.
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) config: config::Upstream,
    /// How many requests may be in flight, whoever calls.
    pub(crate) bulkhead: Option<Arc<Bulkhead>>,
    cores: usize,
    version: AtomicU64,
    instances: Mutex<Instances>,
    changed: Notify,
    /// Why there are no instances, or none that are up to date.
    trouble: Mutex<Option<String>>,
}

struct Instances {
    live: Arc<Vec<Arc<Instance>>>,
    /// No longer published since then, maybe with requests under way.
    leaving: Vec<(Arc<Instance>, Time)>,
    /// When the last instance went, or the upstream came to be.
    empty_since: Time,
}

impl Upstream {
    pub(crate) fn new(name: &str, config: config::Upstream, cores: usize) -> Upstream {
        Upstream {
            name: name.to_owned(),
            bulkhead: config.concurrency.map(|config| Arc::new(Bulkhead::new(config, clock::now()))),
            config,
            cores,
            version: AtomicU64::new(0),
            instances: Mutex::new(Instances {
                live: Arc::default(),
                leaving: Vec::new(),
                empty_since: clock::now(),
            }),
            changed: Notify::new(),
            trouble: Mutex::new(None),
        }
    }

    /// Sets or clears what is wrong with finding instances.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        *lock(&self.trouble) = trouble;
    }

    /// What is wrong with finding instances, if something is.
    pub(crate) fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// The same upstream with another configuration, the instances it has, and who is in flight where that
    /// has the limit that it had.
    pub(crate) fn reconfigured(&self, config: config::Upstream) -> Upstream {
        let mut next = Upstream::new(&self.name, config, self.cores);
        if next.config.concurrency == self.config.concurrency {
            next.bulkhead = self.bulkhead.clone();
        }
        let mut instances = lock(&self.instances);
        let leaving = std::mem::take(&mut instances.leaving);
        *lock(&next.instances) =
            Instances { live: instances.live.clone(), leaving, empty_since: instances.empty_since };
        drop(instances);
        next.version.store(1, Ordering::Release);
        next
    }

    /// Replaces the instances; those that stay keep their state.
    pub(crate) fn publish(&self, endpoints: &[Endpoint]) {
        let mut instances = lock(&self.instances);
        let old = instances.live.clone();
        let live: Vec<_> = endpoints
            .iter()
            .map(|endpoint| match old.iter().find(|instance| instance.endpoint.is(endpoint)) {
                Some(instance) => instance.ranked(endpoint),
                None => Arc::new(Instance::new(endpoint.clone(), self.cores)),
            })
            .collect();
        let now = clock::now();
        instances.leaving.retain(|leaving| leaving.0.in_flight() > 0 || now.since(leaving.1) < LEAVING_MIN);
        let gone = old.iter().filter(|instance| !live.iter().any(|kept| Arc::ptr_eq(kept, instance)));
        instances.leaving.extend(gone.map(|instance| (instance.clone(), now)));
        if live.is_empty() && !old.is_empty() {
            instances.empty_since = now;
        }
        instances.live = Arc::new(live);
        self.version.fetch_add(1, Ordering::Release);
        drop(instances);
        self.changed.notify_waiters();
    }

    /// The same, unless these are the instances already.
    pub(crate) fn publish_if_changed(&self, endpoints: &[Endpoint]) {
        let live = self.live();
        if live.len() != endpoints.len()
            || live.iter().zip(endpoints).any(|(live, wanted)| !live.is_as(wanted))
        {
            self.publish(endpoints);
        }
    }

    pub(crate) fn live(&self) -> Arc<Vec<Arc<Instance>>> {
        lock(&self.instances).live.clone()
    }

    /// No instance is to be expected: whoever waits for one need not.
    pub(crate) fn give_up(&self) {
        lock(&self.instances).empty_since = Time::ZERO;
        self.changed.notify_waiters();
    }

    /// How long there has been no instance.
    pub(crate) fn empty_for(&self, now: Time) -> Duration {
        now.since(lock(&self.instances).empty_since)
    }

    /// Requests under way on an instance, published or leaving.
    pub(crate) fn in_flight(&self, id: &str) -> usize {
        let instances = lock(&self.instances);
        let live = instances.live.iter().filter(|instance| instance.endpoint.id == id);
        let leaving = instances.leaving.iter().filter(|(instance, _)| instance.endpoint.id == id);
        let now = clock::now();
        let recent = |since: Time| usize::from(now.since(since) < LEAVING_MIN);
        live.map(|instance| instance.in_flight()).sum::<usize>()
            + leaving.map(|(instance, since)| instance.in_flight().max(recent(*since))).sum::<usize>()
    }
}

/// An upstream as one core sees it.
pub(crate) struct LocalUpstream {
    pub(crate) shared: Arc<Upstream>,
    core: usize,
    version: Cell<u64>,
    instances: RefCell<Rc<Vec<Rc<LocalInstance>>>>,
    /// When the last of these was first published.
    newest: Cell<Time>,
    ranks: Cell<Ranks>,
    /// The instances by zone, where that makes a difference.
    sides: RefCell<Option<Rc<Sides>>>,
}

/// How the instances of a list differ in rank.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ranks {
    /// Some have another priority than others.
    pub(crate) tiered: bool,
    /// Some have another weight than others, and this is the largest.
    pub(crate) heaviest: Option<u16>,
    /// Some are in the own zone and others are not.
    pub(crate) zoned: bool,
}

impl Ranks {
    fn of(instances: &[Arc<Instance>], zoned: bool) -> Ranks {
        let differ =
            |rank: fn(&Instance) -> u16| instances.windows(2).any(|two| rank(&two[0]) != rank(&two[1]));
        let heaviest = instances.iter().map(|instance| instance.weight()).max();
        let heaviest = heaviest.filter(|_| differ(Instance::weight));
        Ranks { tiered: differ(Instance::priority), heaviest, zoned }
    }
}

/// An instance as one core sees it.
pub(crate) struct LocalInstance {
    pub(crate) shared: Arc<Instance>,
    pub(crate) pool: Pool,
    /// Nobody took the last connection that was tried.
    pub(crate) unreachable: Cell<bool>,
    /// What spans say of it.
    pub(crate) names: Arc<InstanceNames>,
    core: usize,
    latency: RefCell<PeakEwma>,
}

impl LocalUpstream {
    pub(crate) fn new(shared: Arc<Upstream>, core: usize) -> LocalUpstream {
        LocalUpstream {
            shared,
            core,
            version: Cell::new(0),
            instances: RefCell::default(),
            newest: Cell::new(Time::ZERO),
            ranks: Cell::default(),
            sides: RefCell::default(),
        }
    }

    /// The instances published last.
    pub(crate) fn instances(&self) -> Rc<Vec<Rc<LocalInstance>>> {
        let version = self.shared.version.load(Ordering::Acquire);
        if version != self.version.get() {
            self.refresh(version);
        }
        self.instances.borrow().clone()
    }

    /// Version of the list that [`LocalUpstream::instances`] gave last.
    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }

    /// When the youngest of these instances was first published.
    pub(crate) fn newest(&self) -> Time {
        self.newest.get()
    }

    pub(crate) fn ranks(&self) -> Ranks {
        self.ranks.get()
    }

    /// The instances by zone. None: there is nothing to prefer.
    pub(crate) fn sides(&self) -> Option<Rc<Sides>> {
        self.sides.borrow().clone()
    }

    fn refresh(&self, version: u64) {
        let old = self.instances.borrow().clone();
        let live = self.shared.live();
        let guess = typical_latency(&old);
        let fresh = live.iter().map(|shared| {
            match old.iter().find(|instance| Arc::ptr_eq(&instance.shared, shared)) {
                Some(instance) => instance.clone(),
                None => Rc::new(LocalInstance::new(shared.clone(), self.core, guess)),
            }
        });
        *self.instances.borrow_mut() = Rc::new(fresh.collect());
        let endpoints = live.iter().map(|instance| &instance.endpoint);
        let sides = Sides::of(self.shared.config.zones.as_ref(), endpoints);
        self.ranks.set(Ranks::of(&live, sides.is_some()));
        *self.sides.borrow_mut() = sides.map(Rc::new);
        self.newest.set(live.iter().map(|instance| instance.since).max().unwrap_or(Time::ZERO));
        self.version.set(version);
    }

    /// Resolves when an instance is published, or when none has been for `patience`: false then.
    pub(crate) async fn some_instance(&self, patience: Duration) -> bool {
        loop {
            let changed = self.shared.changed.notified();
            if !self.instances().is_empty() {
                return true;
            }
            let left = patience.saturating_sub(self.shared.empty_for(clock::now()));
            if left.is_zero() {
                return false;
            }
            let _ = tokio::time::timeout(left, changed).await;
        }
    }

    /// Closes connections that nobody has used lately.
    pub(crate) fn sweep(&self, now: Time) {
        for instance in self.instances().iter() {
            instance.pool.sweep(now);
        }
    }
}

impl LocalInstance {
    fn new(shared: Arc<Instance>, core: usize, guess: Duration) -> LocalInstance {
        let latency = PeakEwma::new(clock::now(), guess, LATENCY_DECAY);
        LocalInstance {
            names: InstanceNames::new(&shared.endpoint),
            shared,
            pool: Pool::default(),
            unreachable: Cell::new(false),
            core,
            latency: RefCell::new(latency),
        }
    }

    /// The expected wait, for one that may bear as much as its weight says.
    pub(crate) fn load(&self, now: Time, weight: f64) -> f64 {
        self.latency.borrow().weighted_load(now, weight)
    }

    /// Requests that this core has under way at it.
    pub(crate) fn in_flight(&self) -> u32 {
        self.latency.borrow().in_flight()
    }

    /// What the balancer learns of a try that was given up after a while: if it is slower than it was
    /// taken to be.
    pub(crate) fn slower_than(&self, waited: Duration) -> Option<Duration> {
        (waited > self.latency.borrow().latency()).then_some(waited)
    }

    /// Counts a request in until the lease ends.
    pub(crate) fn lease(self: &Rc<Self>, now: Time) -> Lease {
        self.latency.borrow_mut().begin(now);
        self.shared.count(self.core, |count| count + 1);
        Lease { instance: self.clone(), place: None, latency: None, late: None }
    }
}

/// What a newcomer is taken to be like: a guess far above the others' latency would starve it, one
/// far below would flood it.
fn typical_latency(others: &[Rc<LocalInstance>]) -> Duration {
    let all: Duration = others.iter().map(|instance| instance.latency.borrow().latency()).sum();
    match u32::try_from(others.len()) {
        Ok(count) if count > 0 => all / count,
        _ => LATENCY_GUESS,
    }
}

/// One request's hold on an instance.
pub(crate) struct Lease {
    pub(crate) instance: Rc<LocalInstance>,
    /// The request's place in its call's bulkhead, once its answer is on its way to the client.
    pub(crate) place: Option<crate::call::Place>,
    /// Sample for the balancer. None: there is none to learn from.
    pub(crate) latency: Option<Duration>,
    /// What is to be told when the answer has ended.
    pub(crate) late: Option<Box<Late>>,
}

impl Lease {
    /// The connection can carry another request.
    pub(crate) fn keep(&self, connection: Connection) {
        self.instance.pool.put(connection, clock::now());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.latency.borrow_mut().end(clock::now(), self.latency);
        self.instance.shared.count(self.instance.core, |count| count.saturating_sub(1));
    }
}
