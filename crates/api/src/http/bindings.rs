//! Bindings over HTTP. What is sent is JSON, and reaches the binding as it was written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use components::binding::Request;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{self, Answer, json_bytes};
use super::call::{Call, decoded};
use super::json::{Object, Word};
use crate::bindings::Failed;
use crate::error::Error;
use crate::value;

/// `bindings/NAME`.
pub(super) async fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::POST | &Method::PUT, [name]) => invoke(&decoded(name)?, call).await,
        _ => Err(call.no_route()),
    }
}

async fn invoke(name: &str, call: Call<'_>) -> Answer {
    let (api, head) = (call.api, call.head);
    let body = call.body().await.map_err(Error::not_json)?;
    let Object(written) = serde_json::from_slice::<Object<Written<'_>>>(&body).map_err(Error::not_json)?;
    let (mut response, metadata) = match api.invoke_binding(name, written.request(&body), &head.headers).await
    {
        Ok(done) => (json_bytes(done.data), done.metadata),
        Err(Failed { error, metadata }) => (answer::error(&error), metadata),
    };
    tell(&metadata, response.headers_mut());
    Ok(response)
}

/// What is to be done, as it is written.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default)]
    operation: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Word>>,
}

impl Written<'_> {
    fn request(self, body: &Bytes) -> Request {
        let metadata = self.metadata.unwrap_or_default().into_iter();
        Request {
            operation: self.operation.unwrap_or_default().into_owned(),
            data: self.data.map_or_else(Bytes::new, |json| value::compact(body, json.get())),
            metadata: metadata.map(|(name, word)| (name, word.into_text())).collect(),
        }
    }
}

/// Adds as headers what a binding says besides, as far as headers can say it.
fn tell(metadata: &BTreeMap<String, String>, headers: &mut HeaderMap) {
    let mut left = HEADERS_BYTES_MAX;
    for (name, text) in metadata {
        let Ok(name) = HeaderName::try_from(format!("metadata.{name}")) else { continue };
        let line = text.replace(|c: char| c.is_control(), " ");
        let Ok(value) = HeaderValue::from_str(&line).or_else(|_| HeaderValue::from_bytes(line.as_bytes()))
        else {
            continue;
        };
        let bytes = name.as_str().len() + line.len();
        if bytes <= left {
            left -= bytes;
            headers.insert(name, value);
        }
    }
}

/// How much is said in headers; most clients bear no more. What is too much for the rest is left out.
const HEADERS_BYTES_MAX: usize = 8 << 10;
