//! Where an external is: names are asked for again when their answer has run out, and what was found is
//! published.
//!
//! An answer that fails keeps the addresses of the one before: stale is better than none. The same holds
//! for each target of a service that is found by SRV.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::call::guard::lock;
use crate::config::{External, Origin};
use crate::upstream::dns::{Dns, Target};
use crate::upstream::{Endpoint, Upstream};

/// Shortest time between two answers: a TTL of nothing must not keep us asking.
const TTL_MIN: Duration = Duration::from_secs(1);
/// Longest time: a name that moves is followed within it, whatever was promised. `/etc/hosts` promises a day.
const TTL_MAX: Duration = Duration::from_secs(60);
/// How soon again after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// Most instances of one name; the first by address are taken.
const INSTANCES_MAX: usize = 256;

/// Publishes an external's addresses for as long as the upstream is in use.
pub(crate) fn keep_resolved(upstream: &Arc<Upstream>, external: &External) {
    let slots = external.origins.iter().map(|_| Slot::default()).collect();
    let board = Arc::new(Board { upstream: Arc::downgrade(upstream), slots: Mutex::new(slots) });
    for (at, origin) in external.origins.iter().enumerate() {
        let search = Search {
            at,
            origin: origin.clone(),
            servers: external.resolver.clone(),
            alone: external.origins.len() == 1,
            dns: None,
            known: BTreeMap::new(),
        };
        match origin.host.parse::<IpAddr>() {
            Ok(ip) if origin.srv.is_none() => {
                let endpoints = search.endpoints(&origin.host, origin.port, &[ip]);
                board.post(at, Ok(Found { endpoints, ttl: TTL_MAX, trouble: None }));
            }
            _ => drop(tokio::spawn(keep(board.clone(), search))),
        }
    }
}

