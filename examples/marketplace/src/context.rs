//! What a request hands on to the calls made for it: its trace and its id.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of an incoming request that go on to every outgoing one.
///
/// The default is empty: work that no request asked for, such as background retries.
#[derive(Clone, Debug, Default)]
pub struct Context {
    forwarded: Vec<(HeaderName, HeaderValue)>,
}

impl Context {
    /// The headers to hand on that are among `headers`.
    pub fn of(headers: &HeaderMap) -> Self {
        let forwarded = FORWARDED
            .iter()
            .flat_map(|name| {
                headers.get_all(*name).iter().map(|value| (HeaderName::from_static(name), value))
            })
            .map(|(name, value)| (name, value.clone()))
            .collect();
        Context { forwarded }
    }

    /// Adds the headers to an outgoing request.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.forwarded {
            headers.append(name, value.clone());
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Context::of(&parts.headers))
    }
}

const FORWARDED: [&str; 3] = ["traceparent", "tracestate", "x-request-id"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trace_and_request_id_go_on() {
        let mut incoming = HeaderMap::new();
        incoming.insert("traceparent", HeaderValue::from_static("00-1-2-01"));
        incoming.append("tracestate", HeaderValue::from_static("a=1"));
        incoming.append("tracestate", HeaderValue::from_static("b=2"));
        incoming.insert("x-request-id", HeaderValue::from_static("r1"));
        incoming.insert("cookie", HeaderValue::from_static("customer=anna"));
        let mut outgoing = HeaderMap::new();
        Context::of(&incoming).apply(&mut outgoing);
        assert_eq!(outgoing.len(), 4);
        assert_eq!(outgoing["traceparent"], "00-1-2-01");
        assert_eq!(outgoing.get_all("tracestate").iter().count(), 2);
        assert!(!outgoing.contains_key("cookie"));
    }
}
