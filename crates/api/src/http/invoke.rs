//! Calls to other applications: `/v1.0/invoke/ID/method/PATH`, or any path with the id in a header, by which a program
//! with any client of HTTP calls others, having its sidecar for their host.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use prost_types::Any;
use serde_json::json;
use tonic::Status;
use tonic::body::Body;

use super::answer::{Answer, Said};
use super::body::read;
use super::call::{decoded, no_route};
use crate::api::Api;
use crate::error::Error;
use crate::invoke::{self, Bounded, Replay, Target, denied_call, failed, is_unanswered, metadata, of_grpc};
use crate::proto::dapr::common::v1::http_extension::Verb;
use crate::proto::dapr::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use crate::resiliency::{Guard, Judged};

/// Calls who is named; if nobody is, there is no such endpoint.
pub(super) async fn answer(api: &Arc<Api>, head: &mut Parts, path: &str, body: Option<Incoming>) -> Answer {
    let (id, path) = addressed(head, path)?;
    if !api.config.apis.http.is_to("v1.0", "invoke") {
        return Err(no_route());
    }
    let body = match body {
        Some(body) => Bounded::new(body, api.config.body_bytes_max).map(Body::new),
        None => Ok(Body::empty()),
    };
    let mut request = Request::new(body.map_err(|too_large| failed(&id, too_large))?);
    *request.uri_mut() = uri(path, head.uri.query())?;
    *request.method_mut() = std::mem::take(&mut head.method);
    *request.headers_mut() = std::mem::take(&mut head.headers);
    match api.guards.of_app(&id) {
        None => once(api, &id, request).await,
        Some(guard) => guarded(api, &id, guard, request).await,
    }
}

/// Calls as often as the policies say. A body that nobody knows the length of is sent once.
async fn guarded(api: &Arc<Api>, id: &str, guard: &Guard, request: Request<Body>) -> Answer {
    let (head, body) = request.into_parts();
    let is_kept = guard.retries() && body.size_hint().exact().is_some();
    let (replay, mut body) = match is_kept {
        true => (Some(Replay::new(body, api.config.body_bytes_max)), None),
        false => (None, Some(body)),
    };
    let method = format!("{id}{}", head.uri.path());
    let attempt = || {
        let body = replay.as_ref().map(Replay::again).or_else(|| body.take()).unwrap_or_default();
        once(api, id, Request::from_parts(head.clone(), body))
    };
    let may_repeat = || replay.as_ref().is_some_and(Replay::is_kept);
    let called = guard.run(&method, may_repeat, attempt, judge).await;
    called.unwrap_or_else(|stopped| Err(failed(id, stopped)))
}

fn judge(answer: &Answer) -> Judged {
    match answer {
        Ok(response) if (200..400).contains(&response.status().as_u16()) => Judged::Fine,
        Ok(response) => Judged::Http(response.status().as_u16()),
        Err(_) => Judged::Unanswered,
    }
}

async fn once(api: &Arc<Api>, id: &str, request: Request<Body>) -> Answer {
    let target = Target::of(api, id)?;
    let verb = Some(request.method().as_str());
    target.permits(api, id, request.uri().path(), verb).map_err(|denied| denied_call(id, denied))?;
    if target.is_grpc() {
        return on_invoke(api, &target, id, request).await;
    }
    let response = target.send(api, id, request).await?;
    Ok(response.map(|body| Said::Streamed(Body::new(body))))
}

/// Calls an application that speaks gRPC.
async fn on_invoke(api: &Arc<Api>, target: &Target, id: &str, request: Request<Body>) -> Answer {
    let (head, body) = request.into_parts();
    let data = read(body, api.config.body_bytes_max).await.map_err(|unread| failed(id, unread))?;
    let headers = head.headers;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or(JSON);
    let message = InvokeRequest {
        method: head.uri.path().trim_start_matches('/').to_owned(),
        content_type: content_type.to_owned(),
        data: Some(Any { type_url: String::new(), value: data.to_vec() }),
        http_extension: Some(HttpExtension {
            verb: verb(&head.method).into(),
            querystring: head.uri.query().unwrap_or_default().to_owned(),
        }),
    };
    match target.on_invoke(api, message, metadata(headers)).await {
        Ok(answered) => Ok(of_message(answered)),
        Err(status) if is_unanswered(&status) => Err(failed(id, status.message())),
        Err(status) => Ok(of_status(&status)),
    }
}

/// An answer's message, its metadata as headers.
fn of_message(answered: tonic::Response<InvokeResponse>) -> Response<Said> {
    let (metadata, message, _) = answered.into_parts();
    let data = message.data.map(|any| any.value).unwrap_or_default();
    let mut response = Response::new(Said::from(Bytes::from(data)));
    *response.headers_mut() = invoke::answered(metadata);
    let content_type = HeaderValue::try_from(message.content_type).ok().filter(|text| !text.is_empty());
    response.headers_mut().insert(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static(JSON)));
    response
}

