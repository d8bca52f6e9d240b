//! The colony binary: reads the command line and hands over to one command.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod adapters;
mod args;
mod authority;
mod client;
mod command;
mod failure;
mod faults;
mod find;
mod kept;
mod lower;
mod node;
mod process;
mod registry;
mod sidecars;
mod socket;
mod source;
mod terminal;
mod tls;

use std::process::ExitCode;

use failure::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == supervisor::GUARDIAN_ARGUMENT) {
        supervisor::guardian_main();
    }
    let ended = match args::Args::understood(std::env::args_os().collect()) {
        Ok(args) => {
            let say = if args.command.json() { terminal::failure_json } else { terminal::failure };
            command::run(args).inspect_err(say)
        }
        Err(said) if said.use_stderr() => refuse(&said),
        Err(help) => terminal::print_help(&help).inspect_err(terminal::failure),
    };
    ended.unwrap_or_else(|failure| ExitCode::from(failure.code))
}

/// Refuses a command line that makes no sense, in JSON if it asks for that.
fn refuse(said: &clap::Error) -> Result<ExitCode, Failure> {
    if !std::env::args_os().any(|word| word == "--json") {
        said.exit();
    }
    let text = said.render().to_string();
    let paragraphs: Vec<String> =
        text.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let failure = paragraphs
        .iter()
        .skip(1)
        .filter(|hint| !hint.is_empty())
        .fold(Failure::new(paragraphs[0].trim_start_matches("error: ")), |failure, hint| {
            failure.hint(hint.trim_start_matches("tip: "))
        });
    Err(Failure { code: failure::NO_SENSE, ..failure }).inspect_err(terminal::failure_json)
}
