//! `bindings.http`: requests to a URL, each operation a method.

mod redirect;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Response as Answer, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Error, Output, Request, Response, truth};
use crate::Reply;
use crate::properties::{Invalid, Properties};
use settings::Settings;

/// What is at a URL.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: Settings,
}

/// A request on its way.
#[derive(Clone)]
struct Sent {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    /// The header that says who asks.
    secret: Option<HeaderName>,
}

impl Http {
    /// As it is set. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// Which setting is wrong.
    pub fn new(set: &Properties) -> Result<Http, Invalid> {
        let settings = Settings::new(set)?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(settings::tls(set)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Http { client, settings })
    }

    async fn ask(&self, request: Request) -> Result<Response, Error> {
        let errors = match request.said("errorIfNot2XX") {
            Some(text) => {
                let odd = || Error::new(format!("errorIfNot2XX is {text:?}, neither true nor false"));
                truth(text).ok_or_else(odd)?
            }
            None => self.settings.errors,
        };
        let sent = self.sent(request)?;
        let within = tokio::time::timeout(self.settings.response_timeout, self.send(sent));
        let (status, headers, data) = within.await.map_err(|_| {
            Error::new(format!(
                "no answer within {}",
                humantime::format_duration(self.settings.response_timeout)
            ))
        })??;
        let metadata = told(status, &headers);
        match errors && !status.is_success() {
            true => Err(Error { why: format!("received status code {}", status.as_u16()), metadata }),
            false => Ok(Response { data, metadata }),
        }
    }

    fn sent(&self, request: Request) -> Result<Sent, Error> {
        let method = method(&request.operation)?;
        let has_body = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        let uri = self.settings.uri(request.said("path")).map_err(Error::new)?;
        let mut headers = HeaderMap::new();
        if has_body {
            headers.insert(CONTENT_TYPE, JSON);
        }
        headers.insert(ACCEPT, JSON);
        if let Some((name, value)) = &self.settings.token {
            headers.insert(name, value.clone());
        }
        for (name, text) in &request.metadata {
            // Those with a capital letter are headers, the others say how, but for those of the trace.
            let is_header = name.starts_with(|first: char| first.is_ascii_uppercase());
            if !is_header && !TRACE.contains(&name.as_str()) {
                continue;
            }
            let odd = |_| Error::new(format!("the metadata {name} is no header"));
            let header = HeaderName::try_from(name).map_err(|error| odd(error.to_string()))?;
            let value = HeaderValue::from_str(text).map_err(|error| odd(error.to_string()))?;
            if !OURS.contains(&header.as_str()) {
                headers.insert(header, value);
            }
        }
        let body = if has_body { request.data } else { Bytes::new() };
        let secret = self.settings.token.as_ref().map(|(name, _)| name.clone());
        Ok(Sent { method, uri, headers, body, secret })
    }

    async fn send(&self, mut sent: Sent) -> Result<(StatusCode, HeaderMap, Bytes), Error> {
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.once(sent.clone()).await?;
            let Some(next) = redirect::next(&sent, &answer) else {
                let (head, body) = answer.into_parts();
                return Ok((head.status, head.headers, self.read(body).await?));
            };
            sent = next;
        }
        Err(Error::new(format!("stopped after {REDIRECTS_MAX} redirects")))
    }

    async fn once(&self, sent: Sent) -> Result<Answer<Incoming>, Error> {
        let mut request = http::Request::new(Full::new(sent.body));
        *request.method_mut() = sent.method;
        *request.uri_mut() = sent.uri;
        *request.headers_mut() = sent.headers;
        self.client.request(request).await.map_err(|error| Error::new(with_causes(&error)))
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Error> {
        let max = self.settings.body_bytes_max;
        let body =
            Limited::new(body, max).collect().await.map_err(|error| match error
                .is::<http_body_util::LengthLimitError>(
            ) {
                true => Error::new(format!("the answer has more than {max} bytes (maxResponseBodySize)")),
                false => Error::new(format!("the answer breaks off: {error}")),
            })?;
        Ok(body.to_bytes())
    }
}

impl Output for Http {
    fn operations(&self) -> &'static [&'static str] {
        &["create", "get", "head", "post", "put", "patch", "delete", "options", "trace"]
    }

    fn invoke(&self, request: Request) -> Reply<'_, Result<Response, Error>> {
        Box::pin(self.ask(request))
    }
}

fn method(operation: &str) -> Result<Method, Error> {
    Ok(match operation {
        "get" => Method::GET,
        "head" => Method::HEAD,
        "post" | "create" => Method::POST,
        "put" => Method::PUT,
        "patch" => Method::PATCH,
        "delete" => Method::DELETE,
        "options" => Method::OPTIONS,
        "trace" => Method::TRACE,
        odd => return Err(Error::new(format!("invalid operation: {odd}"))),
    })
}

/// What is said of an answer besides its body: its status, and its headers as Go writes their names.
fn told(status: StatusCode, headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        told.insert(canonical(name.as_str()), values.join(", "));
    }
    told.insert("statusCode".to_owned(), status.as_u16().to_string());
    told.insert("status".to_owned(), status.to_string());
    told
}

fn canonical(name: &str) -> String {
    let mut at_start = true;
    let letter = |c: char| {
        let c = if at_start { c.to_ascii_uppercase() } else { c };
        at_start = c == '-';
        c
    };
    name.chars().map(letter).collect()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Headers of the trace, whose metadata has their names.
const TRACE: [&str; 3] = ["traceparent", "tracestate", "baggage"];
/// Headers that follow from the request and the connection.
const OURS: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];
/// How often an answer may send on to another URL.
const REDIRECTS_MAX: usize = 10;
/// How long a connection may take until it is there.
const CONNECT: Duration = Duration::from_secs(15);
/// For how long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests;