/// An application's error.
fn of_status(status: &Status) -> Response<Said> {
    let body = json!({ "code": status.code() as i32, "message": status.message() }).to_string();
    let mut response = Response::new(Said::from(Bytes::from(body)));
    *response.status_mut() = of_grpc(status.code());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn verb(method: &Method) -> Verb {
    Verb::from_str_name(method.as_str()).unwrap_or(Verb::Post)
}

/// Who is called, and with which path. A header goes before what the path says.
fn addressed<'a>(head: &Parts, path: &'a str) -> Result<(Cow<'a, str>, &'a str), Error> {
    if let Some(id) = in_header(head) {
        return Ok((id.into(), path));
    }
    let rest = path.strip_prefix("/v1.0/invoke/").ok_or_else(no_route)?;
    let (id, path) = split(rest).ok_or_else(no_route)?;
    let id = decoded(id)?;
    // A path that was cleaned has one slash where a URL has two.
    match id.split_once(":/") {
        Some((scheme @ ("http" | "https"), rest)) if !rest.starts_with('/') => {
            Ok((format!("{scheme}://{rest}").into(), path))
        }
        _ => Ok((id, path)),
    }
}

/// What is before and what is behind `/method`.
fn split(rest: &str) -> Option<(&str, &str)> {
    let from = if rest.starts_with("http:/") || rest.starts_with("https:/") { 0 } else { rest.find('/')? };
    let at = from + rest[from..].find(METHOD)?;
    let (id, path) = (&rest[..at], &rest[at + METHOD.len()..]);
    let whole = from == 0 || at == from;
    let path = match path {
        "" => "/",
        path if path.starts_with('/') => path,
        _ => return None,
    };
    (whole && !id.is_empty()).then_some((id, path))
}

/// The id of the header `dapr-app-id`, or the password of the user of that name.
fn in_header(head: &Parts) -> Option<String> {
    if let Some(id) = head.headers.get(APP_ID) {
        return id.to_str().ok().filter(|id| !id.is_empty()).map(str::to_owned);
    }
    let basic = head.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(basic.trim()).ok()?).ok()?;
    let (user, id) = pair.split_once(':')?;
    (user == APP_ID && !id.is_empty()).then(|| id.to_owned())
}

fn uri(path: &str, query: Option<&str>) -> Result<Uri, Error> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let path = PathAndQuery::from_maybe_shared(Bytes::from(text));
    path.map(Uri::from).map_err(|wrong| Error::bad_request(format!("the path cannot be called: {wrong}")))
}

/// Which application is meant.
const APP_ID: &str = "dapr-app-id";
const METHOD: &str = "/method";
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    fn by(path: &str, headers: &[(&str, &str)]) -> Option<(String, String)> {
        let mut request = Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        addressed(&head, path).ok().map(|(id, path)| (id.into_owned(), path.to_owned()))
    }

    fn is(id: &str, path: &str) -> Option<(String, String)> {
        Some((id.to_owned(), path.to_owned()))
    }

    #[test]
    fn paths_say_who_is_called() {
        assert_eq!(by("/v1.0/invoke/shop/method/a/b%2Fc", &[]), is("shop", "/a/b%2Fc"));
        assert_eq!(by("/v1.0/invoke/shop/method", &[]), is("shop", "/"));
        assert_eq!(by("/v1.0/invoke/shop/method/x/method/y", &[]), is("shop", "/x/method/y"));
        assert_eq!(by("/v1.0/invoke/sh%6Fp/method/x", &[]), is("shop", "/x"));
        for nowhere in [
            "/v1.0/invoke/shop",
            "/v1.0/invoke",
            "/v1.0/invoke/shop/methods",
            "/v1.0/invoke/a/b/method/c",
            "/x",
        ] {
            assert_eq!(by(nowhere, &[]), None, "{nowhere}");
        }
    }

    #[test]
    fn urls_are_called_as_well() {
        for path in ["http:/there:80", "http%3A%2F%2Fthere%3A80", "http:%2F%2Fthere:80"] {
            assert_eq!(
                by(&format!("/v1.0/invoke/{path}/method/x"), &[]),
                is("http://there:80", "/x"),
                "{path}"
            );
        }
        assert_eq!(by("/v1.0/invoke/https:/there/base/method/x", &[]), is("https://there/base", "/x"));
    }

    #[test]
    fn a_header_goes_before_the_path() {
        assert_eq!(
            by("/v1.0/invoke/shop/method/x", &[("dapr-app-id", "other")]),
            is("other", "/v1.0/invoke/shop/method/x")
        );
        // dapr-app-id:other
        assert_eq!(by("/x", &[("authorization", "Basic ZGFwci1hcHAtaWQ6b3RoZXI=")]), is("other", "/x"));
        assert_eq!(by("/x", &[("dapr-app-id", "")]), None);
    }
}
