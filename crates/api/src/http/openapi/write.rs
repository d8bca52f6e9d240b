//! What the descriptions of endpoints are written with.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schemas::{named, parameter};

/// The paths, with what can be done at each.
#[derive(Default)]
pub(super) struct Paths(Map<String, Value>);

/// What can be done at a path by a method.
#[derive(Clone)]
pub(super) struct Operation {
    id: &'static str,
    about: Map<String, Value>,
    parameters: Vec<Value>,
    /// By status.
    responses: BTreeMap<String, Value>,
    /// By status, with the schema of what is told.
    failures: BTreeMap<u16, Vec<&'static str>>,
}

impl Paths {
    /// Something that is done at a path by these methods.
    pub(super) fn add(&mut self, path: &str, methods: &[&str], operation: Operation) {
        self.add_as("", path, methods, operation);
    }

    /// The same in the version where it became stable, and in the one where it was not.
    pub(super) fn add_in_both(&mut self, path: &str, methods: &[&str], operation: Operation) {
        self.add_as("", &format!("/v1.0{path}"), methods, operation.clone());
        self.add_as("Alpha1", &format!("/v1.0-alpha1{path}"), methods, operation);
    }

    fn add_as(&mut self, suffix: &str, path: &str, methods: &[&str], operation: Operation) {
        for (at, method) in methods.iter().enumerate() {
            let by = if at == 0 { String::new() } else { format!("By{}", method.to_uppercase()) };
            let id = format!("{}{suffix}{by}", operation.id);
            let item = self.0.entry(path).or_insert_with(|| json!({ "parameters": parameters_of(path) }));
            item[*method] = operation.clone().into_value(id, path.contains('{'));
        }
    }

    pub(super) fn into_value(self) -> Value {
        self.0.into()
    }
}

/// Of a path with names in braces.
fn parameters_of(path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    names
        .map(|name| {
            let (schema, description) = parameter(name);
            json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": description })
        })
        .collect()
}

impl Operation {
    pub(super) fn new(tag: &'static str, id: &'static str, summary: &str) -> Operation {
        let mut operation = Operation {
            id,
            about: Map::new(),
            parameters: Vec::new(),
            responses: BTreeMap::new(),
            failures: BTreeMap::new(),
        };
        operation.about.insert("summary".to_owned(), summary.into());
        operation.about.insert("tags".to_owned(), json!([tag]));
        operation.header("X-Request-Deadline", json!({ "type": "string" }), DEADLINE)
    }

    pub(super) fn note(mut self, description: &str) -> Operation {
        self.about.insert("description".to_owned(), description.into());
        self
    }

    /// Anybody may, without a token.
    pub(super) fn open(mut self) -> Operation {
        self.about.insert("security".to_owned(), json!([]));
        self
    }

    pub(super) fn query(self, name: &str, schema: Value, description: &str) -> Operation {
        self.parameter("query", name, false, schema, description)
    }

    pub(super) fn must_query(self, name: &str, schema: Value, description: &str) -> Operation {
        self.parameter("query", name, true, schema, description)
    }

    pub(super) fn header(self, name: &str, schema: Value, description: &str) -> Operation {
        self.parameter("header", name, false, schema, description)
    }

    fn parameter(
        mut self,
        place: &str,
        name: &str,
        required: bool,
        schema: Value,
        description: &str,
    ) -> Operation {
        self.parameters.push(json!({
            "name": name, "in": place, "required": required, "schema": schema, "description": description,
        }));
        self
    }

    /// It is done once under a key.
    pub(super) fn once(self) -> Operation {
        self.header("Idempotency-Key", json!({ "type": "string", "minLength": 1, "maxLength": 255 }), ONCE)
            .fails(400, &["ERR_IDEMPOTENCY_KEY"])
    }

    /// It takes no key.
    pub(super) fn keyless(self) -> Operation {
        self.fails(400, &["ERR_IDEMPOTENCY_KEY"])
    }

