//! The development CA on disk: in the user's own data folder, made once and for all systems.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use certs::{Authority, Issued, Refused};

use crate::failure::Failure;

/// The file that others are to trust.
const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

/// An authority and where it lies.
pub(crate) struct Stored {
    pub(crate) authority: Authority,
    pub(crate) folder: PathBuf,
    /// It was made just now.
    pub(crate) new: bool,
}

impl Stored {
    /// The one that is there. None: none was made yet.
    pub(crate) fn find() -> Result<Option<Stored>, Failure> {
        let folder = folder()?;
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|error| (error.kind(), cannot("read", &path, &error)))
        };
        let (chain, key) = match (read(CERTIFICATE), read(KEY)) {
            (Ok(chain), Ok(key)) => (chain, key),
            (Err((io::ErrorKind::NotFound, _)), Err((io::ErrorKind::NotFound, _))) => return Ok(None),
            (Err((_, failure)), _) | (_, Err((_, failure))) => return Err(failure.hint(REPLACE)),
        };
        let authority = Authority::from_pem(&chain, &key).map_err(|wrong| {
            Failure::new(format!("the development CA in {} is broken: {wrong}", folder.display()))
                .hint(REPLACE)
        })?;
        Ok(Some(Stored { authority, folder, new: false }))
    }

    /// The one that is there, or else a new one.
    pub(crate) fn find_or_create() -> Result<Stored, Failure> {
        match Stored::find()? {
            Some(stored) => Ok(stored),
            None => Stored::create(&[]),
        }
    }

    /// A new one, in place of any that is there.
    pub(crate) fn create(permit: &[String]) -> Result<Stored, Failure> {
        let folder = folder()?;
        let authority = Authority::create(permit, now()).map_err(|refused| said(&refused))?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| cannot("create", &folder, &error))?;
        write(&folder.join(KEY), &authority.key_pem(), 0o600)?;
        write(&folder.join(CERTIFICATE), authority.pem(), 0o644)?;
        Ok(Stored { authority, folder, new: true })
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    pub(crate) fn issue(&self, names: &[String]) -> Result<Issued, Failure> {
        issue(&self.authority, names)
    }
}

/// A certificate by an authority, or what to do about it that there is none.
pub(crate) fn issue(authority: &Authority, names: &[String]) -> Result<Issued, Failure> {
    authority.issue(names, now()).map_err(|refused| said(&refused))
}

fn said(refused: &Refused) -> Failure {
    let failure = Failure::new(refused.to_string());
    match refused {
        Refused::NotPermitted(names) => {
            let more: String =
                names.iter().map(|name| format!(" --permit {}", name.trim_start_matches("*."))).collect();
            failure
                .hint("it signs for localhost and .test with all below them, and for loopback and private addresses")
                .hint(format!("`colony certs --replace{more}` makes another one, which is to be trusted anew"))
        }
        Refused::Expired => failure.hint(REPLACE),
        Refused::NotAName(_) => failure
            .hint("write a name such as shop.localhost or *.shop.test, or an address such as 192.168.1.5"),
        Refused::Failed(_) => failure,
    }
}

/// Writes a file that is there as a whole or not at all.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = || {
        let _ = std::fs::remove_file(&beside);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?
            .write_all(text.as_bytes())?;
        std::fs::rename(&beside, path)
    };
    written().map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        cannot("write", path, &error)
    })
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", path.display()))
}

/// `$XDG_DATA_HOME/colony/ca`, by default below `~/.local/share`.
fn folder() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    let data = data.ok_or_else(|| {
        Failure::new("there is no place for a development CA: neither XDG_DATA_HOME nor HOME is set")
            .hint("set XDG_DATA_HOME to a folder of your own")
    })?;
    Ok(data.join("colony/ca"))
}

/// Where the authority's certificate is, or will be.
pub(crate) fn certificate() -> Option<PathBuf> {
    Some(folder().ok()?.join(CERTIFICATE))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

const REPLACE: &str = "`colony certs --replace` makes another one, which is to be trusted anew";
