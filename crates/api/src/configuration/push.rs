//! Changes of configuration brought to the application, in their order: the next only when one has been taken.
//!
//! While nobody listens a change waits. What the application refuses is tried again, some times; then it is passed over, so that
//! one item which it cannot stand does not keep all others from it.

use std::time::Duration;

use bytes::Bytes;
use components::configuration::Change;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::body::Body;

use super::{Follow, told};
use crate::app::{App, Unanswered};
use crate::proto::dapr::common::v1::http_extension::Verb;
use crate::proto::dapr::common::v1::{HttpExtension, InvokeRequest};

/// Brings changes until the subscription is ended.
pub(super) async fn run(app: App, store: String, follow: Follow) {
    let id = follow.id().to_owned();
    let (mut follow, mut subscription) = follow.parts();
    let all = subscription.all();
    let pushing = async {
        while let Ok(change) = follow.next().await {
            bring(&app, &store, &id, &change).await;
            if let Some(position) = follow.position() {
                all.moved(&id, position);
            }
        }
    };
    tokio::select! {
        () = pushing => {}
        () = subscription.ended() => {}
    }
}

async fn bring(app: &App, store: &str, id: &str, change: &Change) {
    let item = change.item.as_ref().map_or_else(|| json!({}), told);
    let body = Bytes::from(json!({ "id": id, "items": { &change.key: item } }).to_string());
    let path = format!(
        "configuration/{}/{}",
        utf8_percent_encode(store, IN_PATHS),
        utf8_percent_encode(&change.key, IN_PATHS)
    );
    let (mut refusals, mut wait) = (0, WAIT_MIN);
    while refusals < TRIES_MAX {
        let sent = async {
            match app.is_grpc() {
                true => call(app, &path, &body).await,
                false => post(app, &path, &body).await,
            }
        };
        match timeout(LONGEST_CALL, sent).await.unwrap_or(Came::Refused) {
            Came::Done => return,
            Came::Nobody => {}
            Came::Refused => refusals += 1,
        }
        sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// What came of a try.
enum Came {
    Done,
    Nobody,
    Refused,
}

async fn post(app: &App, path: &str, body: &Bytes) -> Came {
    let body = Body::new(Full::new(body.clone()));
    let request = Request::post(format!("/{path}")).header(CONTENT_TYPE, "application/json").body(body);
    let Ok(request) = request else { return Came::Done };
    match app.send(request).await {
        Ok(answer) => {
            let status = answer.status();
            let _ = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            // It has no place for it.
            match status.is_success() || status == StatusCode::NOT_FOUND {
                true => Came::Done,
                false => Came::Refused,
            }
        }
        Err(Unanswered::Broken(_)) => Came::Refused,
        Err(_) => Came::Nobody,
    }
}

/// An application that speaks gRPC is called as by another application.
async fn call(app: &App, path: &str, body: &Bytes) -> Came {
    let request = InvokeRequest {
        method: path.to_owned(),
        data: Some(prost_types::Any { type_url: String::new(), value: body.to_vec() }),
        content_type: "application/json".to_owned(),
        http_extension: Some(HttpExtension { verb: Verb::Post.into(), querystring: String::new() }),
    };
    match app.callback().on_invoke(request).await {
        Ok(_) => Came::Done,
        Err(status) => match status.code() {
            Code::NotFound | Code::Unimplemented => Came::Done,
            _ => Came::Refused,
        },
    }
}

/// How often the application may refuse a change.
const TRIES_MAX: u32 = 10;
/// How long until the second try.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait between two.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the application may take for a change.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// How much of an answer is read, of which nothing is needed.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What is written otherwise in a path; a slash in a key stays one, as with Dapr.
const IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');
