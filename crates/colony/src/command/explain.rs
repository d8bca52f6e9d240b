//! `colony explain`: the page of an error code.

use std::process::ExitCode;

use crate::args::Explain;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(args: &Explain) -> Result<ExitCode, Failure> {
    match manifest::explain(&args.code) {
        Some(page) => {
            terminal::print(&format!("{}\n", page.trim_end()))?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let failure = Failure::new(format!("there is no error code `{}`", args.code));
            Err(match manifest::nearest_code(&args.code) {
                Some(near) => failure.hint(format!("the nearest is {near}: `colony explain {near}`")),
                None => failure.hint("codes look like C0007; `colony check` prints one with every error"),
            })
        }
    }
}
