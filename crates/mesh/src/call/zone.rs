//! Whether a try stays in the zone of the node, for upstreams that have instances on both sides of its border.

use std::rc::Rc;

use policy::ZonePreference;
use policy::balance::zone;

use crate::call::LocalCall;
use crate::core::Core;
use crate::upstream::{LocalInstance, Sides};

/// What a choice that prefers its zone goes by.
pub(super) struct Near {
    preference: ZonePreference,
    sides: Rc<Sides>,
}

impl Near {
    /// None: nothing is preferred.
    pub(super) fn of(call: &LocalCall) -> Option<Near> {
        Some(Near { preference: call.state.config.balance.zone?, sides: call.upstream.sides()? })
    }

    /// Whether this try stays, of the instances those in `out` being ejected. None: it may go anywhere.
    pub(super) fn stays(
        &self,
        core: &Core,
        instances: &[Rc<LocalInstance>],
        out: &[u64],
        key: Option<u64>,
    ) -> Option<bool> {
        let (own, elsewhere) = self.sides.health(|at| !out.contains(&instances[at].shared.key));
        let share = self.preference.share(own, elsewhere)?;
        Some(zone::stays(share, &mut core.rng.borrow_mut(), key))
    }

    /// Every position on one side.
    pub(super) fn side(&self, own: bool) -> &[usize] {
        if own { &self.sides.own } else { &self.sides.elsewhere }
    }

    /// Those of `open` that are on one side, or on the other if there are none.
    pub(super) fn narrow(&self, open: Vec<usize>, own: bool) -> Vec<usize> {
        let side = self.side(own);
        let narrowed: Vec<usize> = open.iter().copied().filter(|at| side.binary_search(at).is_ok()).collect();
        if narrowed.is_empty() { open } else { narrowed }
    }

    /// Counts a try that leaves the zone.
    pub(super) fn count(&self, call: &LocalCall, chosen: usize) {
        if self.sides.elsewhere.binary_search(&chosen).is_ok() {
            call.tally().elsewhere.add(1);
        }
    }
}
