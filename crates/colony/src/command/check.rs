//! `colony check`: what is wrong with a manifest.

use std::process::ExitCode;

use serde_json::json;

use crate::args::Check;
use crate::failure::Failure;
use crate::source::Source;
use crate::terminal::{self, Style, paint};
use crate::tls;

pub(crate) fn run(args: &Check) -> Result<ExitCode, Failure> {
    let unread = |failure: Failure| failure.detail("valid", false);
    let source = Source::find(&args.manifest, None).map_err(unread)?;
    let checked = source.check().map_err(unread)?;
    let found = &checked.diagnostics;
    let valid = checked.manifest.is_some();
    let files = checked.manifest.as_ref().map_or(Ok(()), tls::check);
    if let Err(failure) = files {
        if !args.json {
            terminal::print(&found.render(terminal::width(), terminal::colours()))?;
        }
        let failure = failure.detail("valid", false).detail("file", source.shown).detail("errors", 1);
        let warnings = found.warnings();
        return Err(failure.detail("warnings", warnings).detail("diagnostics", found.to_json()));
    }
    if args.json {
        let object = json!({
            "file": source.shown,
            "valid": valid,
            "errors": found.errors(),
            "warnings": found.warnings(),
            "diagnostics": found.to_json(),
        });
        terminal::print(&format!("{object}\n"))?;
    } else {
        let colours = terminal::colours();
        terminal::print(&found.render(terminal::width(), colours))?;
        terminal::print(&summary(&source, &checked, colours))?;
    }
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(source: &Source, checked: &manifest::Checked, colours: bool) -> String {
    let found = &checked.diagnostics;
    match &checked.manifest {
        Some(manifest) => format!(
            "{} {}: {}, {}, {}{}\n",
            paint(colours, Style::Good, "ok"),
            source.shown,
            counted(manifest.services.len(), "service"),
            counted(manifest.gateway.as_ref().map_or(0, |gateway| gateway.routes.len()), "route"),
            counted(manifest.services.values().map(|service| service.calls.len()).sum(), "call"),
            match found.warnings() {
                0 => String::new(),
                warnings => format!(", {}", counted(warnings, "warning")),
            },
        ),
        None => format!(
            "{} {}; `colony explain CODE` says more about each\n",
            source.shown,
            paint(colours, Style::Bad, &format!("has {}", counted(found.errors(), "error"))),
        ),
    }
}

pub(crate) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
