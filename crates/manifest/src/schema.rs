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
