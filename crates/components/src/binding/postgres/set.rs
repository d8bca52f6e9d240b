//! What the `$` of a statement are set to, as a list of JSON.

use std::error::Error as StdError;

use bytes::BytesMut;
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type};

use super::Error;

/// What one is set to.
#[derive(Debug)]
pub(super) struct Set(Value);

impl Set {
    /// All of them, from a text.
    pub(super) fn all(text: Option<&str>) -> Result<Vec<Set>, Error> {
        let Some(text) = text else { return Ok(Vec::new()) };
        let all: Vec<Value> = serde_json::from_str(text).map_err(|error| {
            Error::new(format!("invalid metadata property params: it is no list of JSON: {error}"))
        })?;
        Ok(all.into_iter().map(Set).collect())
    }
}

impl ToSql for Set {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match &self.0 {
            Value::Null => return Ok(IsNull::Yes),
            value => out.extend_from_slice(text(value, kind).as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.to_sql(kind, out)
    }
}

/// As the database reads it where this type stands.
fn text(value: &Value, kind: &Type) -> String {
    match (value, kind.kind()) {
        _ if [Type::JSON, Type::JSONB].contains(kind) => value.to_string(),
        (Value::Array(list), Kind::Array(inner)) => {
            let parts = list.iter().map(|one| match one {
                Value::Null => "NULL".to_owned(),
                one => {
                    let quoted = text(one, inner).replace('\\', "\\\\").replace('"', "\\\"");
                    format!("\"{quoted}\"")
                }
            });
            format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
        }
        (Value::String(text), _) => text.clone(),
        (value, _) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_the_database_reads_them() {
        assert_eq!(text(&json!("a b"), &Type::TEXT), "a b");
        assert_eq!(text(&json!("a b"), &Type::JSONB), "\"a b\"");
        assert_eq!(text(&json!({"a": 1}), &Type::JSON), "{\"a\":1}");
        assert_eq!(
            (text(&json!(1.5), &Type::NUMERIC), text(&json!(true), &Type::BOOL)),
            ("1.5".into(), "true".into())
        );
        assert_eq!(text(&json!(["a\"b", null, "c\\"]), &Type::TEXT_ARRAY), r#"{"a\"b",NULL,"c\\"}"#);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!(Set::all(None).expect("none").len(), 0);
        assert_eq!(Set::all(Some("[1, null]")).expect("two").len(), 2);
        assert!(Set::all(Some("{}")).is_err() && Set::all(Some("1,2")).is_err());
    }
}
