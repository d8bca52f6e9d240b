//! The JSON Schema of the manifest, for editors.

use schemars::generate::SchemaSettings;

use crate::typed::Manifest;

/// JSON Schema (2020-12) of a manifest. What it accepts is a little more than what
/// [`crate::check`] does: cross references are beyond it. `${NAME}` is allowed in every scalar
/// that has a pattern.
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Manifest>();
    schema.insert("title".to_owned(), "colony.yaml".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    //! A small validator of what the schema uses of JSON Schema, all but `pattern`.

    use std::collections::BTreeSet;

    use serde_json::{Value as Json, json};

    use crate::typed::decode::{Looks, looks};
    use crate::yaml::{Node, Value, parse};

    const MARKETPLACE: &str = include_str!("../tests/good/marketplace.yaml");

    struct Validator {
        schema: Json,
        /// Properties that were used, as "service.run": the definition's place and the key.
        used: BTreeSet<String>,
    }

    impl Validator {
        fn accepts(&mut self, schema: &Json, place: &str, value: &Json) -> Result<(), String> {
            if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
                let target = self.schema.pointer(&reference[1..]).cloned().ok_or(reference)?;
                self.accepts(&target, reference, value)?;
            }
            if let Some(any) = schema.get("anyOf").and_then(Json::as_array) {
                let tries: Vec<_> = any.iter().map(|one| self.accepts(one, place, value)).collect();
                if tries.iter().all(Result::is_err) {
                    return Err(format!("{value} at {place}: {tries:?}"));
                }
            }
            if schema.get("const").is_some_and(|only| only != value) {
                return Err(format!("{value} is not {}", schema["const"]));
            }
            if schema.get("enum").and_then(Json::as_array).is_some_and(|one_of| !one_of.contains(value)) {
                return Err(format!("{value} is not of {}", schema["enum"]));
            }
            if !is_type(&schema["type"], value) {
                return Err(format!("{value} is not {} at {place}", schema["type"]));
            }
            for item in value.as_array().into_iter().flatten() {
                self.accepts(&schema["items"], place, item)?;
            }
            self.accepts_map(schema, place, value)
        }

        fn accepts_map(&mut self, schema: &Json, place: &str, value: &Json) -> Result<(), String> {
            let Some(map) = value.as_object().filter(|_| schema.get("type").is_some()) else { return Ok(()) };
            for key in schema["required"].as_array().into_iter().flatten() {
                map.get(key.as_str().unwrap_or_default()).ok_or(format!("no {key} at {place}"))?;
            }
            for (key, value) in map {
                match schema["properties"].get(key) {
                    Some(property) => {
                        self.used.insert(format!("{place}.{key}"));
                        self.accepts(&property.clone(), &format!("{place}/{key}"), value)?;
                    }
                    None if schema["additionalProperties"] == json!(false) => {
                        return Err(format!("unknown {key} at {place}"));
                    }
                    None => self.accepts(&schema["additionalProperties"].clone(), place, value)?,
                }
            }
            Ok(())
        }
    }

    fn is_type(types: &Json, value: &Json) -> bool {
        let is = |name: &Json| match name.as_str().unwrap_or_default() {
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            _ => value.is_null(),
        };
        types.is_null() || types.as_array().map_or_else(|| is(types), |types| types.iter().any(is))
    }

    fn json(node: &Node) -> Json {
        match &node.value {
            Value::List(items) => items.iter().map(json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect()
            }
            Value::Scalar(_) if node.is_null() => Json::Null,
            Value::Scalar(scalar) => match looks(scalar) {
                Looks::Text => scalar.text.clone().into(),
                _ => serde_json::from_str(&scalar.text).unwrap_or_else(|_| scalar.text.clone().into()),
            },
        }
    }

    fn validate(text: &str) -> (Validator, Result<(), String>) {
        let node = parse(text, 0, &mut Vec::new()).unwrap();
        let schema = crate::schema();
        let mut validator = Validator { schema: schema.clone(), used: BTreeSet::new() };
        let result = validator.accepts(&schema, "#", &json(&node));
        (validator, result)
    }

    /// Every property of every map in the schema.
    fn declared(schema: &Json) -> BTreeSet<String> {
        let definitions = schema["$defs"].as_object().into_iter().flatten();
        let places =
            definitions.map(|(name, one)| (format!("#/$defs/{name}"), one)).chain([("#".to_owned(), schema)]);
        places
            .filter_map(|(place, one)| Some((place, one["properties"].as_object()?)))
            .flat_map(|(place, properties)| {
                properties.keys().map(move |key| format!("{place}.{key}")).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn every_key_of_the_schema_is_decoded_and_every_decoded_key_is_in_it() {
        let (validator, result) = validate(MARKETPLACE);
        assert_eq!(result, Ok(()));
        let declared = declared(&validator.schema);
        let missing: Vec<&String> = declared.difference(&validator.used).collect();
        assert!(missing.is_empty(), "the good example, which is decoded without error, lacks {missing:#?}");
    }

    #[test]
    fn the_schema_refuses_what_the_decoder_refuses() {
        for text in [
            "services: {}",
            "name: a\nservise: {}",
            "name: a\nservices: { a: { run: [x] } }",
            "name: a\nservices: { a: { run: x, timeout: 1s } }",
            "name: a\nservices: { a: { run: x, protocol: http3 } }",
        ] {
            assert!(validate(text).1.is_err(), "{text}");
        }
    }

    #[test]
    fn every_key_is_described() {
        let schema = crate::schema();
        for place in declared(&schema) {
            let (definition, key) = place.rsplit_once('.').unwrap();
            let description = &schema.pointer(&definition[1..]).unwrap()["properties"][key]["description"];
            assert!(description.as_str().is_some_and(|text| text.ends_with('.')), "{place}: {description}");
        }
    }
}
