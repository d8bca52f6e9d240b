//! Text with `{names}` in it. `{{` and `}}` stand for the braces themselves.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The values that names stand for while a journey runs.
pub(crate) type Scope = BTreeMap<String, Value>;

/// Text cut at its placeholders.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Name(String),
}

impl Template {
    /// Cuts `text`; the error says what is wrong in a sentence.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let name = (brace == "{").then(|| after.split_once('}')).flatten();
            let Some((name, after)) = name else {
                return Err(format!(
                    "a single `{brace}`: write `{{name}}`, or `{brace}{brace}` for the brace itself"
                ));
            };
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
                return Err(format!("`{{{name}}}` is no name: letters, digits, `_` and `-` only"));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Name(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template(parts))
    }

    /// Text that is sent as it is, braces and all.
    pub(crate) fn fixed(text: &str) -> Template {
        Template(vec![Part::Text(text.to_owned())])
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text outside the placeholders.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Name(_) => None,
        })
    }

    /// Values as they are.
    pub(crate) fn text(&self, scope: &Scope) -> String {
        self.join(scope, |value, out| out.push_str(value))
    }

    /// Values percent-encoded, so that none of them can end a path segment or begin a query.
    pub(crate) fn url(&self, scope: &Scope) -> String {
        self.join(scope, |value, out| out.extend(utf8_percent_encode(value, RESERVED)))
    }

    /// A template that is one placeholder and nothing else keeps the type of its value.
    pub(crate) fn json(&self, scope: &Scope) -> Value {
        match self.0.as_slice() {
            [Part::Name(name)] => scope.get(name).cloned().unwrap_or_default(),
            _ => Value::String(self.text(scope)),
        }
    }

    fn join(&self, scope: &Scope, mut put: impl FnMut(&str, &mut String)) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => match scope.get(name) {
                    Some(Value::String(text)) => put(text, &mut out),
                    Some(value) => put(&value.to_string(), &mut out),
                    None => {}
                },
            }
        }
        out
    }
}

/// Everything but the unreserved characters of RFC 3986, 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope::from([("n".into(), 7.into()), ("w".into(), "a b/c".into())])
    }

    #[test]
    fn names_are_replaced_and_encoded_where_they_must_be() {
        let template = Template::parse("/p/{n}?q={w}&{{x}}").unwrap();
        assert_eq!(template.url(&scope()), "/p/7?q=a%20b%2Fc&{x}");
        assert_eq!(template.text(&scope()), "/p/7?q=a b/c&{x}");
    }

    #[test]
    fn a_lone_name_keeps_its_type() {
        assert_eq!(Template::parse("{n}").unwrap().json(&scope()), 7);
        assert_eq!(Template::parse("{n}!").unwrap().json(&scope()), "7!");
    }

    #[test]
    fn a_brace_alone_is_an_error() {
        assert!(Template::parse("a{b").unwrap_err().contains("single `{`"));
        assert!(Template::parse("a}b").unwrap_err().contains("single `}`"));
        assert!(Template::parse("{a b}").unwrap_err().contains("is no name"));
    }
}
