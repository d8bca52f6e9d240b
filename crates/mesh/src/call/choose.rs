//! Which instance gets a try: held for while there is none, never one that is ejected or has just failed
//! where there is a choice, in the node's own zone as far as that is preferred, and otherwise as the balancer
//! says.

use std::rc::Rc;
use std::time::Duration;

use policy::{Open, Outcome, Time};

use super::attempt::Lost;
use super::balance::Seen;
use super::zone::Near;
use super::{LocalCall, Outgoing};
use crate::clock;
use crate::core::Core;
use crate::request::problem::Kind;
use crate::spans::Trying;
use crate::upstream::LocalInstance;

/// So long after its last instance went, requests for an upstream are held, such as during a
/// restart; then they fail at once.
pub const HOLD_MAX: Duration = Duration::from_secs(3);

/// An instance for this try, and the time by then: not ejected and none that just failed, where there is
/// a choice.
pub(super) async fn pick(
    core: &Core,
    call: &LocalCall,
    outgoing: &Outgoing<'_>,
    noted: Trying,
    mut now: Time,
    avoid: &[u64],
) -> Result<(Rc<LocalInstance>, Time), Lost> {
    let mut instances = call.upstream.instances();
    if instances.is_empty() {
        let held = Box::pin(hold(call)).await;
        let began = std::mem::replace(&mut now, clock::now());
        held.inspect_err(|_| outgoing.trace.held(noted, now.since(began)))?;
        instances = call.upstream.instances();
    }
    let out = ejected(call, &instances, now);
    if !out.is_empty() {
        outgoing.trace.ejected(noted, out.len());
    }
    let key = outgoing.key;
    let near = if call.upstream.ranks().zoned { Near::of(call) } else { None };
    let choice = Choice { core, call, instances: &instances, out: &out, avoid, now, key };
    let chosen = match near {
        None => choice.anywhere(),
        Some(near) => choice.near(&near),
    };
    match chosen {
        Some(at) => Ok((instances[at].clone(), now)),
        None => {
            let detail = format!("{} has no instance that is ready", call.state.config.upstream);
            Err((Outcome::NotSent, Kind::NoInstance, detail))
        }
    }
}

/// What one instance is chosen by.
struct Choice<'a> {
    core: &'a Core,
    call: &'a LocalCall,
    instances: &'a [Rc<LocalInstance>],
    /// Keys of the ejected ones.
    out: &'a [u64],
    avoid: &'a [u64],
    now: Time,
    key: Option<u64>,
}

impl Choice<'_> {
    fn anywhere(&self) -> Option<usize> {
        if self.instances.len() == 1 || self.is_even() {
            return self.among(Open::All(self.instances.len()));
        }
        self.among(Open::Only(&best(self.instances, self.open())))
    }

    /// On the side of the zone's border where this try shall go, as far as somebody is there.
    fn near(&self, near: &Near) -> Option<usize> {
        let chosen = match near.stays(self.core, self.instances, self.out, self.key) {
            None => self.anywhere(),
            Some(own) if self.is_even() => self.among(Open::Only(near.side(own))),
            Some(own) => self.among(Open::Only(&best(self.instances, near.narrow(self.open(), own)))),
        };
        if let Some(at) = chosen {
            near.count(self.call, at);
        }
        chosen
    }

    /// All are as good as one another, but for what the balancer knows.
    fn is_even(&self) -> bool {
        self.out.is_empty() && self.avoid.is_empty() && !self.call.upstream.ranks().tiered
    }

    /// Positions of the instances that are well and not to be avoided; of all that are well if there are
    /// none, and of all there are if there are none of these.
    fn open(&self) -> Vec<usize> {
        let all = || 0..self.instances.len();
        let key = |at: usize| self.instances[at].shared.key;
        let well: Vec<usize> = all().filter(|at| !self.out.contains(&key(*at))).collect();
        let fresh: Vec<usize> = well.iter().copied().filter(|at| !self.avoid.contains(&key(*at))).collect();
        match (fresh.is_empty(), well.is_empty()) {
            (false, _) => fresh,
            (true, false) => well,
            (true, true) => all().collect(),
        }
    }

    /// As the balancer says.
    fn among(&self, open: Open<'_>) -> Option<usize> {
        let Choice { call, instances, now, .. } = *self;
        let starting = call.balancer.as_ref().and_then(|balancer| balancer.starting(&call.upstream, now));
        let seen = Seen { instances, open, now, starting, heaviest: call.upstream.ranks().heaviest };
        let mut rng = self.core.rng.borrow_mut();
        match &call.balancer {
            None => seen.choose(&mut rng),
            Some(balancer) => balancer.choose(&mut rng, &call.upstream, &seen, self.key),
        }
    }
}

/// Of these only the lowest priority that there is.
fn best(instances: &[Rc<LocalInstance>], mut open: Vec<usize>) -> Vec<usize> {
    let priority = |at: usize| instances[at].shared.priority();
    if let Some(lowest) = open.iter().map(|at| priority(*at)).min() {
        open.retain(|at| priority(*at) == lowest);
    }
    open
}

/// Waits for an instance as long as one may be expected soon: an upstream that has had none for
/// longer fails at once.
async fn hold(call: &LocalCall) -> Result<(), Lost> {
    if call.upstream.some_instance(HOLD_MAX).await {
        return Ok(());
    }
    let upstream = &call.state.config.upstream;
    let detail = match call.upstream.shared.trouble() {
        Some(trouble) => format!("{upstream} has no address: {trouble}"),
        None => format!("{upstream} has had no instance that is ready for a while"),
    };
    Err((Outcome::NotSent, Kind::NoInstance, detail))
}

/// Keys of the ejected instances.
fn ejected(call: &LocalCall, instances: &Rc<Vec<Rc<LocalInstance>>>, now: Time) -> Vec<u64> {
    let Some(ejection) = &call.state.ejection else { return Vec::new() };
    let version = call.upstream.version();
    if call.told.get() != version {
        let keys: Vec<u64> = instances.iter().map(|instance| instance.shared.key).collect();
        ejection.set_instances(&keys);
        call.told.set(version);
    }
    ejection.ejected(now).into_iter().map(|(key, _)| key).collect()
}
