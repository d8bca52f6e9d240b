//! What a verb sends: from the command line, a file, or standard input.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::args::verbs::{AnyPayload, Payload};
use crate::failure::{Failure, NO_SENSE};

/// What is sent, and what it is.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) bytes: Bytes,
    pub(super) content_type: String,
}

impl Data {
    /// What the words say, which must say something: who has forgotten the `-` of a pipe sends nothing unawares.
    pub(super) fn some(what: &Payload) -> Result<Data, Failure> {
        if what.payload.is_some() {
            return Data::of(what);
        }
        let failure = Failure::new("there is nothing to be sent")
            .hint("name DATA: a text, @FILE, or - for standard input");
        Err(Failure { code: NO_SENSE, ..failure })
    }

    /// What the words say: none is nothing.
    pub(super) fn of(what: &Payload) -> Result<Data, Failure> {
        let bytes = what.payload.as_deref().map_or(Ok(Bytes::new()), named)?;
        Ok(Data::typed(bytes, what.content_type.as_deref()))
    }

    /// The same, or what flags say in its place.
    pub(super) fn or_flags(what: &AnyPayload) -> Result<Data, Failure> {
        let content_type = what.word.content_type.as_deref();
        match (&what.body, &what.data_file) {
            (Some(text), _) => Ok(Data::typed(Bytes::copy_from_slice(text.as_bytes()), content_type)),
            (None, Some(file)) => Ok(Data::typed(in_file(file)?, content_type)),
            (None, None) => Data::of(&what.word),
        }
    }

    fn typed(bytes: Bytes, content_type: Option<&str>) -> Data {
        let content_type = content_type.map_or_else(|| kind(&bytes).to_owned(), str::to_owned);
        Data { bytes, content_type }
    }

    pub(super) fn is_json(&self) -> bool {
        is_json(&self.bytes)
    }
}

/// What a word means: a text, a file, or standard input.
pub(super) fn named(word: &str) -> Result<Bytes, Failure> {
    match word.strip_prefix('@') {
        _ if word == "-" => bounded(std::io::stdin().lock(), "standard input"),
        Some(file) => in_file(Path::new(file)),
        None => Ok(Bytes::copy_from_slice(word.as_bytes())),
    }
}

fn in_file(path: &Path) -> Result<Bytes, Failure> {
    let opened = std::fs::File::open(path);
    let file = opened.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    bounded(file, &path.display().to_string())
}

fn bounded(from: impl Read, name: &str) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(DATA_BYTES_MAX + 1).read_to_end(&mut bytes);
    match read {
        Err(error) => Err(Failure::new(format!("cannot read {name}: {error}"))),
        Ok(_) if bytes.len() as u64 > DATA_BYTES_MAX => {
            Err(Failure::new(format!("{name} has more than {} MiB", DATA_BYTES_MAX >> 20)))
        }
        Ok(_) => Ok(bytes.into()),
    }
}

/// What bytes are of which nothing is said.
fn kind(bytes: &[u8]) -> &'static str {
    match (is_json(bytes), std::str::from_utf8(bytes)) {
        (true, _) => "application/json",
        (false, Ok(_)) => "text/plain",
        (false, Err(_)) => "application/octet-stream",
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Metadata as it is given: pairs, or objects whose values are texts, numbers or truth values.
pub(super) fn metadata(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let odd = |text: &str| {
        Failure::new(format!("`{text}` is no metadata")).hint("write NAME=VALUE, or {\"NAME\":\"VALUE\"}")
    };
    let mut all = Vec::new();
    for text in given {
        if !text.trim_start().starts_with('{') {
            let (name, value) =
                text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| odd(text))?;
            all.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|_| odd(text))?;
        for (name, value) in object {
            let value = match value {
                Value::String(value) => value,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(odd(text)),
            };
            all.push((name, value));
        }
    }
    Ok(all)
}

/// Most that is read to be sent: far more than any sidecar takes.
const DATA_BYTES_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_data_is_shows_by_itself() {
        for (bytes, is) in [
            (&b"{\"a\":1}"[..], "application/json"),
            (b"7", "application/json"),
            (b"007", "text/plain"),
            (b"", "text/plain"),
            (b"\xff", "application/octet-stream"),
        ] {
            assert_eq!(kind(bytes), is, "{bytes:?}");
        }
    }

    #[test]
    fn metadata_is_pairs_or_objects() {
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            metadata(&words).map_err(|failure| failure.message)
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            of(&["a=1=2", r#"{"b":true,"c":"d"}"#]),
            Ok(vec![pair("a", "1=2"), pair("b", "true"), pair("c", "d")])
        );
        for odd in ["a", "=b", "{", r#"{"a":[]}"#] {
            assert!(of(&[odd]).is_err(), "{odd}");
        }
    }
}
