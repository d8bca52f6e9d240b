//! The command line of `colony run`, which is that of `dapr run`: the flags of a sidecar, and a command behind them.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Command};

use super::Sidecar;

/// Start a program with a sidecar beside it, and end both together
///
/// The command starts when the sidecar answers, with DAPR_HTTP_PORT and DAPR_GRPC_PORT in its environment. Takes the flags of
/// `dapr run`, which are those of `colony sidecar`, and their short forms. Ctrl-C or SIGTERM ends the program (SIGTERM, then
/// SIGKILL after ten seconds), then the sidecar. Exits with the program's code. A binary that is named `dapr` has this
/// command, `list` and `stop`.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "colony run [OPTIONS] -- COMMAND...\n       colony run [OPTIONS] -f dapr.yaml",
    after_help = "colony run --app-id shop --app-port 8000 -- python3 app.py\n    colony run -f dapr.yaml"
)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) sidecar: Sidecar,
    /// Start the programs of this file, or of the dapr.yaml in this folder
    #[arg(short = 'f', long, value_name = "FILE or DIR", conflicts_with = "command")]
    pub(crate) run_file: Option<PathBuf>,
    /// The program and its arguments; none: a sidecar alone
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// What is otherwise than with a sidecar alone.
pub(super) fn adapted(command: Command) -> Command {
    command.mut_subcommand(NAME, |run| {
        let run = run.mut_arg("app_id", |arg| {
            arg.required(false)
                .default_value("")
                .hide_default_value(true)
                .help("The program's name: whose state it is, and what others call it; none: this folder's")
        });
        [("dapr_http_port", "HTTP"), ("dapr_grpc_port", "gRPC")].into_iter().fold(run, |run, (port, what)| {
            let help = format!("Port of the {what} API; 0: any that is free");
            run.mut_arg(port, |arg| arg.default_value("0").hide_default_value(true).help(help))
        })
    })
}

/// A short flag as `dapr run` has it.
pub(super) fn long(short: char) -> Option<&'static str> {
    SHORT.iter().find(|(known, _)| *known == short).map(|(_, long)| *long)
}

pub(super) const NAME: &str = "run";
const SHORT: [(char, &str); 12] = [
    ('a', "app-id"),
    ('p', "app-port"),
    ('P', "app-protocol"),
    ('H', "dapr-http-port"),
    ('G', "dapr-grpc-port"),
    ('I', "dapr-internal-grpc-port"),
    ('M', "metrics-port"),
    ('c', "config"),
    ('d', "resources-path"),
    ('u', "unix-domain-socket"),
    ('f', "run-file"),
    ('k', "kubernetes"),
];
