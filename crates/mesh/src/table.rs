//! The configuration in force: shared state of calls and upstreams, carried over from one
//! configuration to the next where it is still about the same thing.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::call::{CallState, LocalCall, limit};
use crate::config::{self, Config, Fallback, Limits, Role, Tls};
use crate::request::route::Matcher;
use crate::request::split::Target;
use crate::spans::names::Place;
use crate::upstream::{LocalUpstream, Upstream};

/// What all cores share.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) config: Config,
    pub(crate) upstreams: BTreeMap<String, Arc<Upstream>>,
    /// By [`config::Call::id`], fallbacks included.
    pub(crate) calls: BTreeMap<String, Arc<CallState>>,
    /// What each side of a split gets, 0 to 1, by its call's id.
    pub(crate) shares: BTreeMap<String, f64>,
    /// Connections that are open, by listener.
    open: BTreeMap<String, Arc<AtomicUsize>>,
}

impl Table {
    /// The table for `config`, taking over what `old` has of the same kind.
    ///
    /// # Errors
    /// A sentence, if a call names an upstream that is not there or a call's id comes twice.
    pub(crate) fn new(config: Config, old: &Table, cores: usize) -> Result<Table, String> {
        let mut upstreams = BTreeMap::new();
        for (name, wanted) in &config.upstreams {
            let upstream = match old.upstreams.get(name) {
                Some(same) if same.config == *wanted => same.clone(),
                Some(other) if other.config.external.is_none() && wanted.external.is_none() => {
                    Arc::new(other.reconfigured(wanted.clone()))
                }
                _ => Arc::new(Upstream::new(name, wanted.clone(), cores)),
            };
            upstreams.insert(name.clone(), upstream);
        }
        let (mut calls, mut shares) = (BTreeMap::new(), BTreeMap::new());
        for whole in config.listeners.values().flat_map(|listener| listener.role.calls()) {
            let limits = limits(whole, old);
            shares.extend(shares_of(whole)?);
            for call in whole.sides() {
                if !upstreams.contains_key(&call.upstream) {
                    return Err(format!(
                        "the call `{}` goes to `{}`, which is no upstream",
                        call.id, call.upstream
                    ));
                }
                let call = call.alone();
                let state = match old.calls.get(&call.id) {
                    Some(same) if same.config == call => same.clone(),
                    _ => Arc::new(CallState::new(call.clone(), limits.clone(), cores)),
                };
                if let Some(other) = calls.insert(call.id.clone(), state)
                    && other.config != call
                {
                    return Err(format!("two calls have the id `{}`", call.id));
                }
            }
        }
        let open = config.listeners.keys().map(|name| {
            let open = old.open.get(name).cloned().unwrap_or_default();
            (name.clone(), open)
        });
        let open = open.collect();
        Ok(Table { config, upstreams, calls, shares, open })
    }
}

/// The rate limits that all sides of a call share: where one of them goes on, with what it has counted.
fn limits(call: &config::Call, old: &Table) -> Arc<limit::Limits> {
    let before = call.sides().filter_map(|side| old.calls.get(&side.id));
    let same = before.into_iter().find(|before| before.config.limits == call.limits);
    same.map_or_else(|| Arc::new(limit::Limits::new(&call.limits)), |same| same.limits.clone())
}

/// What each side of a call gets, by id. Nothing, if it has no others.
fn shares_of(call: &config::Call) -> Result<Vec<(String, f64)>, String> {
    let Some(split) = &call.split else { return Ok(Vec::new()) };
    let others = split.others.iter().map(|(part, _)| part.weight);
    let weights: Vec<u64> = std::iter::once(split.first.weight).chain(others).collect();
    let shares = policy::Split::new(&weights).map_err(|why| format!("the call `{}`: {why}", call.id))?;
    Ok(call.sides().enumerate().map(|(side, one)| (one.id.clone(), shares.share(side))).collect())
}

impl Role {
    /// Every call that can be made through it, with those that it shares its requests with, and fallbacks.
    fn calls(&self) -> Vec<&config::Call> {
        let direct: Vec<&config::Call> = match self {
            Role::Gateway { routes } => routes.iter().map(|route| &route.call).collect(),
            Role::Call { call, .. } => vec![call],
            Role::Sidecar { calls, .. } => calls.values().collect(),
        };
        let sides = direct.iter().flat_map(|call| call.sides());
        let fallbacks = sides.filter_map(|call| match &call.fallback {
            Some(Fallback::Call(call)) => Some(call.as_ref()),
            _ => None,
        });
        fallbacks.chain(direct.iter().copied()).collect()
    }
}

