//! How a command fails: in a sentence, with what to do about it, and an exit code.

use serde_json::{Map, Value, json};

/// Exit code for a command line that makes no sense, as clap has it.
pub(crate) const NO_SENSE: u8 = 2;

/// Why a command failed, for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A sentence without an end mark. Empty: all has been said already.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
    /// What a program is told besides.
    pub(crate) details: Map<String, Value>,
    /// Exit code.
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hints: Vec::new(), details: Map::new(), code: 1 }
    }

    /// An end of which nothing is to be said.
    pub(crate) fn silent(code: u8) -> Failure {
        Failure { code, ..Failure::new("") }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Failure {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

impl From<&Failure> for Value {
    fn from(failure: &Failure) -> Value {
        let mut object = json!({ "error": failure.message, "hints": failure.hints });
        for (name, value) in &failure.details {
            object[name] = value.clone();
        }
        object
    }
}
