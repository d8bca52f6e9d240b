//! `colony data verify`: what of a folder is damaged.

use std::fmt::Write as _;
use std::process::ExitCode;

use engine::Verdict;
use log::{Cut, Damage, Lost};
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
        "log": {
            "segments": verdict.log.segments, "records": verdict.log.records, "damages": damages,
            "given_up": ranges(&verdict.log.lost), "torn": verdict.log.torn.iter().map(torn).collect::<Vec<_>>(),
        },
        "entries": verdict.entries,
        "pairs": verdict.pairs,
        "payloads": verdict.payloads,
        "lost": lost(verdict),
        "wrong": verdict.wrong,
    })
}

fn damage(damage: &Damage) -> Value {
    json!({
        "file": damage.place, "offset": damage.offset, "what": damage.what, "lost": ranges(&damage.lost),
        "prevents_opening": damage.prevents_opening,
    })
}

/// What a start would cut off.
pub(super) fn torn(cut: &Cut) -> Value {
    json!({ "file": cut.place, "offset": cut.offset, "bytes": cut.bytes, "what": cut.what })
}

pub(super) fn ranges(lost: &[Lost]) -> Vec<Value> {
    let range = |lost: &Lost| json!({ "shard": lost.shard, "from": lost.from, "to": lost.to });
    lost.iter().map(range).collect()
}

/// The payloads that are lost.
pub(super) fn lost(verdict: &Verdict) -> Vec<Value> {
    let lost = verdict.lost.iter();
    lost.map(
        |lost| json!({ "what": lost.what, "shard": lost.shard, "sequence": lost.sequence, "why": lost.why }),
    )
    .collect()
}

/// What a start would cut off, in words.
pub(super) fn torn_text(cut: &Cut) -> String {
    format!(
        "would be cut at start: {} bytes at offset {} of file {}: {}",
        cut.bytes, cut.offset, cut.place, cut.what
    )
}

/// Which payloads are lost, a line each.
pub(super) fn lost_text(verdict: &Verdict, colours: bool) -> String {
    let mut text = String::new();
    for lost in &verdict.lost {
        let label = paint(colours, Style::Bad, "lost:");
        let (what, shard, sequence, why) = (&lost.what, lost.shard, lost.sequence, &lost.why);
        let _ = writeln!(text, "{label} {what}: its payload was in entry {sequence} of shard {shard}: {why}");
    }
    text
}

fn text(dir: &str, verdict: &Verdict, colours: bool) -> String {
    let mut text = damages(verdict, colours);
    text.push_str(&lost_text(verdict, colours));
    for cut in &verdict.log.torn {
        let _ = writeln!(text, "{}", torn_text(cut));
    }
    if !verdict.log.lost.is_empty() {
        let all: u64 = verdict.log.lost.iter().map(|lost| lost.to - lost.from + 1).sum();
        let _ = writeln!(text, "{} given up by a repair: the log goes on behind them", count(all, "record"));
    }
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
            "{dir} is damaged and does not open; `colony data repair {dir}` says what can be done"
        ),
        (true, true) => writeln!(text, "{dir} is damaged, and opens: what is said above cannot be read"),
        (true, false) => writeln!(text, "{dir} is damaged; `colony data repair {dir}` says what can be done"),
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
