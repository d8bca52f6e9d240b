//! `/api/map`: nodes and edges, laid out, with what happens on each.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::{Answer, Served};

pub(super) fn routes() -> Router<Served> {
    Router::new().route("/api/map", get(map))
}

async fn map(State(served): State<Served>) -> Answer {
    served.look().await;
    let view = served.live().view();
    let of = |kind: &str| -> Vec<&Value> {
        view.iter().filter(|(key, _)| key.starts_with(kind)).map(|(_, value)| value).collect()
    };
    let nodes: Vec<Value> = view
        .iter()
        .filter_map(|(key, value)| {
            let mut node = value.clone();
            node["id"] = key.strip_prefix("node/")?.into();
            Some(node)
        })
        .collect();
    let drawings: Map<String, Value> = view
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix("drawing/")?.to_owned(), value.clone())))
        .collect();
    served.told(json!({ "nodes": nodes, "edges": of("edge/"), "faults": of("fault/"), "drawings": drawings }))
}
