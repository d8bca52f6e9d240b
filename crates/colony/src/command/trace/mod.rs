//! `colony trace`: the traces that requests have left, as a list, and one of them as a drawing.

mod draw;
mod list;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use crate::args::Trace;
use crate::failure::Failure;
use crate::kept::Kept;
use crate::terminal;

pub(crate) async fn run(args: &Trace, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let kept = Kept::find(data).await?;
    let (colours, width) = (terminal::colours(), terminal::width());
    let (told, drawn) = match &args.id {
        Some(id) => {
            let trace = kept.ask(&format!("/api/traces/{}", valid(id)?), &[]).await?;
            let drawn = draw::trace(&trace, width, colours, args.whole);
            (trace, drawn)
        }
        None => {
            let traces = kept.ask("/api/traces", &pairs(args, &args.limit.to_string())).await?;
            let drawn = list::traces(&traces, colours);
            (traces, drawn)
        }
    };
    match args.json {
        true => terminal::print(&format!("{told}\n"))?,
        false => terminal::print(&drawn)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An id that may stand in a path.
fn valid(id: &str) -> Result<String, Failure> {
    let id = id.to_ascii_lowercase();
    telemetry::query::parameters::trace_id(&id)
        .map_err(|why| Failure::new(why).hint("`colony trace` lists traces with their ids"))?;
    Ok(id)
}

fn pairs<'a>(args: &'a Trace, limit: &'a str) -> Vec<(&'a str, &'a str)> {
    let optional = [
        ("service", &args.service),
        ("name", &args.name),
        ("slower", &args.slower),
        ("faster", &args.faster),
        ("since", &args.since),
        ("text", &args.text),
    ];
    let mut pairs: Vec<(&str, &str)> =
        optional.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect();
    pairs.extend(args.attribute.iter().map(|attribute| ("attribute", attribute.as_str())));
    pairs.extend(args.error.then_some(("error", "true")));
    pairs.push(("limit", limit));
    pairs
}

#[cfg(test)]
mod tests;
