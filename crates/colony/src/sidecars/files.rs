//! Resource files, read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use manifest::{Configuration, Diagnostics, Resources, Source};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::journal::{Journal, Level};
use crate::failure::Failure;

/// What was read for an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(super) resources: Vec<Text>,
    pub(super) configuration: Vec<Text>,
}

/// The same, as it is at present: read anew where the application was started, and told to whoever serves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Read", into = "Read")]
pub(crate) struct Declared(Arc<watch::Sender<Read>>);

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Text {
    name: String,
    text: String,
}

impl Read {
    /// What there is in these folders, and in these files of configuration.
    pub(crate) fn of(resources: &[PathBuf], configuration: &[PathBuf]) -> Result<Read, Failure> {
        Ok(Read { resources: in_folders(resources)?, configuration: named(configuration)? })
    }

    /// What is otherwise than before, a few words for each file.
    pub(crate) fn changes(&self, before: &Read) -> Vec<String> {
        let all = |read: &Read| -> BTreeMap<String, String> {
            let texts = read.resources.iter().chain(&read.configuration);
            texts.map(|one| (one.name.clone(), one.text.clone())).collect()
        };
        let (before, now) = (all(before), all(self));
        let gone =
            before.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is gone"));
        let other = now.iter().filter_map(|(name, text)| match before.get(name) {
            None => Some(format!("{name} is new")),
            Some(was) if was != text => Some(format!("{name} has changed")),
            Some(_) => None,
        });
        other.chain(gone).collect()
    }
}

impl Declared {
    pub(super) fn watch(&self) -> watch::Receiver<Read> {
        self.0.subscribe()
    }

    /// Tells those who watch, if it is not the same.
    pub(crate) fn replace(&self, read: Read) {
        self.0.send_if_modified(|before| {
            let differs = *before != read;
            *before = read;
            differs
        });
    }
}

impl From<Read> for Declared {
    fn from(read: Read) -> Declared {
        Declared(Arc::new(watch::Sender::new(read)))
    }
}

impl From<Declared> for Read {
    fn from(declared: Declared) -> Read {
        declared.0.borrow().clone()
    }
}

/// The files in these folders.
pub(super) fn in_folders(folders: &[PathBuf]) -> Result<Vec<Text>, Failure> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(named(&paths(folder)?)?);
    }
    Ok(files)
}

/// These files.
pub(super) fn named(paths: &[PathBuf]) -> Result<Vec<Text>, Failure> {
    paths.iter().map(|path| read(path)).collect()
}

/// What is declared in files.
pub(super) fn resources(files: &[Text], variables: &BTreeMap<String, String>, embedded: bool) -> Resources {
    manifest::resources(&sources(files), variables, embedded)
}

/// What files configure.
pub(super) fn configuration(files: &[Text]) -> Configuration {
    manifest::configuration(&sources(files))
}

/// Tells what was found in them, and fails if there is an error.
pub(super) fn tell(diagnostics: &Diagnostics, journal: &Journal) -> Result<(), Failure> {
    journal.draw(|terminal| diagnostics.render(terminal.width, terminal.colours));
    if diagnostics.errors() > 0 {
        return Err(Failure::new(format!("the resources have errors{UNSTARTED}"))
            .hint("`colony explain CODE` says more about each")
            .detail("diagnostics", diagnostics.to_json()));
    }
    if journal.is_json() {
        for one in diagnostics.iter() {
            let (line, column) = diagnostics.position(one.span);
            let place = format!("{}:{line}:{column}", diagnostics.file(one.span));
            journal.say(Level::Warn, &format!("{place}: {}", one.message));
        }
    }
    Ok(())
}

/// The YAML files of a folder, by name.
pub(crate) fn paths(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| {
        Failure::new(format!("cannot read the folder {}: {error}", folder.display()))
            .hint("--resources-path names a folder with resource files")
    };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Text, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(Text { name: path.display().to_string(), text })
}

fn sources(files: &[Text]) -> Vec<Source> {
    files.iter().map(|one| Source { name: one.name.clone(), text: one.text.clone() }).collect()
}

/// What is said besides where there was nothing before.
pub(super) const UNSTARTED: &str = "; nothing was started";
