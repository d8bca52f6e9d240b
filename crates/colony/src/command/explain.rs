//! `colony explain`: the page of an error code.

use std::process::ExitCode;

use crate::args::Explain;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(args: &Explain) -> Result<ExitCode, Failure> {
    let code = args.code.to_ascii_uppercase();
    match manifest::explain(&code) {
        Some(page) => {
            terminal::print(&format!("{}\n", page.trim_end()))?;
            Ok(ExitCode::SUCCESS)
        }
        None => Err(Failure::new(format!("there is no error code `{}`", args.code))
            .hint("codes look like C0007; `colony check` prints one with every error")),
    }
}
