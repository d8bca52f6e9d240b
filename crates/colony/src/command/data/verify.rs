//! `colony data verify`: what of a folder is damaged.

use std::fmt::Write as _;
use std::process::ExitCode;

use engine::Verdict;
use log::Damage;
use serde_json::{Value, json};

use super::{count, refused};
use crate::args::DataFolder;
use crate::failure::Failure;
use crate::terminal::{self, Style, paint};

pub(super) fn run(args: &DataFolder) -> Result<ExitCode, Failure> {
    let verified = engine::verify(&args.folder, terminal::progress);
    terminal::end_progress();
    let verdict = verified.map_err(|error| refused(&args.folder, &error))?;
    let dir = args.folder.display().to_string();
    let text =
        if args.json { format!("{}\n", object(&verdict)) } else { text(&dir, &verdict, terminal::colours()) };
    terminal::print(&text)?;
    Ok(if verdict.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The verdict for programs.
pub(super) fn object(verdict: &Verdict) -> Value {
    let damages: Vec<Value> = verdict.log.damages.iter().map(damage).collect();
    json!({
        "whole": verdict.is_whole(),
        "log": { "segments": verdict.log.segments, "records": verdict.log.records, "damages": damages },
        "entries": verdict.entries,
        "pairs": verdict.pairs,
        "payloads": verdict.payloads,
        "wrong": verdict.wrong,
    })
}

fn damage(damage: &Damage) -> Value {
    let lost: Vec<Value> = damage
        .lost
        .iter()
        .map(|lost| json!({ "shard": lost.shard, "from": lost.from, "to": lost.to }))
        .collect();
    json!({
        "file": damage.place, "offset": damage.offset, "what": damage.what, "lost": lost,
        "prevents_opening": damage.prevents_opening,
    })
}

fn text(dir: &str, verdict: &Verdict, colours: bool) -> String {
    let mut text = damages(verdict, colours);
    for wrong in &verdict.wrong {
        let _ = writeln!(text, "{} {wrong}", paint(colours, Style::Bad, "wrong:"));
    }
    if verdict.is_whole() {
        let _ = writeln!(
            text,
            "{dir} is whole: {} in {}, {} of state, {} in the log that {} pointed to",
            count(verdict.log.records, "record"),
            count(verdict.log.segments as u64, "segment"),
            count(verdict.pairs, "pair"),
            count(verdict.payloads, "payload"),
            if verdict.payloads == 1 { "is" } else { "are" },
        );
        return text;
    }
    let opens = !verdict.log.damages.iter().any(|damage| damage.prevents_opening);
    let _ = match (opens, verdict.wrong.is_empty()) {
        (false, _) => writeln!(
            text,
            "{dir} is damaged and does not open; copy it, then `colony data repair {dir}` opens it without what is lost"
        ),
        (true, true) => writeln!(text, "{dir} is damaged, and opens: what is said above cannot be read"),
        (true, false) => {
            writeln!(text, "{dir} is damaged; copy it, then `colony data repair {dir}` does what can be done")
        }
    };
    text
}

/// What of the log is damaged, a line each.
pub(super) fn damages(verdict: &Verdict, colours: bool) -> String {
    let mut text = String::new();
    for damage in &verdict.log.damages {
        let lost: Vec<String> = damage.lost.iter().map(super::repair::records).collect();
        let lost = if lost.is_empty() { String::new() } else { format!("; lost: {}", lost.join(", ")) };
        let label = paint(colours, Style::Bad, "damaged:");
        let _ = writeln!(text, "{label} {} at byte {}: {}{lost}", damage.place, damage.offset, damage.what);
    }
    text
}
