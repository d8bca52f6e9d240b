//! `bindings.localstorage`: files below a folder.
//!
//! A file appears with all of its bytes or not at all: it is written under another name, synced, and renamed. Names lead
//! nowhere outside of the folder (`place.rs`).

mod place;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::{Error, Output, Request, Response, truth};
use crate::Reply;
use crate::properties::{Invalid, Properties};
use place::Root;

/// Files below a folder.
#[derive(Clone, Debug)]
pub struct LocalStorage(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    root: Root,
    /// Whether what is base64 is written as what it encodes, if the request says nothing.
    decode: bool,
}

impl LocalStorage {
    /// Over the folder that is set, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Which setting is wrong.
    pub fn new(set: &Properties) -> Result<LocalStorage, Invalid> {
        let path = set.needed("rootPath")?;
        let root = Root::open(Path::new(path))
            .map_err(|why| Invalid::of("rootPath", format!("is {path:?}: {why}")))?;
        let decode = set.text("decodeBase64").is_none() || set.flag("decodeBase64")?;
        Ok(LocalStorage(Arc::new(Settings { root, decode })))
    }
}

impl Output for LocalStorage {
    fn operations(&self) -> &'static [&'static str] {
        &["create", "get", "list", "delete"]
    }

    fn invoke(&self, request: Request) -> Reply<'_, Result<Response, Error>> {
        let settings = Arc::clone(&self.0);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || settings.invoke(&request));
            done.await.map_err(|error| Error::new(error.to_string()))?
        })
    }
}

impl Settings {
    fn invoke(&self, request: &Request) -> Result<Response, Error> {
        let name = request.said("fileName");
        let needed = || name.ok_or_else(|| Error::new("the metadata has no fileName"));
        match request.operation.as_str() {
            "create" => self.create(name, request),
            "get" => self.get(needed()?),
            "list" => self.list(name.unwrap_or_default()),
            "delete" => self.delete(needed()?),
            odd => Err(Error::new(format!("unsupported operation {odd}"))),
        }
    }

    fn create(&self, name: Option<&str>, request: &Request) -> Result<Response, Error> {
        let decode = match request.said("decodeBase64") {
            Some(text) => truth(text)
                .ok_or_else(|| Error::new(format!("decodeBase64 is {text:?}, neither true nor false")))?,
            None => self.decode,
        };
        let name = match name {
            Some(name) => name.to_owned(),
            None => random_name()?,
        };
        let failed = |error: io::Error| Error::new(format!("error creating file {name}: {error}"));
        let path = self.root.to_write(&name).map_err(failed)?;
        replace(&path, &contents(&request.data, decode)).map_err(failed)?;
        Ok(Response::of(json!({ "fileName": self.root.relative(&path) }).to_string()))
    }

    fn get(&self, name: &str) -> Result<Response, Error> {
        let read = || {
            let path = self.root.to_read(name)?;
            let mut bytes = Vec::new();
            File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(format!("file not found: {name}")),
            _ => Error::new(format!("error reading file {name}: {error}")),
        })?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Error::new(format!(
                "the file {name} has more than {FILE_BYTES_MAX} bytes, which are the most"
            )));
        }
        Ok(Response::of(bytes))
    }

    fn list(&self, name: &str) -> Result<Response, Error> {
        let failed =
            |why: &dyn std::fmt::Display| Error::new(format!("error listing files in {name:?}: {why}"));
        let folder = self.root.to_read(name).map_err(|error| failed(&error))?;
        if !folder.is_dir() {
            return Err(failed(&"it is no folder"));
        }
        let mut files = Vec::new();
        walk(&folder, &mut files).map_err(|error| failed(&error))?;
        if files.len() > FILES_MAX {
            return Err(failed(&format!("it has more than {FILES_MAX} files, which are the most")));
        }
        files.sort();
        let names: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
        Ok(Response::of(json!(names).to_string()))
    }

    fn delete(&self, name: &str) -> Result<Response, Error> {
        let delete = || {
            let path = self.root.entry(name)?;
            match fs::symlink_metadata(&path)?.is_dir() {
                true => fs::remove_dir(path),
                false => fs::remove_file(path),
            }
        };
        delete().map_err(|error| Error::new(format!("error deleting file {name}: {error}")))?;
        Ok(Response::default())
    }
}

/// What is written: what a JSON text says, and what base64 encodes.
fn contents(data: &Bytes, decode: bool) -> Bytes {
    let text = serde_json::from_slice::<String>(data).map_or_else(|_| data.clone(), Bytes::from);
    match decode.then(|| BASE64_STANDARD.decode(&text)) {
        Some(Ok(decoded)) => decoded.into(),
        _ => text,
    }
}

/// Puts a file where it is to be, with all of its bytes.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unnamed = path.with_file_name(format!("{UNFINISHED}{}", random_name().map_err(io::Error::other)?));
    let written = File::create_new(&unnamed).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unnamed, path)
    });
    written.inspect_err(|_| drop(fs::remove_file(&unnamed)))
}

/// The files below a folder; once there are too many, some of them.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if files.len() > FILES_MAX {
            return Ok(());
        }
        // Links are named, and not followed: they may lead in a circle.
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// A UUID of version 4.
fn random_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::new("the system has no random bytes"))?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 4 << 76 | 2 << 62;
    let digits = format!("{number:032x}");
    let [a, b, c, d, e] = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

/// Largest file that is read; it is held in memory as a whole.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most files that are listed at once.
const FILES_MAX: usize = 10_000;
/// How the name of a file begins that is still being written.
const UNFINISHED: &str = ".colony-unfinished-";

#[cfg(test)]
mod tests;