/// What one core has of a table.
#[derive(Default)]
pub(crate) struct LocalTable {
    shared: Arc<Table>,
    pub(crate) listeners: BTreeMap<String, Rc<LocalListener>>,
    pub(crate) upstreams: BTreeMap<String, Rc<LocalUpstream>>,
    calls: BTreeMap<String, Rc<LocalCall>>,
}

/// A listener as one core serves it.
pub(crate) struct LocalListener {
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Tls>,
    pub(crate) role: LocalRole,
    /// Its connections over all cores.
    pub(crate) open: Arc<AtomicUsize>,
    /// What spans say of it.
    pub(crate) place: Arc<Place>,
}

/// A [`Role`] with its calls at hand.
pub(crate) enum LocalRole {
    Gateway { routes: Vec<LocalRoute> },
    Call { to: Target },
    Sidecar { caller: String, calls: BTreeMap<String, Target>, known: Vec<String> },
}

/// A route as one core serves it.
pub(crate) struct LocalRoute {
    pub(crate) matcher: Matcher,
    pub(crate) rewrite: Option<config::Pattern>,
    pub(crate) to: Target,
    pub(crate) place: Arc<Place>,
}

impl LocalTable {
    pub(crate) fn new(shared: Arc<Table>, old: &LocalTable, core: usize) -> LocalTable {
        let mut table = LocalTable { shared: shared.clone(), ..LocalTable::default() };
        for (name, upstream) in &shared.upstreams {
            let local = match old.upstreams.get(name) {
                Some(same) if Arc::ptr_eq(&same.shared, upstream) => same.clone(),
                _ => Rc::new(LocalUpstream::new(upstream.clone(), core)),
            };
            table.upstreams.insert(name.clone(), local);
        }
        for (name, listener) in &shared.config.listeners {
            let place = Place::new(listener);
            let role = table.role(&listener.role, &place, old, core);
            let open = shared.open[name].clone();
            let (limits, tls) = (listener.limits.clone(), listener.tls.clone());
            let local = LocalListener { limits, tls, role, open, place };
            table.listeners.insert(name.clone(), Rc::new(local));
        }
        table
    }

    fn role(&mut self, role: &Role, place: &Place, old: &LocalTable, core: usize) -> LocalRole {
        match role {
            Role::Gateway { routes } => LocalRole::Gateway {
                routes: routes
                    .iter()
                    .filter_map(|route| {
                        let matcher = Matcher::new(&route.matcher)?;
                        let to = self.target(&route.call, old, core);
                        let place = place.route(&route.matcher.path);
                        Some(LocalRoute { matcher, rewrite: route.rewrite.clone(), to, place })
                    })
                    .collect(),
            },
            Role::Call { call, .. } => LocalRole::Call { to: self.target(call, old, core) },
            Role::Sidecar { caller, calls, known } => LocalRole::Sidecar {
                caller: caller.clone(),
                calls: calls
                    .iter()
                    .map(|(name, call)| (name.clone(), self.target(call, old, core)))
                    .collect(),
                known: known.clone(),
            },
        }
    }

    fn target(&mut self, call: &config::Call, old: &LocalTable, core: usize) -> Target {
        Target::new(call, |call| self.call(call, old, core))
    }

    fn call(&mut self, call: &config::Call, old: &LocalTable, core: usize) -> Rc<LocalCall> {
        if let Some(local) = self.calls.get(&call.id) {
            return local.clone();
        }
        let state = self.shared.calls[&call.id].clone();
        let upstream = self.upstreams[&call.upstream].clone();
        let fallback = match &call.fallback {
            Some(Fallback::Call(other)) => Some(self.call(other, old, core)),
            _ => None,
        };
        let local = match old.calls.get(&call.id) {
            Some(same)
                if Arc::ptr_eq(&same.state, &state)
                    && Rc::ptr_eq(&same.upstream, &upstream)
                    && same.fallback.as_ref().map(Rc::as_ptr) == fallback.as_ref().map(Rc::as_ptr) =>
            {
                same.clone()
            }
            _ => Rc::new(LocalCall::new(state, upstream, fallback, core)),
        };
        self.calls.insert(call.id.clone(), local.clone());
        local
    }
}
