//! Calls of other applications' own services: what is called here with an application's id in its metadata goes to it as it is.

use std::sync::Arc;

use ::http::{Extensions, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::api::Api;
use crate::app::Unanswered;
use crate::invoke::{CALLEE, Ending, Messages, Over, Replay, Target};
use crate::resiliency::{Judged, Stopped};

/// Whether an application is named.
pub(super) fn is_meant(request: &Request<Incoming>) -> bool {
    named(request).is_some()
}

/// Passes it on.
pub(super) async fn answer(api: &Arc<Api>, request: Request<Incoming>) -> Response<Body> {
    match proxy(api, request).await {
        Ok(response) => response,
        Err(status) => status.into_http(),
    }
}

async fn proxy(api: &Arc<Api>, request: Request<Incoming>) -> Result<Response<Body>, Status> {
    let id = named(&request).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let over = Over::default();
    let (mut head, body) = request.into_parts();
    head.uri = head.uri.into_parts().path_and_query.map(Uri::from).unwrap_or_default();
    // What it was besides belongs to the connection that it came over.
    head.extensions = Extensions::new();
    let body = Body::new(Messages::new(body, api.config.body_bytes_max, over.clone()));
    let Some(guard) = api.guards.of_app(&id) else {
        return once(api, &id, Request::from_parts(head, body), &over).await;
    };
    let (replay, mut body) = match guard.retries() {
        true => (Some(Replay::new(body, api.config.body_bytes_max)), None),
        false => (None, Some(body)),
    };
    let method = format!("{id}{}", head.uri.path());
    let attempt = || {
        let body = replay.as_ref().map(Replay::again).or_else(|| body.take()).unwrap_or_default();
        once(api, &id, Request::from_parts(head.clone(), body), &over)
    };
    let may_repeat = || replay.as_ref().is_some_and(Replay::is_kept) && !over.is_so();
    let called = guard.run(&method, may_repeat, attempt, judge).await;
    called.unwrap_or_else(|stopped| Err(given_up(&id, stopped)))
}

async fn once(
    api: &Arc<Api>,
    id: &str,
    request: Request<Body>,
    over: &Over,
) -> Result<Response<Body>, Status> {
    let target = Target::of(api, id)
        .map_err(|_| Status::unknown(format!("failed to proxy request: no host found for app id {id}")))?;
    if !target.is_grpc() {
        let message = format!(
            "failed to proxy request: {id} does not speak gRPC: start its sidecar with --app-protocol grpc"
        );
        return Err(Status::failed_precondition(message));
    }
    target
        .permits(api, id, request.uri().path(), None)
        .map_err(|denied| Status::permission_denied(denied.to_string()))?;
    match target.proxy(api, request).await {
        Ok(response) => Ok(response.map(|body| Body::new(Ending::new(body, over.clone())))),
        Err(unanswered) => Err(over.status_or(|| status(&unanswered))),
    }
}

/// An answer that failed at once says so in its head; one that fails later has been passed on by then.
fn judge(answer: &Result<Response<Body>, Status>) -> Judged {
    let Ok(response) = answer else { return Judged::Unanswered };
    let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok());
    match code.map_or(Ok(0), str::parse) {
        Ok(0) => Judged::Fine,
        Ok(code) => Judged::Grpc(code),
        Err(_) => Judged::Unanswered,
    }
}

fn given_up(id: &str, stopped: Stopped) -> Status {
    let code = match stopped {
        Stopped::Late => Code::DeadlineExceeded,
        Stopped::Open | Stopped::TooMany => Code::Unavailable,
    };
    Status::new(code, format!("failed to invoke, id: {id}, err: {stopped}"))
}

fn status(unanswered: &Unanswered) -> Status {
    let code = match unanswered {
        Unanswered::NoPort => Code::FailedPrecondition,
        Unanswered::Unreachable(_) | Unanswered::Broken(_) => Code::Unavailable,
    };
    Status::new(code, format!("failed to proxy request: {unanswered}"))
}

fn named(request: &Request<Incoming>) -> Option<&HeaderValue> {
    let headers = request.headers();
    headers.get(CALLEE).or_else(|| headers.get("dapr-app-id"))
}
