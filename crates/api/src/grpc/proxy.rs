//! Calls of other applications' own services: what is called here with an application's id in its metadata goes to it as it is.

use std::sync::Arc;

use ::http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::api::Api;
use crate::app::Unanswered;
use crate::invoke::{CALLEE, Ending, Messages, Over, Target};

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
    let target = Target::of(api, &id)
        .map_err(|_| Status::unknown(format!("failed to proxy request: no host found for app id {id}")))?;
    if !target.is_grpc() {
        let message = format!(
            "failed to proxy request: {id} does not speak gRPC: start its sidecar with --app-protocol grpc"
        );
        return Err(Status::failed_precondition(message));
    }
    let over = Over::default();
    let (head, body) = request.into_parts();
    let mut request = Request::new(Body::new(Messages::new(body, api.config.body_bytes_max, over.clone())));
    *request.method_mut() = head.method;
    *request.headers_mut() = head.headers;
    *request.uri_mut() = head.uri.into_parts().path_and_query.map(Uri::from).unwrap_or_default();
    match target.proxy(api, request).await {
        Ok(response) => Ok(response.map(|body| Body::new(Ending::new(body, over)))),
        Err(unanswered) => Err(over.status_or(|| status(&unanswered))),
    }
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
