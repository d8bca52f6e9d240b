//! The colony binary: reads the command line and hands over to one command.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod args;
mod client;
mod command;
mod failure;
mod lower;
mod node;
mod registry;
mod socket;
mod source;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == supervisor::GUARDIAN_ARGUMENT) {
        supervisor::guardian_main();
    }
    let args = args::Args::parse();
    match command::run(args) {
        Ok(code) => code,
        Err(failure) => {
            terminal::failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}
