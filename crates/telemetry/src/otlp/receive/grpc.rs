//! OTLP/gRPC: a method a signal, each with one message there and one back.
//!
//! By hand: a unary call is five bytes before a message and a status behind it.

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;

use super::body::{Refused, Whole};
use super::{Answer, BODY_BYTES_MAX, RETRY_AFTER_S, Receiver};
use crate::otlp::{Signal, answer};

/// What is wrong with a call.
#[derive(Debug)]
struct Wrong {
    code: u32,
    why: String,
}

pub(super) async fn answer(receiver: &Receiver, request: Request<Incoming>) -> Response<Answer> {
    let mut response = match taken(receiver, request).await {
        Ok(message) => good(&message),
        Err(wrong) => bad(receiver, &wrong),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers
        .insert(HeaderName::from_static("grpc-accept-encoding"), HeaderValue::from_static("identity,gzip"));
    response
}

async fn taken(receiver: &Receiver, request: Request<Incoming>) -> Result<Vec<u8>, Wrong> {
    let path = request.uri().path();
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.method() == path) else {
        return Err(Wrong::new(UNIMPLEMENTED, "spans, logs and metrics are taken here, and nothing else"));
    };
    let is_gzip = match request.headers().get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => return Err(Wrong::new(UNIMPLEMENTED, "a message is compressed with gzip or not")),
    };
    let body = message(receiver.body(request.into_body()).await?, is_gzip)?;
    let taken = receiver.take(signal, body.bytes);
    Ok(answer::taken(&taken.map_err(|why| Wrong::new(INVALID_ARGUMENT, why.to_string()))?))
}

/// The one message of a call.
fn message(mut body: Whole<'_>, is_gzip: bool) -> Result<Whole<'_>, Wrong> {
    let one = || Wrong::new(INVALID_ARGUMENT, "a call has one message");
    let (prefix, message) = body.bytes.split_first_chunk::<5>().ok_or_else(one)?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    if usize::try_from(length) != Ok(message.len()) {
        return Err(one());
    }
    let is_compressed = prefix[0] == 1;
    body.bytes = body.bytes.slice(5..);
    match (is_compressed, is_gzip) {
        (false, _) => Ok(body),
        (true, true) => Ok(body.inflated()?),
        (true, false) => Err(Wrong::new(INVALID_ARGUMENT, "a message is compressed, and nothing says how")),
    }
}

fn good(message: &[u8]) -> Response<Answer> {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    Response::new(Full::new(framed.freeze()).with_trailers(async { Some(Ok(trailers)) }).boxed())
}

fn bad(receiver: &Receiver, wrong: &Wrong) -> Response<Answer> {
    let mut response = Response::new(Empty::<Bytes>::new().boxed());
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(wrong.code));
    // None of our own has a letter that would have to be written as a percentage.
    headers.extend(HeaderValue::from_str(&wrong.why).ok().map(|why| (MESSAGE, why)));
    if wrong.code == UNAVAILABLE {
        receiver.counts.refused();
        let details = answer::status_trailer(wrong.code, &wrong.why, RETRY_AFTER_S);
        headers.extend(HeaderValue::try_from(details).ok().map(|details| (DETAILS, details)));
    }
    response
}

impl Wrong {
    fn new(code: u32, why: impl Into<String>) -> Wrong {
        Wrong { code, why: why.into() }
    }
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Wrong {
        match refused {
            Refused::TooLarge => {
                let why = format!("a request has at most {BODY_BYTES_MAX} bytes, compressed or not");
                Wrong::new(RESOURCE_EXHAUSTED, why)
            }
            Refused::NoRoom => Wrong::new(UNAVAILABLE, "there is no room now; come again"),
            Refused::Broken(why) => Wrong::new(INVALID_ARGUMENT, why),
        }
    }
}

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;
