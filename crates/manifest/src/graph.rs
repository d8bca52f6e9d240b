//! Start order: which service waits for which, and what to say when they wait in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};

/// One service waits for another.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub to: String,
    /// Where the manifest says so.
    pub span: Span,
    /// By a call, else by `after`.
    pub call: bool,
}

/// What each service waits for.
pub(crate) type Graph = BTreeMap<String, Vec<Edge>>;

/// Services in an order in which each comes after those it waits for; else one diagnostic for each
/// group of services that wait for one another.
pub(crate) fn start_order(graph: &Graph) -> Result<Vec<String>, Vec<Diagnostic>> {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut waited_for: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, edges) in graph {
        waits.insert(name, edges.iter().map(|edge| edge.to.as_str()).collect());
        for to in &waits[name.as_str()] {
            waited_for.entry(to).or_default().push(name);
        }
    }
    let mut ready: BTreeSet<&str> =
        waits.iter().filter(|(_, on)| on.is_empty()).map(|(name, _)| *name).collect();
    let mut order = Vec::with_capacity(graph.len());
    while let Some(name) = ready.pop_first() {
        order.push(name.to_owned());
        waits.remove(name);
        for waiting in waited_for.get(name).into_iter().flatten() {
            let on = waits.entry(waiting).or_default();
            on.remove(name);
            if on.is_empty() {
                ready.insert(waiting);
            }
        }
    }
    if waits.is_empty() { Ok(order) } else { Err(cycles(graph, waits.into_keys().collect())) }
}

/// A shortest cycle for each group among the services that are left.
fn cycles(graph: &Graph, left: BTreeSet<&str>) -> Vec<Diagnostic> {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for start in &left {
        if told.contains(start) {
            continue;
        }
        if let Some(cycle) = shortest_cycle(graph, start)
            && !cycle.iter().any(|(name, _)| told.contains(name))
        {
            told.extend(cycle.iter().map(|(name, _)| *name));
            found.push(draw(&cycle));
        }
    }
    found
}

/// The edges of a shortest way from `start` back to it.
fn shortest_cycle<'a>(graph: &'a Graph, start: &'a str) -> Option<Vec<(&'a str, &'a Edge)>> {
    let mut came: BTreeMap<&str, (&'a str, &'a Edge)> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for edge in graph.get(name).into_iter().flatten() {
            if edge.to == start {
                let mut path = vec![(name, edge)];
                while path[path.len() - 1].0 != start {
                    path.push(came[path[path.len() - 1].0]);
                }
                path.reverse();
                return Some(path);
            }
            if !came.contains_key(edge.to.as_str()) {
                came.insert(&edge.to, (name, edge));
                queue.push_back(&edge.to);
            }
        }
    }
    None
}

fn draw(cycle: &[(&str, &Edge)]) -> Diagnostic {
    let mut circle: Vec<String> = cycle.iter().map(|(name, _)| format!("`{name}`")).collect();
    circle.extend(circle.first().cloned());
    let message = format!("no service can start first: {} wait in a circle", circle.join(" → "));
    let says = |(name, edge): &(&str, &Edge)| match edge.call {
        true => format!("`{name}` calls `{0}`, so it waits for `{0}`", edge.to),
        false => format!("`{name}` starts after `{}`", edge.to),
    };
    let help = match cycle.iter().rev().find(|(_, edge)| edge.call) {
        Some((name, edge)) => format!(
            "let one of them start without waiting, for example `{0}: {{ wait: false }}` under the calls of `{name}`: \
             its calls to `{0}` fail until `{0}` is ready",
            edge.to
        ),
        None => "take one of these out of `after`".to_owned(),
    };
    let one = Diagnostic::error(codes::CYCLE, cycle[0].1.span, message).label(says(&cycle[0])).help(help);
    cycle[1..].iter().fold(one, |one, step| one.also(step.1.span, says(step)))
}
