//! What an application says of itself when it is asked: what it is set to, and what it subscribes to.

use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, Request, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::http::answer;
use crate::api::Api;
use crate::instance::Instance;
use crate::subscription::{Subscription, told};

/// What it subscribes to; none if it has said nothing this many times.
pub(super) async fn told(instance: &Instance, tries: u32) -> Option<Vec<Arc<Subscription>>> {
    let mut wait = WAIT_MIN;
    for number in 1..=tries {
        match timeout(PATIENCE, once(&instance.api())).await {
            Ok(Ok((subscriptions, lines))) => {
                lines.iter().for_each(|line| instance.say(line));
                return Some(subscriptions);
            }
            Ok(Err(why)) if number == TRIES => unsaid(instance, &why),
            Err(_) if number == TRIES => {
                unsaid(instance, &format!("it has not answered within {PATIENCE:?}"))
            }
            _ => {}
        }
        if number < tries {
            sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }
    None
}

fn unsaid(instance: &Instance, why: &str) {
    instance.say(&format!(
        "the application does not say what it subscribes to: {why}; it is asked again now and then"
    ));
}

async fn once(api: &Api) -> Result<told::Told, String> {
    if api.app.is_grpc() {
        return match api.app.callback().list_topic_subscriptions(()).await {
            Ok(response) => Ok(told::of_grpc(response.into_inner())),
            Err(status) if status.code() == Code::Unimplemented => Ok(told::Told::default()),
            Err(status) => Err(status.message().to_owned()),
        };
    }
    let (status, body) = get(api, "/dapr/config").await?;
    if status == StatusCode::OK {
        configured(api, &body);
    }
    let (status, body) = get(api, "/dapr/subscribe").await?;
    match status {
        StatusCode::OK => Ok(told::of_json(&body).unwrap_or_else(|why| {
            let line = format!(
                "the application's answer to GET /dapr/subscribe cannot be read, and counts as none: {why}"
            );
            (Vec::new(), vec![line])
        })),
        StatusCode::NOT_FOUND => Ok(told::Told::default()),
        odd => {
            let line = format!(
                "the application answers {odd} to GET /dapr/subscribe, which counts as no subscription"
            );
            Ok((Vec::new(), vec![line]))
        }
    }
}

/// What it hosts is named, since nobody calls it yet.
fn configured(api: &Api, body: &[u8]) {
    let config: Value = serde_json::from_slice(body).unwrap_or_default();
    let entities = config.get("entities").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names: Vec<_> = entities.iter().filter_map(Value::as_str).collect();
    if !names.is_empty() {
        api.say(&format!("the application hosts actors ({}), which are not served", names.join(", ")));
    }
}

async fn get(api: &Api, path: &'static str) -> Result<(StatusCode, Bytes), String> {
    let mut request = Request::new(tonic::body::Body::empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = ::http::Uri::from_static(path);
    if let Ok(id) = api.config.app_id.parse() {
        request.headers_mut().insert("dapr-app-id", id);
    }
    let response = api.app.send(request).await.map_err(|error| error.to_string())?;
    answer(response, ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())
}

/// How often it is asked before it counts as having nothing to say.
pub(super) const TRIES: u32 = 3;
/// How long it has for its answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first wait between tries; twice as long after each.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
