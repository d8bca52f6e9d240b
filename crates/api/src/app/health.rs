//! Whether an application is well: it is asked, over and over, where that is wanted.
//!
//! A question is no call: it has no token and does not wait for a call to end, or an application with much to do would be taken
//! for one that is ill.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::body::Body;

use super::{App, Reached};
use crate::config::HealthCheck;

impl App {
    /// Whether it is well; one that is not asked is.
    pub fn is_healthy(&self) -> bool {
        self.0.as_ref().and_then(|app| app.health.as_ref()).is_none_or(|health| *health.borrow())
    }

    /// Whether it is well, and when that changes; None of one that is not asked.
    pub fn watch_health(&self) -> Option<watch::Receiver<bool>> {
        self.0.as_ref()?.health.as_ref().map(watch::Sender::subscribe)
    }

    /// Takes it for well while the gate is open, until it is dropped.
    pub(crate) async fn follow(&self, mut gate: watch::Receiver<bool>) {
        let health = self.0.as_ref().and_then(|app| app.health.as_ref());
        loop {
            let is_open = *gate.borrow_and_update();
            if let Some(health) = health {
                health.send_if_modified(|was| std::mem::replace(was, is_open) != is_open);
            }
            if gate.changed().await.is_err() {
                // Whoever knew is gone: it stays as it was last.
                return std::future::pending().await;
            }
        }
    }

    /// Asks until it is dropped; comes to no end, also if it has nobody to ask.
    pub(crate) async fn ask_health(&self, check: Option<&HealthCheck>, say: impl Fn(&str)) {
        let (Some(app), Some(check)) = (self.0.as_ref(), check) else { return std::future::pending().await };
        let mut every = interval(check.interval.max(INTERVAL_MIN));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0;
        loop {
            every.tick().await;
            let is_well = timeout(check.timeout, app.is_well(&check.path)).await.unwrap_or(false);
            failures = if is_well { 0 } else { failures + 1 };
            let now = match is_well {
                true => true,
                false if failures >= check.threshold.max(1) => false,
                false => continue,
            };
            let Some(health) = &app.health else { continue };
            let changed = health.send_if_modified(|was| std::mem::replace(was, now) != now);
            if changed {
                say(if now {
                    "the application is well"
                } else {
                    "the application is not well: it gets no calls"
                });
            }
            failures = failures.min(check.threshold);
        }
    }
}

impl Reached {
    async fn is_well(self: &Arc<Self>, path: &str) -> bool {
        let request = match self.is_grpc {
            true => of_grpc(),
            false => of_http(path),
        };
        let Ok(response) = self.way.send(request, None).await else { return false };
        let status = response.status();
        if !self.is_grpc {
            return status.is_success();
        }
        let is_ok = |headers: &HeaderMap| headers.get("grpc-status").is_some_and(|code| code == "0");
        if is_ok(response.headers()) {
            return true;
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        body.is_ok_and(|body| body.trailers().is_some_and(is_ok))
    }
}

fn of_http(path: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    let path = format!("/{}", path.trim_start_matches('/'));
    *request.uri_mut() = path.parse().unwrap_or(Uri::from_static("/healthz"));
    request
}

/// A message without fields, to a method without.
fn of_grpc() -> Request<Body> {
    let mut request = Request::new(Body::new(Full::new(Bytes::from_static(&[0; 5]))));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/dapr.proto.runtime.v1.AppCallbackHealthCheck/HealthCheck");
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    request
}

/// The shortest time between two questions, whatever was set.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// How much of an answer is looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;
