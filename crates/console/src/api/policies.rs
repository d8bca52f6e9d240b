//! `/api/policies`: every call with what its policies have done lately, and of one all policies with their values and where those
//! were set, as `colony explain` tells it.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Served, asked};

pub(super) fn routes() -> Router<Served> {
    Router::new().route("/api/policies", get(policies)).route("/api/policies/values", get(values))
}

#[derive(Deserialize)]
struct OfCall {
    call: Option<String>,
}

async fn policies(State(served): State<Served>, query: Result<Query<OfCall>, QueryRejection>) -> Answer {
    let asked = asked(query)?;
    served.look().await;
    let view = served.live().view();
    let Some(call) = asked.call else {
        let calls: Vec<&Value> =
            view.iter().filter(|(key, _)| key.starts_with("call/")).map(|(_, value)| value).collect();
        return served.told(json!({ "calls": calls }));
    };
    let mut told = served.sources().explain(&call).map_err(|problem| served.hushed(problem))?;
    told["live"] = view.get(&format!("call/{call}")).cloned().unwrap_or_default();
    served.told(told)
}

async fn values(State(served): State<Served>, query: Result<Query<OfCall>, QueryRejection>) -> Answer {
    let call = asked(query)?.call.unwrap_or_default();
    served.told(served.sources().terms(&call).map_err(|problem| served.hushed(problem))?)
}
