//! A request on its way to a collector, over HTTP or gRPC, and what is answered.

use std::io::Write;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::Config;
use super::retry::{Verdict, of_grpc, of_http};
use crate::otlp::Signal;

type Sender = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(super) struct Client {
    sender: Sender,
    to: Vec<(Signal, Uri)>,
    headers: HeaderMap,
    is_grpc: bool,
    is_gzip: bool,
    timeout: Duration,
}

/// What is answered, as much of it as is of interest.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

impl Client {
    pub fn new(config: Config) -> Client {
        let connector = HttpsConnectorBuilder::new().with_tls_config(config.tls).https_or_http();
        let connector = match config.grpc {
            true => connector.enable_http2().wrap_connector(http_connector()),
            false => connector.enable_http1().wrap_connector(http_connector()),
        };
        let sender = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_only(config.grpc)
            .build(connector);
        Client {
            sender,
            to: config.to,
            headers: config.headers,
            is_grpc: config.grpc,
            is_gzip: config.gzip,
            timeout: config.timeout,
        }
    }

    /// Sends a request and says what became of it.
    pub async fn send(&self, signal: Signal, request: Bytes) -> Verdict {
        let again = |why: String| Verdict::Again { after: None, why };
        let Some(request) = self.request(signal, &request) else {
            return Verdict::Never("the collector's URL cannot be asked".to_owned());
        };
        let answered = async {
            let response = self.sender.request(request).await.map_err(|error| cause(&error))?;
            read(response).await.map_err(|error| cause(&error))
        };
        match timeout(self.timeout, answered).await {
            Err(_) => again("the collector does not answer in time".to_owned()),
            Ok(Err(why)) => again(format!("the collector cannot be reached: {why}")),
            Ok(Ok(answer)) if self.is_grpc => answer.of_grpc(),
            Ok(Ok(answer)) => answer.of_http(),
        }
    }

    fn request(&self, signal: Signal, message: &[u8]) -> Option<Request<Full<Bytes>>> {
        let (_, to) = self.to.iter().find(|(known, _)| *known == signal)?;
        let uri: Uri = match self.is_grpc {
            true => format!("{}{}", to.to_string().trim_end_matches('/'), signal.method()).parse().ok()?,
            false => to.clone(),
        };
        let mut request = Request::builder().method(Method::POST).uri(uri);
        let headers = request.headers_mut()?;
        headers.extend(self.headers.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let body = match (self.is_grpc, self.is_gzip) {
            (false, is_gzip) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                if is_gzip {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                if is_gzip { gzip(message)? } else { Bytes::copy_from_slice(message) }
            }
            (true, is_gzip) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                if is_gzip {
                    headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
                }
                let message = if is_gzip { gzip(message)? } else { Bytes::copy_from_slice(message) };
                framed(&message, is_gzip)
            }
        };
        request.body(Full::new(body)).ok()
    }
}

impl Answer {
    fn of_http(&self) -> Verdict {
        let after = self.headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok());
        of_http(self.status, after, &self.body)
    }

    fn of_grpc(&self) -> Verdict {
        let header = |name| self.trailers.get(name).or_else(|| self.headers.get(name));
        let text = |name| header(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let Some(code) = text("grpc-status").and_then(|code| code.parse().ok()) else {
            // Something between here and the collector has answered.
            return match of_http(self.status, None, b"") {
                Verdict::Taken { .. } => Verdict::Never("what answers does not speak gRPC".to_owned()),
                other => other,
            };
        };
        let details = text("grpc-status-details-bin").and_then(|details| BASE64.decode(details).ok());
        let message = self.body.get(5..).unwrap_or_default();
        of_grpc(code, text("grpc-message").unwrap_or_default(), details.as_deref(), message)
    }
}

/// Reads an answer; of its body no more than says why.
async fn read(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = incoming.frame().await {
        match frame?.into_data() {
            Ok(data) if body.len() + data.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&data),
            // It is no answer of OTLP, and its status says enough.
            Ok(_) => break,
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

fn http_connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

fn framed(message: &[u8], is_compressed: bool) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(u8::from(is_compressed));
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

fn gzip(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// What is at the bottom of an error: the rest is that a client has one.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

const AGENT: &str = concat!("OTel-OTLP-Exporter-Colony/", env!("CARGO_PKG_VERSION"));
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection that is not used is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Most of an answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// With or without what fills it up, as gRPC has it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
