//! How a command fails: in a sentence, with what to do about it, and an exit code.

/// Why a command failed, for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A sentence without an end mark. Empty: all has been said already.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
    /// Exit code.
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hints: Vec::new(), code: 1 }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hints.push(hint.into());
        self
    }
}
