//! What each service waits for, and the start order that follows.

use crate::diagnostic::Diagnostic;
use crate::graph::{Edge, Graph, start_order};
use crate::resolve::names::{Kind, Names};
use crate::typed;

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
    let calls = calls.filter(|(_, call)| call.value().is_some_and(waits)).map(|(to, _)| Edge {
        to: to.value.clone(),
        span: to.span,
        call: true,
    });
    after.chain(calls).filter(|edge| is_other(&edge.to)).collect()
}

fn waits(call: &typed::Call) -> bool {
    match &call.wait {
        typed::Field::Absent => true,
        typed::Field::Broken(_) => false,
        typed::Field::Given { at, .. } => at.value.0,
    }
}
