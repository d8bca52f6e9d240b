//! Values as `jsonb`, which keeps what a text of JSON says, but not how: the order of an object's keys, space, the way in which a
//! number is written. A value that would come back otherwise is kept as Dapr keeps bytes: base64 in a JSON text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// What is written of a value, and whether it is base64.
pub(super) fn written(value: &Bytes) -> (String, bool) {
    match std::str::from_utf8(value) {
        Ok(text) if comes_back(text) => (text.to_owned(), false),
        _ => (Value::from(BASE64_STANDARD.encode(value)).to_string(), true),
    }
}

/// The value that was written.
pub(super) fn read(text: String, is_binary: bool) -> Result<Bytes, String> {
    if !is_binary {
        return Ok(compact(&text).into());
    }
    let encoded: String = serde_json::from_str(&text).map_err(|_| "what should be base64 is no text")?;
    BASE64_STANDARD.decode(encoded).map(Bytes::from).map_err(|error| error.to_string())
}

/// Whether this is just how the database would write it, but for the space that it puts in.
fn comes_back(text: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    let mut canonical = String::with_capacity(text.len());
    write(&value, &mut canonical) && canonical == text
}

/// As the database writes it; false where that cannot be said.
fn write(value: &Value, out: &mut String) -> bool {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| (key.len(), key.as_bytes().to_vec()));
            out.push('{');
            let mut good = true;
            for (number, (key, value)) in entries.into_iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                good &= text(key, out);
                out.push(':');
                good &= write(value, out);
            }
            out.push('}');
            good
        }
        Value::Array(list) => {
            out.push('[');
            let mut good = true;
            for (number, value) in list.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                good &= write(value, out);
            }
            out.push(']');
            good
        }
        Value::String(one) => text(one, out),
        // It writes no exponents.
        Value::Number(number) => {
            let digits = number.to_string();
            out.push_str(&digits);
            !digits.contains(['e', 'E']) && digits != "-0" && digits != "-0.0"
        }
        Value::Bool(_) | Value::Null => {
            out.push_str(&value.to_string());
            true
        }
    }
}

/// The database takes no NUL.
fn text(text: &str, out: &mut String) -> bool {
    out.push_str(&Value::from(text).to_string());
    !text.contains('\0')
}

/// Without the space between its parts.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let keep = |c: &char| {
        if in_text {
            in_text = escaped || *c != '"';
            escaped = *c == '\\' && !escaped;
            return true;
        }
        in_text = *c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_would_write_otherwise_is_kept_as_bytes() {
        for text in ["null", "{\"a\":1}", "{\"b\":[],\"aa\":\"\\n\\\"ü\"}", "[1.5,-2,true]", "\"a b\""] {
            assert_eq!(written(&Bytes::from(text)), (text.to_owned(), false), "{text}");
        }
        for text in [
            "",
            "{",
            "{\"a\": 1}",
            "{\"aa\":1,\"b\":2}",
            "{\"a\":1,\"a\":2}",
            "1.50",
            "1e5",
            "1e-7",
            "-0",
            "12345678901234567890123",
            "\"\\u0000\"",
            "\"\\u00fc\"",
            "a\0",
        ] {
            let (json, is_binary) = written(&Bytes::from(text));
            assert!(is_binary, "{text}");
            assert_eq!(read(json, true).expect("it is read"), text);
        }
        let (json, is_binary) = written(&Bytes::from_static(b"\0\xff"));
        assert_eq!(
            (read(json, is_binary).expect("it is read"), is_binary),
            (Bytes::from_static(b"\0\xff"), true)
        );
    }

    #[test]
    fn space_that_the_database_puts_in_is_left_out() {
        let text = r#"{"a": [1, "b: \", c"], "d e": {}}"#.to_owned();
        assert_eq!(read(text, false).expect("it is read"), r#"{"a":[1,"b: \", c"],"d e":{}}"#);
        assert!(read("1".to_owned(), true).is_err() && read("\"!\"".to_owned(), true).is_err());
    }
}
