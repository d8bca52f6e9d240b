//! The commands, a file each.

mod breaker;
mod certs;
mod check;
mod console;
mod data;
pub(crate) mod explain;
mod fault;
mod init;
mod list;
mod load;
mod logs;
mod operate;
mod run;
mod secret;
mod sidecar;
mod status;
mod top;
mod trace;
mod verbs;

pub(crate) use data::refused as refused_data;
pub(crate) use secret::key_in;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::node;
use crate::source;
use crate::terminal;

/// Runs the command that was given.
pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let node = matches!(args.command, Command::Up(_));
    hand_over(args).map_err(|failure| if node { node::as_event(failure) } else { failure })
}

fn hand_over(args: Args) -> Result<ExitCode, Failure> {
    if let Some(dir) = &args.dir {
        std::env::set_current_dir(dir)
            .map_err(|error| Failure::new(format!("cannot work in {}: {error}", dir.display())))?;
    }
    let data = source::data_dir(args.data)?;
    let data = data.as_deref();
    match args.command {
        Command::Up(up) => runtime()?.block_on(node::run(up, data)),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => runtime()?.block_on(status::run(&args, data)),
        Command::Top(args) => runtime()?.block_on(top::run(&args, data)),
        Command::Logs(args) => runtime()?.block_on(logs::run(&args, data)),
        Command::Trace(args) => runtime()?.block_on(trace::run(&args, data)),
        Command::Apply(args) => runtime()?.block_on(operate::apply(&args, data)),
        Command::Restart(args) => runtime()?.block_on(operate::restart(&args, data)),
        Command::Scale(args) => runtime()?.block_on(operate::scale(&args, data)),
        Command::Stop(args) if !args.app_id.is_empty() => runtime()?.block_on(list::stop(&args, data)),
        Command::Stop(args) => runtime()?.block_on(operate::stop(&args, data)),
        Command::Console(args) => runtime()?.block_on(console::run(&args, data)),
        Command::Breaker(args) => runtime()?.block_on(breaker::run(&args, data)),
        Command::Fault(args) => runtime()?.block_on(fault::run(&args, data)),
        Command::Init(args) => init::run(&args),
        Command::Certs(args) => certs::run(&args),
        Command::Load(args) => load::run(&args, data),
        Command::Explain(args) => explain::run(&args, data),
        Command::Data(args) => data::run(&args.what),
        Command::Sidecar(args) => sidecar::run(&args, data),
        Command::Run(args) => run::run(*args, data),
        Command::Secret(args) => secret::run(&args, data),
        Command::List(args) => runtime()?.block_on(list::run(&args, data)),
        Command::Verb(verb) => runtime()?.block_on(verbs::run(&verb, data)),
        Command::DaprInit(_) => {
            terminal::print(DAPR_INIT)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Schema => {
            terminal::print(&format!("{:#}\n", manifest::schema()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What is said instead of what `dapr init` and `dapr uninstall` do.
const DAPR_INIT: &str = "\
Nothing has to be set up, and there is nothing to take away: this is Colony under Dapr's name.

State, topics and all else that lasts is kept in the nearest .colony folder, in this folder or above it, or in a new one
where a program is started. For programs in any folder below your home to share one:

    mkdir ~/.colony

What a folder holds is gone when it is removed.
";

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))
}
