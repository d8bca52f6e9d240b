//! `/api/events`: one stream of server-sent events for all that changes.
//!
//! `view` carries everything, `changes` what is different since, by key. With `?logs=true` also `logs`: lines as they come, of all
//! services or of `service=NAME`. The id of an event says up to where a client knows all of them, so that it goes on there when it
//! comes again (`Last-Event-ID`, or `after=ID` of one that has closed the stream itself), and begins anew where that is too long ago.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use serde::Deserialize;
use serde_json::{Value, json};
use telemetry::logs::Since;
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use super::{Served, asked};
use crate::live::{Cursor, EVERY, Told};
use crate::problem::Problem;
use crate::server::Body;

/// Lines sent at a time.
const LINES_MAX: usize = 500;
/// How many lines from before one gets who comes for the first time.
const LINES_BEFORE: usize = 500;
/// Events that wait for a client to read them.
const WAITING_MAX: usize = 4;
/// After how long of nothing a client hears that the node is there.
const ALIVE: Duration = Duration::from_secs(15);
/// How long a client may leave unread what it is told before it counts as gone.
const UNREAD: Duration = Duration::from_secs(30);

pub(super) fn routes() -> Router<Served> {
    Router::new().route("/api/events", get(events))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    logs: bool,
    service: Option<String>,
    /// The id of the last event that it knows, where it cannot say so by `Last-Event-ID`.
    after: Option<String>,
}

/// Up to where a client knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct At {
    view: Option<Cursor>,
    /// The number of the last line.
    line: Option<u64>,
}

impl At {
    /// `EPOCH-STEP-LINE`; what is no such thing knows nothing.
    fn read(text: &str) -> At {
        let mut parts = text.split('-').map(|part| part.parse::<u64>().ok());
        let (epoch, step, line) = (parts.next().flatten(), parts.next().flatten(), parts.next().flatten());
        let cursor = |epoch, step| Some(Cursor { epoch: u32::try_from(epoch).ok()?, step });
        let view = epoch.zip(step).and_then(|(epoch, step)| cursor(epoch, step));
        At { view, line: line.filter(|_| view.is_some()) }
    }

    fn told(self) -> String {
        let view = self.view.unwrap_or(Cursor { epoch: 0, step: 0 });
        format!("{}-{}-{}", view.epoch, view.step, self.line.unwrap_or(0))
    }
}

async fn events(
    State(served): State<Served>,
    query: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = asked(query)?;
    let place = std::sync::Arc::clone(&served.0.followers).try_acquire_owned();
    let place =
        place.map_err(|_| Problem::unavailable("as many follow what changes as may; close some pages"))?;
    // A browser that comes again by itself asks the same again: what it says of its own is newer.
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(wanted.after.as_deref());
    let at = known.map(At::read).unwrap_or_default();
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let _place = place;
        follow(&served, &wanted, at, &sender).await;
    });
    let body = Body::new(Events(receiver));
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))], body).into_response())
}

/// Tells a client until it is gone.
async fn follow(served: &Served, wanted: &Wanted, mut at: At, to: &mpsc::Sender<Bytes>) {
    let (mut steps, lines) = (served.live().steps(), served.sources().logs());
    let mut silent = Duration::ZERO;
    loop {
        served.look().await;
        steps.mark_unchanged();
        let mut told = String::new();
        if let Some((cursor, changes)) = served.live().since(at.view) {
            // Lines of another process have other numbers.
            if at.view.is_none_or(|before| before.epoch != cursor.epoch) {
                at.line = None;
            }
            at.view = Some(cursor);
            match changes {
                Told::All(view) => event(&mut told, "view", at, &json!(*view)),
                Told::Changes(changes) => event(&mut told, "changes", at, &Value::Object(changes)),
            }
        }
        if wanted.logs {
            let since = match at.line {
                Some(line) => lines.since(line, wanted.service.as_deref(), LINES_MAX),
                None => first(&lines, wanted.service.as_deref()),
            };
            at.line = Some(since.next);
            if !since.lines.is_empty() || since.dropped > 0 {
                event(&mut told, "logs", at, &json!({ "lines": since.lines, "dropped": since.dropped }));
            }
        }
        if told.is_empty() && silent >= ALIVE {
            told.push_str(": alive\n\n");
        }
        silent = if told.is_empty() { silent + EVERY } else { Duration::ZERO };
        if !told.is_empty() && !matches!(timeout(UNREAD, to.send(told.into())).await, Ok(Ok(()))) {
            return;
        }
        let known = at.line.unwrap_or(0);
        tokio::select! {
            () = to.closed() => return,
            () = tokio::time::sleep(EVERY) => {}
            _ = steps.changed() => {}
            () = lines.changed(known), if wanted.logs => tokio::time::sleep(GATHER).await,
        }
    }
}

/// Lines that come at once are told at once.
const GATHER: Duration = Duration::from_millis(100);

/// The last lines, for who knows none.
fn first(lines: &telemetry::logs::LogWindow, service: Option<&str>) -> Since {
    let next = lines.newest();
    let mut tail = lines.tail(service, LINES_BEFORE);
    tail.retain(|line| line.seq <= next);
    Since { lines: tail, dropped: 0, next }
}

fn event(text: &mut String, name: &str, at: At, data: &Value) {
    use std::fmt::Write as _;
    // JSON of one line: it needs no cutting.
    let _ = write!(text, "event: {name}\nid: {}\ndata: {data}\n\n", at.told());
}

struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_told() {
        let at = At { view: Some(Cursor { epoch: 7, step: 12 }), line: Some(3) };
        assert_eq!(At::read(&at.told()), at);
        for odd in ["", "x", "1", "1-x-2", "99999999999999-1-1", "-1-2-3"] {
            assert_eq!(At::read(odd).view, None, "{odd}");
            assert_eq!(At::read(odd).line, None, "{odd}");
        }
    }

    #[test]
    fn a_line_break_in_a_name_breaks_no_event() {
        let mut text = String::new();
        event(&mut text, "changes", At::default(), &json!({ "a\n\ndata: x": "\n\nevent: evil\n\n" }));
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
