//! OTLP/HTTP: a path a signal, protobuf or JSON.

use ::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::body::{Refused, Whole};
use super::{Answer, BODY_BYTES_MAX, RETRY_AFTER_S, Receiver};
use crate::otlp::{Signal, answer, json};

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// What is wrong with a request.
#[derive(Debug)]
struct Wrong {
    status: StatusCode,
    why: String,
}

pub(super) async fn answer(receiver: &Receiver, request: Request<Incoming>) -> Response<Answer> {
    let form = form(&request);
    let answer = taken(receiver, request, form).await;
    // Who has sent neither is told in what everybody reads.
    let form = form.unwrap_or(Form::Json);
    let mut response = match answer {
        Ok(body) => Response::new(whole(body)),
        Err(wrong) => refuse(receiver, form, &wrong),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.name()));
    response
}

async fn taken(
    receiver: &Receiver,
    request: Request<Incoming>,
    form: Option<Form>,
) -> Result<Vec<u8>, Wrong> {
    let path = request.uri().path();
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.path() == path) else {
        let paths = Signal::ALL.map(Signal::path).join(", ");
        return Err(Wrong::new(StatusCode::NOT_FOUND, format!("OTLP is sent to {paths}")));
    };
    if request.method() != Method::POST {
        return Err(Wrong::new(StatusCode::METHOD_NOT_ALLOWED, "OTLP is sent by POST"));
    }
    let Some(form) = form else {
        let why = "the content-type of OTLP is application/x-protobuf or application/json";
        return Err(Wrong::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    };
    let is_gzip = is_gzip(&request)?;
    let body = receiver.body(request.into_body()).await?;
    let body = if is_gzip { body.inflated()? } else { body };
    take(receiver, signal, form, body)
}

fn take(receiver: &Receiver, signal: Signal, form: Form, body: Whole<'_>) -> Result<Vec<u8>, Wrong> {
    let bad = |why: String| Wrong::new(StatusCode::BAD_REQUEST, why);
    match form {
        Form::Protobuf => {
            let taken = receiver.take(signal, body.bytes).map_err(|why| bad(why.to_string()))?;
            Ok(answer::taken(&taken))
        }
        Form::Json => {
            let read = json::to_protobuf(signal, &body.bytes, BODY_BYTES_MAX);
            let request = read.map_err(|why| {
                receiver.counts.malformed();
                bad(why)
            })?;
            let taken = receiver.take(signal, request.into()).map_err(|why| bad(why.to_string()))?;
            Ok(answer::taken_json(signal, &taken))
        }
    }
}

fn form(request: &Request<Incoming>) -> Option<Form> {
    let of = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let of = of.split(';').next().unwrap_or(of).trim().to_ascii_lowercase();
    [Form::Protobuf, Form::Json].into_iter().find(|form| form.name() == of)
}

fn is_gzip(request: &Request<Incoming>) -> Result<bool, Wrong> {
    match request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(_) => {
            Err(Wrong::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body is compressed with gzip or not"))
        }
    }
}

fn refuse(receiver: &Receiver, form: Form, wrong: &Wrong) -> Response<Answer> {
    let code = match wrong.status {
        StatusCode::TOO_MANY_REQUESTS => UNAVAILABLE,
        _ => INVALID_ARGUMENT,
    };
    let body = match form {
        Form::Protobuf => answer::status(code, &wrong.why, None),
        Form::Json => answer::status_json(code, &wrong.why),
    };
    let mut response = Response::new(whole(body));
    *response.status_mut() = wrong.status;
    match wrong.status {
        StatusCode::METHOD_NOT_ALLOWED => {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            receiver.counts.refused();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        _ => {}
    }
    response
}

fn whole(body: Vec<u8>) -> Answer {
    Full::new(Bytes::from(body)).boxed()
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Form::Protobuf => "application/x-protobuf",
            Form::Json => "application/json",
        }
    }
}

impl Wrong {
    fn new(status: StatusCode, why: impl Into<String>) -> Wrong {
        Wrong { status, why: why.into() }
    }
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Wrong {
        match refused {
            Refused::TooLarge => {
                let why = format!("a request has at most {BODY_BYTES_MAX} bytes, compressed or not");
                Wrong::new(StatusCode::PAYLOAD_TOO_LARGE, why)
            }
            Refused::NoRoom => Wrong::new(StatusCode::TOO_MANY_REQUESTS, "there is no room now; come again"),
            Refused::Broken(why) => Wrong::new(StatusCode::BAD_REQUEST, why),
        }
    }
}

/// Codes of gRPC, which a `Status` has.
const INVALID_ARGUMENT: u32 = 3;
const UNAVAILABLE: u32 = 14;
