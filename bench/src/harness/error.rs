//! Why a benchmark could not be run.

use std::fmt;

/// The result of anything a benchmark does.
pub type Result<T> = std::result::Result<T, Error>;

/// What was being done, and what stood in the way.
#[derive(Debug)]
pub struct Error {
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// `doing` reads on after "cannot".
    pub fn new(
        doing: impl fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { what: format!("cannot {doing}"), source: Some(source.into()) }
    }

    /// A whole sentence.
    pub fn say(what: impl Into<String>) -> Error {
        Error { what: what.into(), source: None }
    }

    /// The error and its causes in one line.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
