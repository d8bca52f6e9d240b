//! Resource files, read and checked.

use std::path::{Path, PathBuf};

use manifest::{Configuration, Diagnostics, Resources};

use super::journal::{Journal, Level};
use crate::failure::Failure;
use crate::terminal;

/// What is declared in the files of these folders.
pub(super) fn resources(folders: &[PathBuf]) -> Result<Resources, Failure> {
    let mut files = Vec::new();
    for folder in folders {
        for path in paths(folder)? {
            files.push(manifest::Source { name: path.display().to_string(), text: read(&path)? });
        }
    }
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Ok(manifest::resources(&files, &env))
}

/// What these files configure.
pub(super) fn configuration(paths: &[PathBuf]) -> Result<Configuration, Failure> {
    let source =
        |path: &PathBuf| Ok(manifest::Source { name: path.display().to_string(), text: read(path)? });
    let files = paths.iter().map(source).collect::<Result<Vec<_>, Failure>>()?;
    Ok(manifest::configuration(&files))
}

/// Tells what was found in them, and fails if there is an error.
pub(super) fn tell(diagnostics: &Diagnostics, journal: &Journal) -> Result<(), Failure> {
    if !journal.is_json() {
        terminal::out(&diagnostics.render(terminal::width(), terminal::colours()));
    }
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

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}
