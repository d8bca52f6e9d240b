//! Lines of `key=value`, as Go's libraries write them: a value with a space in it stands in quotes.

use super::fields::Fields;
use crate::span::{Text, Value};

/// Fewest pairs of a line, and most that are read.
const PAIRS_MIN: usize = 2;
const PAIRS_MAX: usize = 128;

/// The pairs of a line that is nothing but pairs, of which one is a level or a message; none for any other.
pub(super) fn fields(text: &str) -> Option<Fields> {
    let mut pairs = Vec::new();
    let mut left = text;
    while !left.is_empty() && pairs.len() < PAIRS_MAX {
        let (key, rest) = left.split_once('=')?;
        if key.is_empty() || !key.bytes().all(is_of_key) {
            return None;
        }
        let (value, rest) = value(rest)?;
        pairs.push((Text::from(key.to_owned()), value));
        left = rest.trim_start();
    }
    let fields = Fields::new(pairs.clone());
    (pairs.len() >= PAIRS_MIN && fields.is_log()).then_some(fields)
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.@/".contains(&byte)
}

/// A value, and what is behind it.
fn value(text: &str) -> Option<(Value, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = unquoted(quoted)?;
        return (rest.is_empty() || rest.starts_with(' ')).then_some((value.into(), rest));
    }
    let (bare, rest) = text.split_once(' ').unwrap_or((text, ""));
    let value = match bare.parse::<i64>() {
        // A number with noughts in front is a name.
        Ok(number) if number.to_string() == bare => Value::Int(number),
        _ => bare.to_owned().into(),
    };
    Some((value, rest))
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}