    pub(super) fn json_body(self, required: bool, schema: Value) -> Operation {
        self.body(required, json!({ "application/json": { "schema": schema } }))
    }

    pub(super) fn body(mut self, required: bool, content: Value) -> Operation {
        self.about.insert("requestBody".to_owned(), json!({ "required": required, "content": content }));
        self
    }

    /// There is nothing to say: 204.
    pub(super) fn done(mut self, description: &str) -> Operation {
        self.responses.insert("204".to_owned(), json!({ "description": description }));
        self
    }

    pub(super) fn answers(self, description: &str, schema: Value) -> Operation {
        self.content("200", description, json!({ "application/json": { "schema": schema } }))
    }

    pub(super) fn content(mut self, status: &str, description: &str, content: Value) -> Operation {
        self.responses.insert(status.to_owned(), json!({ "description": description, "content": content }));
        self
    }

    /// Headers of the answer that is 200.
    pub(super) fn tells(mut self, headers: Value) -> Operation {
        if let Some(response) = self.responses.get_mut("200") {
            response["headers"] = headers;
        }
        self
    }

    /// With these codes, for this status.
    pub(super) fn fails(mut self, status: u16, codes: &[&'static str]) -> Operation {
        let all = self.failures.entry(status).or_default();
        all.extend(codes.iter().filter(|code| !all.contains(code)).collect::<Vec<_>>());
        self
    }

    /// With all of these.
    pub(super) fn fails_as(self, failures: &[(u16, &'static [&'static str])]) -> Operation {
        failures.iter().fold(self, |operation, (status, codes)| operation.fails(*status, codes))
    }

    fn into_value(mut self, id: String, has_names: bool) -> Value {
        self.responses.insert("431".to_owned(), json!({ "description": "the head is too large" }));
        let is_open = self.about.contains_key("security");
        self = self.fails(504, &["ERR_DEADLINE_EXCEEDED"]);
        if has_names {
            // A name that is no text.
            self = self.fails(400, &["ERR_BAD_REQUEST"]);
        }
        if !is_open {
            // A name that is empty, `.` or `..` is none, and a group of endpoints may be closed.
            self = self.fails(404, &["ERR_DIRECT_INVOKE"]);
        }
        for (status, codes) in &self.failures {
            let told = json!({ "application/json": { "schema": failed(codes) } });
            let response = json!({ "description": codes.join(", "), "content": told });
            merge(self.responses.entry(status.to_string()).or_insert(Value::Null), response);
        }
        if !is_open {
            let text = json!({ "type": "string", "const": "invalid api token\n" });
            let content = json!({ "text/plain": { "schema": text } });
            let response = json!({ "description": "the token is missing or another", "content": content });
            merge(self.responses.entry("401".to_owned()).or_insert(Value::Null), response);
        }
        self.about.insert("operationId".to_owned(), id.into());
        self.about.insert("parameters".to_owned(), self.parameters.into());
        self.about.insert("responses".to_owned(), json!(self.responses));
        self.about.into()
    }
}

/// An error with one of these codes.
fn failed(codes: &[&str]) -> Value {
    json!({ "allOf": [named("Error"), { "type": "object", "properties": { "errorCode": { "enum": codes } } }] })
}

/// What else a status may have: another media type, or of the same one something else.
fn merge(there: &mut Value, more: Value) {
    let Value::Object(more) = more else { return };
    if there.is_null() {
        *there = more.into();
        return;
    }
    there["description"] = [&there["description"], &more["description"]]
        .map(|text| text.as_str().unwrap_or_default())
        .join("; ")
        .into();
    let Some(Value::Object(contents)) = more.get("content") else { return };
    for (media, content) in contents {
        let place = &mut there["content"][media];
        *place = match place.take() {
            Value::Null => content.clone(),
            other => json!({ "schema": { "anyOf": [other["schema"], content["schema"]] } }),
        };
    }
}

const DEADLINE: &str =
    "How many milliseconds the caller waits for the head of an answer. What is no number is ignored.";
const ONCE: &str = "Of two requests under the same key the second is answered as the first and does nothing.";
