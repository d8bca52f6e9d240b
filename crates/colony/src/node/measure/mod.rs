//! The node's metrics gathered: each place that counts is asked, and what it says is put under the names of the catalogue.
//!
//! Nothing here is on the way of a request: what counts is written where it happens, by whom it happens to.

mod amiss;
pub(super) mod api;
mod calls;
pub(super) mod digest;
mod durable;
mod history;
mod objectives;
mod own;
mod serve;
mod services;
mod webhook;

pub(super) use history::Measures;
pub(super) use objectives::Standing;
pub(super) use serve::Door;

use telemetry::catalogue as names;
use telemetry::exposition::{Format, Sample};

use super::Node;

/// Everything that there is to be told just now.
pub(super) async fn gather(node: &Node) -> Vec<Sample> {
    let mut out = Vec::new();
    calls::gather(&node.mesh.status(), &mut out);
    services::gather(&node.supervisor.status(), &mut out);
    if let Some(look) = node.apis.look().await {
        durable::gather(&look.host, &mut out).await;
    }
    let kept = node.telemetry.stats();
    let points = node.otlp.board().left_out();
    for (what, count) in [("records", kept.inbox_dropped), ("unwritten", kept.lost), ("points", points)] {
        out.push(Sample::number(&names::TELEMETRY_DROPPED, &[what], count as f64));
    }
    node.measures.gather(&mut out);
    own::gather(&node.source.data_dir(), node.started.elapsed(), &mut out);
    out
}

/// The same as Prometheus reads it: the type of the content, and the content.
pub(super) async fn exposed(node: &Node, accept: &str) -> (&'static str, String) {
    let format = Format::accepted(accept);
    let text = telemetry::exposition::write(&gather(node).await, format);
    (format.content_type(), text)
}
