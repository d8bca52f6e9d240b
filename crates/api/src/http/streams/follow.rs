//! Following events over HTTP: server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), for whoever
//! accepts `text/event-stream`.
//!
//! The id of each is where one goes on who has had it. Clients send the last back as `Last-Event-ID` when they connect anew.

use engine::Begin;
use engine::blocks::stream::Filter;
use futures_util::StreamExt;
use http::header::ACCEPT;

use super::events::{Told as ToldEvent, types};
use crate::error::Error;
use crate::http::answer::{Answer, server_sent};
use crate::http::call::Call;
use crate::streams::{Told, invalid};

/// Whether a reader wants to follow.
pub(super) fn is_asked(call: &Call<'_>) -> bool {
    let accepted = call.head.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(','));
    kinds.any(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
    })
}

pub(super) async fn all(store: &str, call: Call<'_>) -> Answer {
    let query = call.query();
    let streams = query.get("streams").unwrap_or_default().into_owned();
    let filter = Filter { types: types(query), streams };
    answer(store, None, filter, call).await
}

pub(super) async fn one(store: &str, stream: &str, call: Call<'_>) -> Answer {
    let filter = Filter { types: types(call.query()), streams: String::new() };
    answer(store, Some(stream), filter, call).await
}

async fn answer(store: &str, stream: Option<&str>, filter: Filter, call: Call<'_>) -> Answer {
    let of = call.api.streams(store, None)?;
    let last = call.header("last-event-id").filter(|id| !id.is_empty()).map(Into::into);
    let from = last.or_else(|| call.query().get("from"));
    let begin = match (from.as_deref(), stream) {
        (None | Some("start"), _) => Begin::Start,
        (Some("now"), _) => Begin::Now,
        (Some(text), Some(stream)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            of.after(stream, super::version(text)?)
        }
        (Some(text), _) => Begin::After(text.parse().map_err(|_| odd(text))?),
    };
    let told = of.follow(stream, filter, &begin).await?;
    Ok(server_sent(told.map(|told| match told {
        Ok(Told::Quiet) => ": nothing for a while\n\n".to_owned(),
        Ok(Told::Event(event, position)) => {
            let data = serde_json::to_string(&ToldEvent::of(&event)).unwrap_or_default();
            format!("id: {position}\ndata: {data}\n\n")
        }
        Err(error) => format!("event: error\ndata: {}\n\n", error.to_json()),
    })))
}

fn odd(text: &str) -> Error {
    invalid(format!(
        "{text:?} is neither start, now, a version of the stream, nor the id of an event that was told"
    ))
}
