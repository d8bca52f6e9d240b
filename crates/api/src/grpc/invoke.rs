//! `InvokeService`: a call of an application's method, whatever it speaks.

use std::fmt::Display;
use std::sync::Arc;

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TE};
use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost_types::Any;
use tonic::Status;
use tonic::body::Body;
use tonic::metadata::MetadataMap;

use crate::api::Api;
use crate::app::Held;
use crate::deadline;
use crate::error::{Details, Error};
use crate::invoke::{
    ANSWER_BYTES_MAX, OF_GRPC, Target, denied_call, failed, is_unanswered, of_http, prefixed,
};
use crate::proto::dapr::common::v1::http_extension::Verb;
use crate::proto::dapr::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use crate::proto::dapr::runtime::v1::InvokeServiceRequest;
use crate::resiliency::{Judged, Stopped};

pub(super) async fn service(
    api: &Arc<Api>,
    request: tonic::Request<InvokeServiceRequest>,
) -> Result<tonic::Response<InvokeResponse>, Status> {
    let (metadata, _, InvokeServiceRequest { id, message }) = request.into_parts();
    let message = message.ok_or_else(|| Status::invalid_argument("there is no message to call with"))?;
    let headers = said(metadata);
    let Some(guard) = api.guards.of_app(&id) else {
        return once(api, &id, message, headers).await.map_err(|failed| failed.0);
    };
    let method = format!("{id}/{}", message.method.trim_start_matches('/'));
    let attempt = || once(api, &id, message.clone(), headers.clone());
    match guard
        .run(
            &method,
            || true,
            attempt,
            |called| called.as_ref().err().map_or(Judged::Fine, |failed| failed.1),
        )
        .await
    {
        Ok(called) => called.map_err(|failed| failed.0),
        Err(Stopped::Late) => Err(Status::deadline_exceeded(failed(&id, Stopped::Late).message)),
        Err(stopped) => Err(failed(&id, stopped).to_status()),
    }
}

/// What a call has failed with, and what that says of who was called.
struct Failed(Status, Judged);

async fn once(
    api: &Arc<Api>,
    id: &str,
    message: InvokeRequest,
    headers: HeaderMap,
) -> Result<tonic::Response<InvokeResponse>, Failed> {
    let unanswered = |error: Error| Failed(error.to_status(), Judged::Unanswered);
    let target = Target::of(api, id).map_err(unanswered)?;
    let verb = message.http_extension.as_ref().map(HttpExtension::verb).filter(|verb| *verb != Verb::None);
    let permitted = target.permits(api, id, &message.method, verb.map(|verb| verb.as_str_name()));
    permitted.map_err(|denied| of_app(denied_call(id, denied).to_status()))?;
    if target.is_grpc() {
        let called = target.on_invoke(api, message, headers).await;
        return called.map_err(|status| match is_unanswered(&status) {
            true => unanswered(failed(id, status.message())),
            false => of_app(status),
        });
    }
    let refused = |why: &dyn Display| failed(id, why);
    // It is the caller's mistake, which another try does not mend.
    let odd = |why: String| of_app(refused(&why).to_status());
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method(&message).map_err(odd)?;
    *request.uri_mut() = uri(&message).map_err(odd)?;
    *request.headers_mut() = headers;
    if let Ok(content_type) = HeaderValue::try_from(message.content_type)
        && !content_type.is_empty()
    {
        request.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    let data = message.data.map(|any| any.value).unwrap_or_default();
    if !data.is_empty() {
        *request.body_mut() = Body::new(Full::new(Bytes::from(data)));
    }
    let response = target.send(api, id, request).await.map_err(unanswered)?;
    answered(response).await.map_err(|why| unanswered(refused(&why)))?.map_err(of_app)
}

fn of_app(status: Status) -> Failed {
    let code = status.code() as i32;
    Failed(status, Judged::Grpc(code.try_into().unwrap_or_default()))
}

/// What the caller has said besides, as headers.
fn said(metadata: MetadataMap) -> HeaderMap {
    let mut headers = metadata.into_headers();
    deadline::of_grpc(&mut headers);
    let own = |name: &str| name.starts_with(OF_GRPC);
    let names: Vec<_> = headers.keys().filter(|name| own(name.as_str())).cloned().collect();
    for name in names.into_iter().chain([CONTENT_TYPE, CONTENT_LENGTH, TE]) {
        headers.remove(name);
    }
    headers
}

fn method(message: &InvokeRequest) -> Result<Method, String> {
    let verb = message.http_extension.as_ref().map_or(Verb::None, |extension| extension.verb());
    match verb {
        Verb::None => Err("the call names no verb, which an application that speaks HTTP needs".to_owned()),
        verb => verb.as_str_name().parse().map_err(|_| format!("{} is no verb", verb.as_str_name())),
    }
}

fn uri(message: &InvokeRequest) -> Result<Uri, String> {
    if message.method.contains(['#', '?']) {
        return Err(format!(
            "the method {:?} has a `#` or `?`: a query goes into `querystring`",
            message.method
        ));
    }
    let path = utf8_percent_encode(message.method.trim_start_matches('/'), NOT_IN_A_PATH);
    let query = message.http_extension.as_ref().map_or("", |extension| extension.querystring.as_str());
    let text = match query {
        "" => format!("/{path}"),
        query => format!("/{path}?{query}"),
    };
    let path = PathAndQuery::from_maybe_shared(Bytes::from(text));
    path.map(Uri::from).map_err(|wrong| format!("the method {:?} cannot be called: {wrong}", message.method))
}

/// A success as a message, anything else as the status that it is in terms of gRPC.
async fn answered(
    response: Response<Held>,
) -> Result<Result<tonic::Response<InvokeResponse>, Status>, String> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body =
        body.map_err(|error| format!("the answer broke off, or is larger than may be: {error}"))?.to_bytes();
    let metadata = metadata(&head.headers, head.status);
    if !head.status.is_success() {
        let mut status = error(head.status, &body).to_status();
        *status.metadata_mut() = metadata;
        return Ok(Err(status));
    }
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let message = InvokeResponse {
        content_type: content_type.unwrap_or_default().to_owned(),
        data: Some(Any { type_url: String::new(), value: body.to_vec() }),
    };
    Ok(Ok(tonic::Response::from_parts(metadata, message, tonic::Extensions::new())))
}

/// A status of HTTP in terms of gRPC.
pub(super) fn error(status: StatusCode, body: &[u8]) -> Error {
    let reason = status.canonical_reason().unwrap_or("Unknown");
    let metadata = vec![
        ("http.code", status.as_u16().to_string()),
        ("http.error_message", String::from_utf8_lossy(&body[..body.len().min(TOLD_BYTES_MAX)]).into_owned()),
    ];
    Error::new("ERR_DIRECT_INVOKE", status, of_http(status), reason).with(Details {
        reason,
        metadata,
        ..Details::default()
    })
}

/// An answer's headers, and its status.
fn metadata(headers: &HeaderMap, status: StatusCode) -> MetadataMap {
    let mut all = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        if *name != CONTENT_LENGTH {
            all.append(prefixed(name), value.clone());
        }
    }
    all.insert("dapr-http-status", HeaderValue::from(status.as_u16()));
    MetadataMap::from_headers(all)
}

/// How much of an error's body is told: what a client takes of a status is bounded.
const TOLD_BYTES_MAX: usize = 2 << 10;
/// What a path may not have as it is.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|');
