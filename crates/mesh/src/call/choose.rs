//! Which instance gets a try: held for while there is none, never one that is ejected or has just failed
//! where there is a choice, and otherwise as the balancer says.

use std::rc::Rc;
use std::time::Duration;

use policy::{Outcome, Time};

use super::LocalCall;
use super::attempt::Lost;
use crate::clock;
use crate::core::Core;
use crate::request::problem::Kind;
use crate::upstream::LocalInstance;

/// So long after its last instance went, requests for an upstream are held, such as during a
/// restart; then they fail at once.
const HOLD_MAX: Duration = Duration::from_secs(3);

/// An instance for this try, and the time by then: not ejected and not the one that just failed, where
/// there is a choice.
pub(super) async fn pick(
    core: &Core,
    call: &LocalCall,
    mut now: Time,
    avoid: Option<u64>,
) -> Result<(Rc<LocalInstance>, Time), Lost> {
    let mut instances = call.upstream.instances();
    if instances.is_empty() {
        hold(call).await?;
        now = clock::now();
        instances = call.upstream.instances();
    }
    let load = |at: usize| instances[at].load(now);
    let mut rng = core.rng.borrow_mut();
    let out = ejected(call, &instances, now);
    let chosen = if instances.len() == 1 || (out.is_empty() && avoid.is_none()) {
        policy::choose(&mut rng, instances.len(), load)
    } else {
        let healthy: Vec<usize> =
            (0..instances.len()).filter(|at| !out.contains(&instances[*at].shared.key)).collect();
        let fresh: Vec<usize> =
            healthy.iter().copied().filter(|at| Some(instances[*at].shared.key) != avoid).collect();
        let among = if fresh.is_empty() { healthy } else { fresh };
        match policy::choose(&mut rng, among.len(), |at| load(among[at])) {
            Some(at) => Some(among[at]),
            None => policy::choose(&mut rng, instances.len(), load),
        }
    };
    match chosen {
        Some(at) => Ok((instances[at].clone(), now)),
        None => {
            let detail = format!("{} has no instance that is ready", call.state.config.upstream);
            Err((Outcome::NotSent, Kind::NoInstance, detail))
        }
    }
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