async fn keep(board: Arc<Board>, mut search: Search) {
    loop {
        let found = search.look().await;
        let wait = match &found {
            Ok(Found { trouble: None, ttl, .. }) => (*ttl).clamp(TTL_MIN, TTL_MAX),
            _ => RETRY,
        };
        if !board.post(search.at, found) {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

/// What is known of each origin of an upstream.
struct Board {
    upstream: Weak<Upstream>,
    slots: Mutex<Vec<Slot>>,
}

#[derive(Default)]
struct Slot {
    /// There was an answer, or the lack of one.
    asked: bool,
    endpoints: Vec<Endpoint>,
    trouble: Option<String>,
}

impl Board {
    /// Takes on what was found for one origin and publishes what is known of all. False: nobody wants to
    /// know any more.
    fn post(&self, at: usize, found: Result<Found, String>) -> bool {
        let Some(upstream) = self.upstream.upgrade() else { return false };
        let mut slots = lock(&self.slots);
        let slot = &mut slots[at];
        slot.asked = true;
        match found {
            Ok(found) => {
                slot.endpoints = found.endpoints;
                slot.trouble = found.trouble;
            }
            Err(trouble) if slot.endpoints.is_empty() => slot.trouble = Some(trouble),
            Err(trouble) => slot.trouble = Some(format!("{trouble}; the addresses of before are kept")),
        }
        let troubles: Vec<&str> = slots.iter().filter_map(|slot| slot.trouble.as_deref()).collect();
        upstream.set_trouble((!troubles.is_empty()).then(|| troubles.join("; ")));
        let endpoints: Vec<Endpoint> = slots.iter().flat_map(|slot| slot.endpoints.iter().cloned()).collect();
        if !endpoints.is_empty() {
            upstream.publish_if_changed(&endpoints);
        } else if slots.iter().all(|slot| slot.asked) {
            upstream.give_up();
        }
        true
    }
}

/// Looks for the instances of one origin.
struct Search {
    at: usize,
    origin: Origin,
    servers: Vec<SocketAddr>,
    /// The external has no other origin.
    alone: bool,
    /// None: to be made anew, by what the machine's files say then.
    dns: Option<Dns>,
    /// Addresses of targets as last found.
    known: BTreeMap<String, Vec<IpAddr>>,
}

struct Found {
    endpoints: Vec<Endpoint>,
    ttl: Duration,
    /// Why some of them may be out of date.
    trouble: Option<String>,
}

impl Search {
    async fn look(&mut self) -> Result<Found, String> {
        let dns = match self.dns.take() {
            Some(dns) => dns,
            None => Dns::new(&self.servers)?,
        };
        let found = match &self.origin.srv {
            None => self.by_address(&dns).await,
            Some(name) => {
                let targets = dns.services(name).await?;
                self.by_target(&dns, targets.found, targets.ttl).await
            }
        };
        self.dns = found.as_ref().is_ok_and(|found| found.trouble.is_none()).then_some(dns);
        found
    }

    async fn by_address(&self, dns: &Dns) -> Result<Found, String> {
        let answer = dns.addresses(&self.origin.host).await?;
        let endpoints = self.endpoints(&self.origin.host, self.origin.port, &reachable(answer.found));
        Ok(Found { endpoints, ttl: answer.ttl, trouble: None })
    }

    async fn by_target(
        &mut self,
        dns: &Dns,
        mut targets: Vec<Target>,
        mut ttl: Duration,
    ) -> Result<Found, String> {
        let mut known = BTreeMap::new();
        let mut troubles = Vec::new();
        let mut endpoints = Vec::new();
        targets.sort_by(|a, b| (a.priority, &a.host, a.port).cmp(&(b.priority, &b.host, b.port)));
        // One that is listed twice counts once, at its best.
        let mut seen = BTreeSet::new();
        targets.retain(|target| seen.insert((target.host.clone(), target.port)));
        targets.truncate(INSTANCES_MAX);
        for target in &targets {
            if !known.contains_key(&target.host) {
                let before = self.known.remove(&target.host);
                let addresses = match (dns.addresses(&target.host).await, before) {
                    (Ok(answer), _) => {
                        ttl = ttl.min(answer.ttl);
                        reachable(answer.found)
                    }
                    (Err(trouble), before) => {
                        troubles.push(trouble);
                        before.unwrap_or_default()
                    }
                };
                known.insert(target.host.clone(), addresses);
            }
            let found = self.endpoints(&target.host, target.port, &known[&target.host]);
            let (priority, weight) = (target.priority, target.weight);
            endpoints.extend(found.into_iter().map(|found| Endpoint { priority, weight, ..found }));
        }
        self.known = known;
        endpoints.truncate(INSTANCES_MAX);
        let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
        match trouble {
            Some(trouble) if endpoints.is_empty() => Err(trouble),
            trouble => Ok(Found { endpoints, ttl, trouble }),
        }
    }

    /// The instances behind a name. The only one of several names is called by its name, which it keeps
    /// when it moves; others are called by their addresses.
    fn endpoints(&self, host: &str, port: u16, addresses: &[IpAddr]) -> Vec<Endpoint> {
        let named = addresses.len() == 1 && (self.origin.srv.is_some() || !self.alone);
        let place = self.origin.place();
        let endpoint = |ip: &IpAddr| {
            let address = SocketAddr::new(*ip, port);
            let id = if named { format!("{host}:{port}") } else { address.to_string() };
            Endpoint { origin: self.at, place: place.clone(), ..Endpoint::new(id, address) }
        };
        addresses.iter().take(INSTANCES_MAX).map(endpoint).collect()
    }
}

/// Without those of a family that this machine has no way to, where there are others. Nothing is sent: a
/// socket for datagrams that is connected has only looked for a route.
fn reachable(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    if addresses.iter().all(IpAddr::is_ipv4) || addresses.iter().all(IpAddr::is_ipv6) {
        return addresses;
    }
    let has_route = |ip: &IpAddr| {
        let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
        UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((*ip, 9))).is_ok()
    };
    let with_route: Vec<IpAddr> = addresses.iter().copied().filter(has_route).collect();
    if with_route.is_empty() { addresses } else { with_route }
}
