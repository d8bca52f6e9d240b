//! Stores of secrets: what applications and other components are given and nobody writes down.

mod env;
mod file;
mod scope;
mod sealed;

use std::collections::BTreeMap;
use std::fmt;

pub use env::Env;
pub use file::File;
pub use scope::Scope;
pub use sealed::{KeyIn, Sealed, Vault, check_name};

use crate::Reply;

/// Knows secrets by their names.
///
/// - What was changed outside MUST be seen by the next who asks.
/// - An error MUST NOT have a secret in it.
pub trait Store: Send + Sync {
    /// A secret.
    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, Error>>;

    /// All secrets by name.
    fn all(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, Error>>;
}

/// A secret: values by key. Where it has only one, its key is mostly the secret's own name.
pub type Secret = BTreeMap<String, String>;

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is none of this name.
    Unknown(String),
    /// What keeps them could not be read.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unknown(name) => write!(f, "secret {name} not found"),
            Error::Unavailable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
