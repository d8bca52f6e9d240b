//! Values of state as JSON: kept as they were written, without the space between.
//!
//! They are not read into numbers and maps and written anew, by which others round numbers and put keys in another
//! order.

use bytes::Bytes;
use serde_json::value::RawValue;

/// A valid JSON text that is a part of `body`, without space between its parts.
pub(crate) fn compact(body: &Bytes, json: &str) -> Bytes {
    match gap(json) {
        None => body.slice_ref(json.as_bytes()),
        Some(_) => squeezed(json).into(),
    }
}

/// The same of bytes that may be no JSON.
///
/// # Errors
///
/// What of them is none.
pub(crate) fn compacted(body: &Bytes) -> Result<Bytes, serde_json::Error> {
    let json: &RawValue = serde_json::from_slice(body)?;
    Ok(compact(body, json.get()))
}

/// Where the first space is that stands between parts.
fn gap(json: &str) -> Option<usize> {
    let mut state = Scan::default();
    json.bytes().position(|byte| state.is_gap(byte))
}

fn squeezed(json: &str) -> Vec<u8> {
    let mut state = Scan::default();
    json.bytes().filter(|byte| !state.is_gap(*byte)).collect()
}

/// Where in a JSON text one is.
#[derive(Default)]
struct Scan {
    in_text: bool,
    escaped: bool,
}

impl Scan {
    fn is_gap(&mut self, byte: u8) -> bool {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = byte == b'\\' && !self.escaped;
            return false;
        }
        self.in_text = byte == b'"';
        matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ \\PC\"\\\\\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                btree_map("[ \"\\\\a-c]{0,3}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_says_the_same_without_space(value in json()) {
            let spaced = Bytes::from(format!("{value:#}"));
            prop_assert_eq!(compacted(&spaced).unwrap(), value.to_string());
        }
    }

    fn compacted_text(json: &'static str) -> Bytes {
        compacted(&Bytes::from_static(json.as_bytes())).unwrap()
    }

    #[test]
    fn only_space_between_parts_goes() {
        let text = r#" { "b" : [ 1 , 2.50 , -0, 12345678901234567890 ] , "a \" b\\" : "\\" , "é" :	null } "#;
        assert_eq!(
            compacted_text(text),
            r#"{"b":[1,2.50,-0,12345678901234567890],"a \" b\\":"\\","é":null}"#
        );
    }

    #[test]
    fn what_is_compact_is_not_copied() {
        let body = Bytes::from_static(br#"{"a b":1}"#);
        assert_eq!(compacted(&body).unwrap().as_ptr(), body.as_ptr());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for odd in ["", "{", "nul", "\"", "1 2"] {
            assert!(compacted(&Bytes::from_static(odd.as_bytes())).is_err(), "{odd}");
        }
    }
}
