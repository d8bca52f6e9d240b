//! Payloads, which are bytes, where JSON carries them.
//!
//! As CloudEvents has it: `data` is a JSON value where the content type says that it is JSON and text where it says anything
//! else; `dataBase64` is any bytes. Both ways give the bytes back that were sent, but for the space between parts of JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::value;

/// A payload, with what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// It.
    pub data: Bytes,
    /// Its media type; empty if nobody said.
    pub content_type: String,
}

/// A payload as JSON carries it, `data` or `data_base64`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written<'a> {
    pub(crate) data: Option<&'a RawValue>,
    pub(crate) data_base64: Option<String>,
    pub(crate) content_type: Option<String>,
}

/// For a field of JSON that is `null`: to serde that would be as if it were not there.
pub(crate) fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// A payload as it is told.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    content_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl Written<'_> {
    /// Parts of `body` are not copied.
    ///
    /// # Errors
    ///
    /// A sentence about what does not fit together.
    pub(crate) fn payload(self, body: &Bytes) -> Result<Payload, String> {
        let content_type = self.content_type.unwrap_or_default();
        if content_type.len() > TYPE_BYTES_MAX || content_type.contains(char::is_control) {
            return Err(format!("the content type {content_type:?} is none"));
        }
        match (self.data, self.data_base64) {
            (Some(_), Some(_)) => Err("it has \"data\" and \"dataBase64\": one of them".to_owned()),
            (Some(json), None) if content_type.is_empty() || is_json(&content_type) => {
                let data = value::compact(body, json.get());
                let content_type = if content_type.is_empty() { JSON.to_owned() } else { content_type };
                Ok(Payload { data, content_type })
            }
            (Some(json), None) => {
                let text: String = serde_json::from_str(json.get()).map_err(|_| {
                    format!(
                        "\"data\" is no text, as the content type {content_type} wants it: use \"dataBase64\""
                    )
                })?;
                Ok(Payload { data: text.into(), content_type })
            }
            (None, Some(text)) => {
                let data =
                    STANDARD.decode(text).map_err(|wrong| format!("\"dataBase64\" is no base64: {wrong}"))?;
                Ok(Payload { data: data.into(), content_type })
            }
            (None, None) => Ok(Payload { data: Bytes::new(), content_type }),
        }
    }
}

impl<'a> Told<'a> {
    pub(crate) fn of(data: &'a [u8], content_type: &'a str) -> Told<'a> {
        let told = Told { content_type, ..Told::default() };
        if data.is_empty() {
            return told;
        }
        let text = std::str::from_utf8(data).ok();
        let plain = match is_json(content_type) {
            true => text.and_then(|text| serde_json::from_str(text).ok()).map(Data::Json),
            false => text.map(Data::Text),
        };
        match plain {
            Some(data) => Told { data: Some(data), ..told },
            None => Told { data_base64: Some(STANDARD.encode(data)), ..told },
        }
    }
}

/// Whether a media type says that it is JSON.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let suffix = kind.len().checked_sub(SUFFIX.len()).and_then(|at| kind.get(at..));
    kind.eq_ignore_ascii_case(JSON) || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(SUFFIX))
}

const JSON: &str = "application/json";
/// What ends the media types that are JSON as well.
const SUFFIX: &str = "+json";
/// Longest content type.
const TYPE_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields<'a> {
        #[serde(borrow, default, deserialize_with = "there")]
        data: Option<&'a RawValue>,
        data_base64: Option<String>,
        content_type: Option<String>,
    }

    fn written(json: &'static str) -> Result<Payload, String> {
        let body = Bytes::from_static(json.as_bytes());
        let Fields { data, data_base64, content_type } = serde_json::from_slice(&body).unwrap();
        Written { data, data_base64, content_type }.payload(&body)
    }

    fn told(data: &[u8], content_type: &str) -> String {
        serde_json::to_string(&Told::of(data, content_type)).unwrap()
    }

    #[test]
    fn bytes_come_back_as_they_were_sent() {
        for (json, data, content_type, again) in [
            (
                r#"{"data": {"a": 1.50}}"#,
                &b"{\"a\":1.50}"[..],
                JSON,
                r#"{"contentType":"application/json","data":{"a":1.50}}"#,
            ),
            (
                r#"{"data":"a","contentType":"text/plain"}"#,
                b"a",
                "text/plain",
                r#"{"contentType":"text/plain","data":"a"}"#,
            ),
            (
                r#"{"data":null,"contentType":"a/b+json; q=1"}"#,
                b"null",
                "a/b+json; q=1",
                r#"{"contentType":"a/b+json; q=1","data":null}"#,
            ),
            (r#"{"dataBase64":"/w=="}"#, b"\xff", "", r#"{"dataBase64":"/w=="}"#),
            (r"{}", b"", "", "{}"),
        ] {
            let payload = written(json).unwrap();
            assert_eq!((&payload.data[..], payload.content_type.as_str()), (data, content_type), "{json}");
            assert_eq!(told(&payload.data, &payload.content_type), again, "{json}");
        }
        assert_eq!(told(b"{", JSON), r#"{"contentType":"application/json","dataBase64":"ew=="}"#);
        assert_eq!(told(b"{", ""), r#"{"data":"{"}"#);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for odd in [
            r#"{"data":1,"dataBase64":"/w=="}"#,
            r#"{"data":1,"contentType":"text/plain"}"#,
            r#"{"dataBase64":"?"}"#,
            r#"{"contentType":"a\nb"}"#,
        ] {
            assert!(written(odd).is_err(), "{odd}");
        }
    }
}
