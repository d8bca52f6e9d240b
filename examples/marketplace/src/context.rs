//! What a request hands on to the calls made for it: its trace and its id.
//!
//! Calls of peers are given it as an argument. Where facts are kept is not asked on behalf of anybody; the trace of what was
//! asked goes there all the same, with what is done ([`Context::current`]), and with facts and events to whoever hears of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;

use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

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

    /// That of the request for whose sake something is done now; empty if it is for nobody's.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Does something for its sake.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// The trace, as a fact notes it.
    pub fn noted(&self) -> BTreeMap<String, String> {
        let mut noted: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in self.forwarded.iter().filter(|(name, _)| TRACE.contains(&name.as_str())) {
            let Ok(value) = value.to_str() else { continue };
            // Several of a name are one list, as W3C Trace Context (3.3.1) has it.
            let list = noted.entry(name.to_string()).or_default();
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(value);
        }
        noted
    }

    /// Of what a fact has noted.
    pub fn of_noted(noted: &BTreeMap<String, String>) -> Self {
        let header = |name: &&'static str| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(noted.get(*name)?).ok()?))
        };
        Context { forwarded: TRACE.iter().filter_map(header).collect() }
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

/// Does all that a request asks for the sake of that request.
pub async fn carried(request: Request, next: Next) -> Response {
    let context = Context::of(request.headers());
    context.scope(next.run(request)).await
}

tokio::task_local! {
    static CURRENT: Context;
}

const FORWARDED: [&str; 3] = ["traceparent", "tracestate", "x-request-id"];
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

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
        let noted = Context::of(&incoming).noted();
        assert_eq!(noted.keys().collect::<Vec<_>>(), ["traceparent", "tracestate"]);
        assert_eq!(noted["tracestate"], "a=1,b=2");
        let mut later = HeaderMap::new();
        Context::of_noted(&noted).apply(&mut later);
        assert_eq!(later["traceparent"], "00-1-2-01");
        assert_eq!(outgoing.get_all("tracestate").iter().count(), 2);
        assert!(!outgoing.contains_key("cookie"));
    }
}
