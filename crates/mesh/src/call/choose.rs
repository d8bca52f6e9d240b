//! Which instance gets a try: held for while there is none, never one that is ejected or has just failed
//! where there is a choice, and otherwise as the balancer says.

use std::rc::Rc;
use std::time::Duration;

use policy::{Open, Outcome, Time};

use super::LocalCall;
use super::attempt::Lost;
use super::balance::Seen;
use crate::clock;
use crate::core::Core;
use crate::request::problem::Kind;
use crate::upstream::LocalInstance;

/// So long after its last instance went, requests for an upstream are held, such as during a
/// restart; then they fail at once.
pub const HOLD_MAX: Duration = Duration::from_secs(3);

/// An instance for this try, and the time by then: not ejected and none that just failed, where there is
/// a choice.
pub(super) async fn pick(
    core: &Core,
    call: &LocalCall,
    mut now: Time,
    avoid: &[u64],
    key: Option<u64>,
) -> Result<(Rc<LocalInstance>, Time), Lost> {
    let mut instances = call.upstream.instances();
    if instances.is_empty() {
        Box::pin(hold(call)).await?;
        now = clock::now();
        instances = call.upstream.instances();
    }
    let out = ejected(call, &instances, now);
    let only;
    let ranks = call.upstream.ranks();
    let whole = out.is_empty() && avoid.is_empty() && !ranks.tiered;
    let open = if instances.len() == 1 || whole {
        Open::All(instances.len())
    } else {
        only = open(&instances, &out, avoid);
        Open::Only(&only)
    };
    let starting = call.balancer.as_ref().and_then(|balancer| balancer.starting(&call.upstream, now));
    let seen = Seen { instances: &instances, open, now, starting, heaviest: ranks.heaviest };
    let mut rng = core.rng.borrow_mut();
    let chosen = match &call.balancer {
        None => seen.choose(&mut rng),
        Some(balancer) => balancer.choose(&mut rng, &call.upstream, &seen, key),
    };
    match chosen {
        Some(at) => Ok((instances[at].clone(), now)),
        None => {
            let detail = format!("{} has no instance that is ready", call.state.config.upstream);
            Err((Outcome::NotSent, Kind::NoInstance, detail))
        }
    }
}

/// Positions of the instances that are well and not to be avoided; of all that are well if there are
/// none, and of all there are if there are none of these. Of these, only the lowest priority that there is.
fn open(instances: &[Rc<LocalInstance>], out: &[u64], avoid: &[u64]) -> Vec<usize> {
    let all = || 0..instances.len();
    let key = |at: usize| instances[at].shared.key;
    let well: Vec<usize> = all().filter(|at| !out.contains(&key(*at))).collect();
    let fresh: Vec<usize> = well.iter().copied().filter(|at| !avoid.contains(&key(*at))).collect();
    let mut open = match (fresh.is_empty(), well.is_empty()) {
        (false, _) => fresh,
        (true, false) => well,
        (true, true) => all().collect(),
    };
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
