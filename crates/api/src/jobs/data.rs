//! A job's data: a message of any type to gRPC, JSON to HTTP.

use bytes::Bytes;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Any, ListValue, Struct};
use serde_json::{Number, Value};

use super::Kept;

/// Of a JSON text: the message that it is to gRPC.
pub(crate) fn from_json(value: &Value) -> Any {
    Any { type_url: VALUE.to_owned(), value: message(value).encode_to_vec() }
}

/// What an application is sent over HTTP: JSON as it was written, or what the message of another type consists of.
pub(crate) fn text_of(kept: &Kept) -> Bytes {
    if !kept.json.is_empty() {
        return kept.json.clone();
    }
    let Some(data) = &kept.job.data else { return Bytes::new() };
    match to_json(data) {
        Some(json) => json.to_string().into(),
        None => Bytes::copy_from_slice(data.value.trim_ascii()),
    }
}

/// Of a message that is JSON: what it says.
pub(crate) fn to_json(data: &Any) -> Option<Value> {
    if data.type_url != VALUE {
        return None;
    }
    prost_types::Value::decode(&data.value[..]).ok().map(json)
}

fn message(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        // The message has no other numbers.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(all) => Kind::ListValue(ListValue { values: all.iter().map(message).collect() }),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), message(value))).collect();
            Kind::StructValue(Struct { fields })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

fn json(message: prost_types::Value) -> Value {
    match message.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(truth)) => truth.into(),
        Some(Kind::NumberValue(number)) => whole(number).unwrap_or_else(|| number.into()),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(all)) => all.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(all)) => {
            all.fields.into_iter().map(|(name, value)| (name, json(value))).collect()
        }
    }
}

/// A number without a fraction is written without one.
fn whole(number: f64) -> Option<Value> {
    let exact = number.fract() == 0.0 && number.abs() < EXACT_MAX;
    exact.then(|| Value::Number(Number::from(number as i64)))
}

/// The type of messages that are JSON.
pub(super) const VALUE: &str = "type.googleapis.com/google.protobuf.Value";
/// Up to here a float has every whole number.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_a_message_and_back() {
        let value = json!({ "a": [1, -2.5, true, null, "x"], "b": { "c": {} } });
        assert_eq!(to_json(&from_json(&value)), Some(value));
        let other = Any { type_url: "type.googleapis.com/my.Type".to_owned(), value: b" raw\n".to_vec() };
        assert_eq!(to_json(&other), None);
        let job = crate::proto::dapr::runtime::v1::Job { data: Some(other), ..Default::default() };
        assert_eq!(text_of(&Kept { job, json: Bytes::new() }), "raw");
    }
}
