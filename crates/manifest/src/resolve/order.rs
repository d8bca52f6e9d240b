//! What each service waits for, and the start order that follows.

use crate::diagnostic::{Diagnostic, Span};
use crate::graph::{Edge, Graph, start_order};
use crate::resolve::names::{Kind, Names};
use crate::typed::{self, At, Destination};

/// The start order. None if there is a cycle, which is reported.
pub(crate) fn resolve(
    typed: &typed::Manifest,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<String>> {
    let mut graph = Graph::new();
    for (name, field) in typed.services.value().into_iter().flat_map(|map| &map.0) {
        let edges = field.value().map_or_else(Vec::new, |service| edges(&name.value, service, names));
        graph.insert(name.value.clone(), edges);
    }
    start_order(&graph).map_err(|cycles| found.extend(cycles)).ok()
}

/// What a service waits for. One that runs already waits for nothing.
pub(crate) fn edges(name: &str, service: &typed::Service, names: &Names) -> Vec<Edge> {
    if !service.url.is_absent() {
        return Vec::new();
    }
    let is_other = |to: &str| to != name && names.kind(to) == Some(Kind::Service);
    let after = service.after.value().into_iter().flat_map(|after| &after.0);
    let after = after.map(|to| Edge { to: to.value.0.clone(), span: to.span, call: false });
    let calls = service.calls.value().into_iter().flat_map(|calls| &calls.0);
    let calls = calls.filter_map(|(to, call)| Some((to, call.value().filter(|call| waits(call))?)));
    let calls =
        calls.flat_map(|(to, call)| answering(to, call)).map(|(to, span)| Edge { to, span, call: true });
    after.chain(calls).filter(|edge| is_other(&edge.to)).collect()
}

/// Who answers a call that is named for `to`, and where that is written.
fn answering(to: &At<String>, call: &typed::Call) -> Vec<(String, Span)> {
    match call.to.get() {
        None => vec![(to.value.clone(), to.span)],
        Some(At { value: Destination::Name(name), span, .. }) => vec![(name.clone(), *span)],
        Some(At { value: Destination::Sides(sides), .. }) => {
            sides.0.iter().map(|(name, _)| (name.value.clone(), name.span)).collect()
        }
    }
}

fn waits(call: &typed::Call) -> bool {
    match &call.wait {
        typed::Field::Absent => true,
        typed::Field::Broken(_) => false,
        typed::Field::Given { at, .. } => at.value.0,
    }
}
