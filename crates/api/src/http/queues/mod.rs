//! Queues over HTTP.

mod items;
mod manage;
mod push;
mod settings;

use http::Method;

use super::answer::Answer;
use super::call::{Call, decoded};

/// `queues` and what is below it.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    let Some((queue, rest)) = rest.split_first() else {
        return match call.head.method {
            Method::GET => manage::list(call).await,
            _ => Err(call.no_route()),
        };
    };
    let queue = &*decoded(queue)?;
    match (&call.head.method, rest) {
        (&Method::GET, []) => manage::get(queue, call).await,
        (&Method::PUT, []) => manage::define(queue, call).await,
        (&Method::POST, ["send"]) => items::send(queue, call).await,
        (&Method::POST, ["send", "bulk"]) => items::send_bulk(queue, call).await,
        (&Method::POST, ["receive"]) => items::receive(queue, call).await,
        (&Method::POST, [verb @ ("ack" | "nack" | "release" | "extend")]) => {
            items::settle(queue, verb, call).await
        }
        (&Method::GET, ["items"]) => items::peek(queue, call).await,
        (&Method::GET, ["items", id]) => items::get(queue, &decoded(id)?, call).await,
        (&Method::DELETE, ["items", id]) => items::cancel(queue, &decoded(id)?, call).await,
        (&Method::POST, [verb @ ("pause" | "resume")]) => manage::pause(queue, *verb == "pause", call).await,
        (&Method::POST, ["purge"]) => manage::purge(queue, call).await,
        (&Method::POST, ["redrive"]) => manage::redrive(queue, call).await,
        (&Method::GET, ["push"]) => push::get(queue, call).await,
        (&Method::PUT, ["push"]) => push::set(queue, call).await,
        (&Method::DELETE, ["push"]) => push::remove(queue, call).await,
        _ => Err(call.no_route()),
    }
}
