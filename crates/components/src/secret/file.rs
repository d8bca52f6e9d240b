//! `secretstores.local.file`: secrets in a JSON file, for development.
//!
//! The file is read whenever a secret is asked for: it is small, and so what was changed is seen at once. What lies
//! deeper in it is known by the keys on the way there, joined by a separator; with `multiValued` only below the first
//! level, whose keys are the secrets' names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Error, Secret, Store};
use crate::properties::Invalid;
use crate::{Properties, Reply};

/// Secrets in a file.
#[derive(Clone)]
pub struct File(Arc<Settings>);

struct Settings {
    path: PathBuf,
    separator: String,
    multi_valued: bool,
}

impl File {
    /// By what is set: `secretsFile`, `nestedSeparator` and `multiValued`.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, the file's contents included.
    pub fn new(set: &Properties) -> Result<File, Invalid> {
        let path = set.needed("secretsFile")?;
        let file = File(Arc::new(Settings {
            path: path.into(),
            separator: set.text("nestedSeparator").unwrap_or(":").to_owned(),
            multi_valued: set.flag("multiValued")?,
        }));
        file.0.read().map_err(|why| Invalid::of("secretsFile", format!("is {path:?}: {why}")))?;
        Ok(file)
    }

    async fn read(&self) -> Result<BTreeMap<String, Secret>, Error> {
        let settings = self.0.clone();
        let read = tokio::task::spawn_blocking(move || {
            settings.read().map_err(|why| format!("{}: {why}", settings.path.display()))
        });
        let read = read.await.map_err(|error| Error::Unavailable(error.to_string()))?;
        read.map_err(Error::Unavailable)
    }
}

impl Store for File {
    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, Error>> {
        Box::pin(
            async move { self.read().await?.remove(name).ok_or_else(|| Error::Unknown(name.to_owned())) },
        )
    }

    fn all(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, Error>> {
        Box::pin(self.read())
    }
}

impl Settings {
    fn read(&self) -> Result<BTreeMap<String, Secret>, String> {
        self.parse(&contents(&self.path)?)
    }

    fn parse(&self, text: &[u8]) -> Result<BTreeMap<String, Secret>, String> {
        // What is wrong is told by its place: a part of it could be a secret.
        let odd = |error: serde_json::Error| {
            format!("no JSON object, at line {} column {}", error.line(), error.column())
        };
        let file: Map<String, Value> = serde_json::from_slice(text).map_err(odd)?;
        let mut secrets = BTreeMap::new();
        if self.multi_valued {
            for (name, value) in file {
                let mut secret = Secret::new();
                match value {
                    Value::Object(_) | Value::Array(_) => self.flatten("", value, &mut secret)?,
                    value => self.flatten(&name, value, &mut secret)?,
                }
                secrets.insert(name, secret);
            }
            return Ok(secrets);
        }
        let mut flat = Secret::new();
        self.flatten("", Value::Object(file), &mut flat)?;
        for (name, value) in flat {
            secrets.insert(name.clone(), Secret::from([(name, value)]));
        }
        Ok(secrets)
    }

    fn flatten(&self, path: &str, value: Value, into: &mut Secret) -> Result<(), String> {
        let below = |key: &str| match path {
            "" => key.to_owned(),
            _ => format!("{path}{}{key}", self.separator),
        };
        let text = match value {
            Value::Object(map) => {
                return map.into_iter().try_for_each(|(key, value)| self.flatten(&below(&key), value, into));
            }
            Value::Array(list) => {
                let mut numbered = list.into_iter().enumerate();
                return numbered
                    .try_for_each(|(at, value)| self.flatten(&below(&at.to_string()), value, into));
            }
            Value::String(text) => text,
            Value::Null => String::new(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
        };
        match into.entry(path.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(text);
                Ok(())
            }
            Entry::Occupied(_) => Err(format!("two values are called {path:?}; rename one of their keys")),
        }
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes, which are the most"));
    }
    Ok(text)
}

/// Largest file. Each request reads it.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(separator: &str, multi_valued: bool) -> Settings {
        Settings { path: PathBuf::new(), separator: separator.to_owned(), multi_valued }
    }

    fn secrets(settings: &Settings, text: &str) -> Vec<(String, Secret)> {
        settings.parse(text.as_bytes()).expect("it is right").into_iter().collect()
    }

    fn secret<const N: usize>(name: &str, values: [(&str, &str); N]) -> (String, Secret) {
        (name.to_owned(), values.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    }

    #[test]
    fn what_lies_deeper_is_known_by_its_path() {
        let text = r#"{"a": "1", "db": {"user": "u", "ports": [5432, 6432]}, "on": true, "off": null}"#;
        let found = secrets(&settings(":", false), text);
        let expected = [
            ("a", "1"),
            ("db:ports:0", "5432"),
            ("db:ports:1", "6432"),
            ("db:user", "u"),
            ("off", ""),
            ("on", "true"),
        ];
        assert_eq!(found, expected.map(|(name, value)| secret(name, [(name, value)])));
        let found = secrets(&settings("/", false), r#"{"a": {"b": "1"}}"#);
        assert_eq!(found, [secret("a/b", [("a/b", "1")])]);
    }

    #[test]
    fn with_several_values_each_first_key_is_a_secret() {
        let text = r#"{"a": "1", "db": {"user": "u", "in": {"deep": "d"}}}"#;
        let found = secrets(&settings(":", true), text);
        assert_eq!(found, [secret("a", [("a", "1")]), secret("db", [("in:deep", "d"), ("user", "u")])]);
    }

    #[test]
    fn what_is_wrong_is_told_without_a_secret() {
        let odd = |text: &str| settings(":", false).parse(text.as_bytes()).expect_err("it is wrong");
        for text in ["{\n\"a\": hush}", "[\"hush\"]", "{\"a\": \"hush", "\"hush\""] {
            assert!(odd(text).contains("line") && !odd(text).contains("hush"), "{}", odd(text));
        }
        assert!(odd(r#"{"a:b": "hush", "a": {"b": "hush"}}"#).contains("\"a:b\""));
    }

    #[tokio::test]
    async fn a_changed_file_is_seen_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.json");
        std::fs::write(&path, r#"{"a": "1"}"#).expect("it is written");
        let path_text = path.display().to_string();
        let file = File::new(&Properties::from_iter([("secretsFile", path_text)])).expect("it is right");
        assert_eq!(file.get("b").await, Err(Error::Unknown("b".to_owned())));
        std::fs::write(&path, r#"{"b": "2"}"#).expect("it is written");
        assert!(file.get("b").await.is_ok_and(|secret| secret["b"] == "2"));
        std::fs::remove_file(&path).expect("it is gone");
        assert!(matches!(file.all().await, Err(Error::Unavailable(why)) if why.contains("secrets.json")));
    }

    #[test]
    fn where_no_file_is_there_is_no_store() {
        let refused = |set: &[(&str, &str)]| {
            File::new(&Properties::from_iter(set.iter().copied())).map(drop).map_err(|invalid| invalid.name)
        };
        assert_eq!(refused(&[]), Err("secretsFile".to_owned()));
        assert_eq!(refused(&[("secretsFile", "/nowhere.json")]), Err("secretsFile".to_owned()));
    }
}
