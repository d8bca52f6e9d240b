//! Resource files, read and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use manifest::{Configuration, Diagnostics, Resources, Source};
use serde::{Deserialize, Serialize};

use super::journal::{Journal, Level};
use crate::failure::Failure;

/// A file as it was read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Text {
    name: String,
    text: String,
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
        return Err(Failure::new("the resources have errors; nothing was started")
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
fn paths(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
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
