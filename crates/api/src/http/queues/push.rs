//! Which queues are pushed to the application, over HTTP.

use serde::{Deserialize, Serialize};

use crate::duration::Lasting;
use crate::error::Error;
use crate::http::answer::{Answer, empty, json_text};
use crate::http::call::{Asked, Call};
use crate::http::json::Object;
use crate::queues::push::Push;

pub(super) async fn get(queue: &str, call: Call<'_>) -> Answer {
    let push = call.api.push_of(queue).await?;
    json_text(&Written {
        route: push.route,
        concurrency: Some(push.concurrency),
        lease: push.lease.map(Lasting),
        timeout: Some(Lasting(push.timeout)),
    })
}

pub(super) async fn set(queue: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, .. } = call.asked().await?;
    let Object(Written { route, concurrency, lease, timeout }) =
        serde_json::from_slice(&body).map_err(Error::not_json)?;
    let default = Push::to(route);
    let push = Push {
        concurrency: concurrency.unwrap_or(default.concurrency),
        lease: lease.map(|lease| lease.0),
        timeout: timeout.map_or(default.timeout, |timeout| timeout.0),
        route: default.route,
    };
    api.push(queue, &push).await?;
    Ok(empty())
}

pub(super) async fn remove(queue: &str, call: Call<'_>) -> Answer {
    call.api.unpush(queue).await?;
    Ok(empty())
}

/// How a queue is pushed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    route: String,
    concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Lasting>,
    timeout: Option<Lasting>,
}
