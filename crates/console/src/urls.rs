//! Passwords within URLs (`postgres://me:hunter2@db`) are kept out of what is shown, whatever the variable is called that holds one.
//!
//! Where a password stands in a URL: RFC 3986, section 3.2.1.

use std::borrow::Cow;

use serde_json::Value;
use telemetry::redact::MARK;

/// The text with [`MARK`] in the place of each such password; borrowed where there is none.
pub(crate) fn hushed(text: &str) -> Cow<'_, str> {
    let (mut clean, mut shown) = (String::new(), 0);
    for (at, _) in text.match_indices("://") {
        let begin = at + 3;
        let authority = &text[begin..];
        let end = authority.find(|c: char| ENDS.contains(c) || c.is_whitespace()).unwrap_or(authority.len());
        // A password may have an `@` that nobody has encoded: the last is the one before the host.
        let Some(host) = authority[..end].rfind('@') else { continue };
        let Some(colon) = authority[..host].find(':').filter(|colon| colon + 1 < host) else { continue };
        if begin < shown {
            continue;
        }
        clean.push_str(&text[shown..=begin + colon]);
        clean.push_str(MARK);
        shown = begin + host;
    }
    match shown {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(clean + &text[shown..]),
    }
}

/// The same for all texts of a document.
pub(crate) fn hushed_in(document: &mut Value) {
    match document {
        Value::String(text) => {
            if let Cow::Owned(clean) = hushed(text) {
                *text = clean;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(hushed_in),
        Value::Object(members) => members.values_mut().for_each(hushed_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What an authority ends before, in a URL and in a text that has one.
const ENDS: &str = "/?#\"'<>`";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_hidden_and_the_rest_is_shown() {
        let of = |text: &str| hushed(text).into_owned();
        assert_eq!(of("postgres://me:hunter2@db:5432/shop"), "postgres://me:[secret]@db:5432/shop");
        assert_eq!(of("a redis://:p@ss:w@h and x://u:p@h\n"), "a redis://:[secret]@h and x://u:[secret]@h\n");
        assert_eq!(of("amqp://u:s3@one,two"), "amqp://u:[secret]@one,two");
        for plain in
            ["http://127.0.0.1:8080/a@b:c", "mailto:me@home", "http://me@home/", "x://u:@h", "://", "é://é"]
        {
            assert!(matches!(hushed(plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    #[test]
    fn all_of_a_document_is_looked_at() {
        let mut document = json!({ "a": [1, "x://u:pw@h", null], "b": { "c": "x://u:pw@h" } });
        hushed_in(&mut document);
        assert_eq!(document, json!({ "a": [1, "x://u:[secret]@h", null], "b": { "c": "x://u:[secret]@h" } }));
    }
}
