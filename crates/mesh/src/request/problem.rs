//! Errors that Colony itself answers with: RFC 9457 `application/problem+json` that name the
//! policy and the upstream, so that nobody has to guess whose 503 it is.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use crate::message::fields::Fields;
use crate::request::answer::{Answer, Body};

/// What went wrong, by who decided it. The kebab-case name is the last part of `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BadRequest,
    HeadTooLarge,
    BodyTooLarge,
    BodyIdle,
    NoRoute,
    MethodNotAllowed,
    UndeclaredCall,
    UnknownService,
    NoUpgrade,
    RateLimited,
    Overloaded,
    Shed,
    CircuitOpen,
    NoInstance,
    Timeout,
    ConnectFailed,
    ConnectionLost,
    BadAnswer,
    /// With a status of its own choice.
    FaultInjected,
}

impl Kind {
    /// Whether the client sent something that can't be gone on with, on a connection whose next
    /// bytes mean nothing certain.
    pub(crate) fn is_clients_fault(self) -> bool {
        matches!(self, Kind::BadRequest | Kind::HeadTooLarge | Kind::BodyTooLarge | Kind::BodyIdle)
    }

    /// The last part of its type.
    pub(crate) fn name(self) -> &'static str {
        self.parts().1
    }

    /// Status, name, title and policy.
    pub(crate) fn parts(self) -> (StatusCode, &'static str, &'static str, Option<&'static str>) {
        use Kind::*;
        match self {
            BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request is refused", None),
            HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head-too-large",
                "The request's head is too large",
                Some("limits"),
            ),
            BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The request body is too large",
                Some("limits"),
            ),
            BodyIdle => {
                (StatusCode::REQUEST_TIMEOUT, "body-idle", "The request body stopped coming", Some("limits"))
            }
            NoRoute => (StatusCode::NOT_FOUND, "no-route", "No route matches", None),
            MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "No route takes this method", None)
            }
            UndeclaredCall => {
                (StatusCode::FORBIDDEN, "undeclared-call", "The call is not declared", Some("calls"))
            }
            UnknownService => {
                (StatusCode::NOT_FOUND, "unknown-service", "There is no such service", Some("calls"))
            }
            NoUpgrade => (StatusCode::NOT_IMPLEMENTED, "no-upgrade", "The upgrade is not possible", None),
            RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests", Some("limit"))
            }
            Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many requests are in flight",
                Some("concurrency"),
            ),
            Shed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "shed",
                "Requests of a higher priority go first",
                Some("priority"),
            ),
            CircuitOpen => (
                StatusCode::SERVICE_UNAVAILABLE,
                "circuit-open",
                "The circuit breaker is open",
                Some("breaker"),
            ),
            NoInstance => (StatusCode::SERVICE_UNAVAILABLE, "no-instance", "No instance is ready", None),
            Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout", "No answer in time", Some("timeout")),
            ConnectFailed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "connect-failed",
                "No connection could be made",
                Some("retries"),
            ),
            ConnectionLost => {
                (StatusCode::BAD_GATEWAY, "connection-lost", "The connection was lost", Some("retries"))
            }
            BadAnswer => (StatusCode::BAD_GATEWAY, "bad-answer", "The answer was not valid HTTP", None),
            FaultInjected => (
                StatusCode::SERVICE_UNAVAILABLE,
                "fault-injected",
                "A fault was injected on purpose",
                Some("fault"),
            ),
        }
    }
}

/// An error on its way to become an answer.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    /// In place of the kind's own.
    other_status: Option<StatusCode>,
    pub(crate) detail: String,
    pub(crate) call: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) tries: Option<u32>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) remedy: Option<String>,
    pub(crate) allow: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            other_status: None,
            detail: detail.into(),
            call: None,
            upstream: None,
            tries: None,
            retry_after: None,
            remedy: None,
            allow: None,
        }
    }

    pub(crate) fn retry_after(mut self, wait: Duration) -> Problem {
        self.retry_after = Some(wait);
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Problem {
        self.remedy = Some(remedy.into());
        self
    }

    /// With another status than its kind has.
    pub(crate) fn with_status(mut self, status: u16) -> Problem {
        self.other_status = StatusCode::from_u16(status).ok();
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.other_status.unwrap_or(self.kind.parts().0)
    }

    /// The answer. `Retry-After` is in whole seconds, rounded up: never too early.
    pub(crate) fn answer(&self, request_id: Option<&[u8]>) -> Answer {
        let (status, (_, name, title, policy)) = (self.status(), self.kind.parts());
        let document = Document {
            r#type: format!("urn:colony:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            policy,
            call: self.call.as_deref(),
            upstream: self.upstream.as_deref(),
            tries: self.tries,
            retry_after_ms: self.retry_after.map(|wait| wait.as_millis() as u64),
            remedy: self.remedy.as_deref(),
            request_id: request_id.and_then(|id| std::str::from_utf8(id).ok()),
        };
        let text = serde_json::to_vec(&document).unwrap_or_default();
        let mut fields = Fields::default();
        fields.push(b"content-type", b"application/problem+json");
        if let Some(wait) = self.retry_after {
            fields.push(b"retry-after", wait.as_millis().div_ceil(1000).to_string().as_bytes());
        }
        if let Some(allow) = &self.allow {
            fields.push(b"allow", allow.as_bytes());
        }
        if let Some(id) = request_id {
            fields.push(b"x-request-id", id);
        }
        Answer { status, fields, body: Body::Full(text), close: self.kind.is_clients_fault() }
    }
}
