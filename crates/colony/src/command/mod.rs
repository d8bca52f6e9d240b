//! The commands, a file each, and how a command fails.

mod check;
mod explain;
mod init;
mod load;
mod logs;
mod operate;
mod status;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::node;
use crate::terminal;

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

/// Runs the command that was given.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    if let Some(dir) = &args.dir {
        std::env::set_current_dir(dir)
            .map_err(|error| Failure::new(format!("cannot work in {}: {error}", dir.display())))?;
    }
    match args.command {
        Command::Up(up) => runtime()?.block_on(node::run(up)),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => runtime()?.block_on(status::run(&args)),
        Command::Logs(args) => runtime()?.block_on(logs::run(&args)),
        Command::Apply(args) => runtime()?.block_on(operate::apply(&args)),
        Command::Restart(args) => runtime()?.block_on(operate::restart(&args)),
        Command::Scale(args) => runtime()?.block_on(operate::scale(&args)),
        Command::Stop(args) => runtime()?.block_on(operate::stop(&args)),
        Command::Init(args) => init::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema => {
            terminal::out(&format!("{:#}\n", manifest::schema()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))
}
