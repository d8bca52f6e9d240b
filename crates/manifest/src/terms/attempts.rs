//! How many tries one request can become: what each call tries again multiplies with what the calls above
//! and below it try again, which is how a slow database gets sixty-four times its load (Ulrich, "Addressing
//! Cascading Failures", in Beyer et al., "Site Reliability Engineering", 2016, chapter 22).
//!
//! A call multiplies what is below it only if it tries again what comes back from there: answers, or tries
//! that took too long. Lost connections are of the callee's own making.

use std::collections::BTreeMap;

use super::route_name;
use super::worst::{repeats, tries};
use crate::valid::{Call, CallPolicies, Condition, Manifest, Route};

/// What one request can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// The calls, one made by the callee of the other, on which it becomes most tries.
    pub way: Vec<Hop>,
    /// So many at the end of that: the product of the tries of each.
    pub most: u64,
    /// Whether that is more than a system in trouble should get.
    pub storm: bool,
}

/// A call on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// `checkout -> payments`, or the route.
    pub call: String,
    /// Who is called.
    pub to: String,
    /// The most tries of one request: of the last call for any reason, of the others for what fails below.
    pub tries: u32,
}

/// From a route down, through any of these who answer.
pub(super) fn of_route(manifest: &Manifest, route: &Route, answering: &[&str]) -> Attempts {
    let mut below = Search::new(below(manifest));
    worst(answering.iter().map(|to| Step::route(manifest, route, to).before(below.most(to))))
}

/// Through a declared call, from wherever its caller is called.
pub(super) fn of_call(manifest: &Manifest, caller: &str, callee: &str, call: &Call) -> Attempts {
    let mut way = Search::new(above(manifest)).most(caller);
    way.reverse();
    let mut below = Search::new(below(manifest));
    let ways = call.answering().into_iter();
    let ways = ways.map(|to| Step::call(caller, callee, to, &call.policies).before(below.most(to)));
    worst(ways.map(|further| [way.clone(), further].concat()))
}

/// Of the ways that a request may take, the one on which it becomes most tries.
fn worst(ways: impl Iterator<Item = Vec<Hop>>) -> Attempts {
    let first_of_most =
        |best: Vec<Hop>, way: Vec<Hop>| if product(&way) > product(&best) { way } else { best };
    attempts(ways.reduce(first_of_most).unwrap_or_default())
}

fn attempts(way: Vec<Hop>) -> Attempts {
    let most = product(&way);
    Attempts { way, most, storm: most > ATTEMPTS_MANY }
}

fn product(way: &[Hop]) -> u64 {
    way.iter().fold(1, |product: u64, hop| product.saturating_mul(u64::from(hop.tries)))
}

/// A call with what it does about failures.
#[derive(Clone)]
struct Step {
    call: String,
    to: String,
    /// The most tries of one request.
    tries: u32,
    /// The same where the callee is well, but something below it is not.
    again: u32,
}

impl Step {
    /// A call that is named for `callee` and answered by `to`.
    fn call(caller: &str, callee: &str, to: &str, policies: &CallPolicies) -> Step {
        Step::new(format!("{caller} -> {callee}"), to, policies)
    }

    fn route(manifest: &Manifest, route: &Route, to: &str) -> Step {
        Step::new(format!("gateway {}", route_name(manifest, route)), to, &route.policies)
    }

    fn new(call: String, to: &str, policies: &CallPolicies) -> Step {
        let tries = tries(policies);
        // What failed below comes as an answer, or too late; and whatever is slow below is hedged here.
        let below = repeats(policies, &[Condition::Statuses, Condition::Timeout]);
        let again = if below { tries } else { 1 + policies.hedges_most() };
        Step { call, to: to.to_owned(), tries, again }
    }

    fn hop(&self, tries: u32) -> Hop {
        Hop { call: self.call.clone(), to: self.to.clone(), tries }
    }

    /// This call and then `further`, or this alone where that is more.
    fn before(&self, further: Vec<Hop>) -> Vec<Hop> {
        let through = product(&further).saturating_mul(u64::from(self.again));
        match through > u64::from(self.tries) {
            true => [vec![self.hop(self.again)], further].concat(),
            false => vec![self.hop(self.tries)],
        }
    }
}

/// From each service the calls that lead on, and where each leads.
struct Graph<'m> {
    steps: BTreeMap<&'m str, Vec<(Step, &'m str)>>,
    /// Whether the last call of a way is tried again for any reason; else it is one above another.
    ends: bool,
}

/// The calls that each service makes.
fn below(manifest: &Manifest) -> Graph<'_> {
    let mut steps: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (caller, service) in &manifest.services {
        for (callee, call) in &service.calls {
            let ways = call.answering().into_iter();
            let ways = ways.map(|to| (Step::call(caller, callee, to, &call.policies), to));
            steps.entry(caller).or_default().extend(ways);
        }
    }
    Graph { steps, ends: true }
}

/// The calls and routes by which each service is called.
fn above(manifest: &Manifest) -> Graph<'_> {
    let mut steps: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (caller, service) in &manifest.services {
        for (callee, call) in &service.calls {
            for to in call.answering() {
                let step = Step::call(caller, callee, to, &call.policies);
                steps.entry(to).or_default().push((step, caller.as_str()));
            }
        }
    }
    for route in manifest.gateway.iter().flat_map(|gateway| &gateway.routes) {
        // The gateway has no name among services, and nothing leads on from there.
        for to in route.answering() {
            steps.entry(to).or_default().push((Step::route(manifest, route, to), ""));
        }
    }
    Graph { steps, ends: false }
}

/// Looks for the way on which most tries come together. Of circles a way takes each service once.
struct Search<'m> {
    graph: Graph<'m>,
    /// The best way from a service, where no circle was cut off to find it.
    known: BTreeMap<&'m str, Vec<Hop>>,
    visits_left: usize,
}

impl<'m> Search<'m> {
    fn new(graph: Graph<'m>) -> Search<'m> {
        Search { graph, known: BTreeMap::new(), visits_left: VISITS_MAX }
    }

    fn most(&mut self, from: &str) -> Vec<Hop> {
        let Some((from, _)) = self.graph.steps.get_key_value(from) else { return Vec::new() };
        self.look(from, &mut Vec::new()).0
    }

    /// The best way on from `from`, and whether circles were left out of it.
    fn look(&mut self, from: &'m str, walked: &mut Vec<&'m str>) -> (Vec<Hop>, bool) {
        if let Some(known) = self.known.get(from) {
            return (known.clone(), false);
        }
        if walked.contains(&from) || self.visits_left == 0 {
            return (Vec::new(), true);
        }
        self.visits_left -= 1;
        walked.push(from);
        let (mut best, mut cut) = (Vec::new(), false);
        for (step, to) in self.graph.steps.get(from).cloned().unwrap_or_default() {
            if walked.contains(&to) {
                cut = true;
                continue;
            }
            let (further, was_cut) = self.look(to, walked);
            cut |= was_cut;
            let way = match self.graph.ends {
                true => step.before(further),
                false => [vec![step.hop(step.again)], further].concat(),
            };
            if product(&way) > product(&best) {
                best = way;
            }
        }
        walked.pop();
        if !cut {
            self.known.insert(from, best.clone());
        }
        (best, cut)
    }
}

/// More than these are told as a storm in waiting. Three is what the same book gives a request (chapter 21,
/// "per-request retry budget"), nine what it becomes where one more layer does the same.
const ATTEMPTS_MANY: u64 = 9;
/// Most services looked at, for circles within circles have more ways than anyone can walk.
const VISITS_MAX: usize = 10_000;
