//! `colony data repair`: a damaged folder that opens again. It says what it would do, and does it if it is told to.

use std::fmt::Write as _;
use std::process::ExitCode;

use engine::repair::plan;
use engine::{Mended, Plan, Verdict};
use log::Lost;
use serde_json::{Value, json};

use super::verify::{self, lost_text, ranges, torn_text};
use super::{count, refused};
use crate::args::RepairData;
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &RepairData) -> Result<ExitCode, Failure> {
    let failed = |error| refused(&args.folder, &error);
    let before = engine::verify(&args.folder, terminal::progress).inspect_err(|_| terminal::end_progress());
    let before = before.map_err(failed)?;
    if before.is_whole() {
        terminal::end_progress();
        return say(
            args,
            &json!({ "repaired": false, "whole": true, "opens": true }),
            "nothing is damaged: nothing was changed\n",
            true,
        );
    }
    let planned = plan(&args.folder, terminal::progress);
    terminal::end_progress();
    let planned = planned.map_err(failed)?;
    if !args.apply {
        let object = object(&planned, false, None, &planned.after);
        let text = format!("{}{}", verify::damages(&before, terminal::colours()), would(args, &planned));
        return say(args, &object, &text, false);
    }
    if !planned.is_needed() {
        let text = format!("{}nothing can be done about that: nothing was changed\n", left(&planned.after));
        return say(args, &object(&planned, false, None, &before), &text, before.opens());
    }
    may_give_up(args, &planned)?;
    let mended = planned.carry_out().map_err(failed)?;
    let after = engine::verify(&args.folder, terminal::progress);
    terminal::end_progress();
    let after = after.map_err(failed)?;
    say(args, &object(&planned, true, Some(&mended), &after), &done(&planned, &mended, &after), after.opens())
}

fn say(args: &RepairData, object: &Value, text: &str, good: bool) -> Result<ExitCode, Failure> {
    terminal::print(&if args.json { format!("{object}\n") } else { text.to_owned() })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was acknowledged and is in no state is given up by who says how much it is.
fn may_give_up(args: &RepairData, planned: &Plan) -> Result<(), Failure> {
    let needed = needed(planned);
    if needed <= args.give_up {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} that were acknowledged, and that no checkpoint has, would be given up: {}",
        entries(planned),
        all(&planned.log.given_up)
    ))
    .hint(format!("a copy of the folder may have them; `--give-up {needed}` goes on without them")))
}

/// What `--give-up` has to allow: where nobody can tell what is lost, one at least.
fn needed(planned: &Plan) -> u64 {
    planned.given_up().max(u64::from(planned.log.may_be_more))
}

fn entries(planned: &Plan) -> String {
    let at_least = if planned.log.may_be_more { "at least " } else { "" };
    format!("{at_least}{}", super::count_of(planned.given_up(), "entry", "entries"))
}

fn object(planned: &Plan, repaired: bool, mended: Option<&Mended>, after: &Verdict) -> Value {
    let log = mended.map_or(&planned.log, |mended| &mended.log);
    json!({
        "repaired": repaired,
        "whole": after.is_whole(),
        "opens": after.opens(),
        "stepped_over": ranges(&log.stepped_over),
        "given_up": ranges(&log.given_up),
        "given_up_entries": planned.given_up(),
        "may_be_more": log.may_be_more,
        "kept": log.kept,
        "rebuilt": log.rebuilt,
        "remakes_state": planned.remakes_state,
        "store_set_aside": mended.and_then(|mended| mended.store.as_ref()),
        "after": verify::object(after),
    })
}

/// What would be done.
fn would(args: &RepairData, planned: &Plan) -> String {
    let mut text = String::new();
    for cut in &planned.log.before.torn {
        let _ = writeln!(text, "{}", torn_text(cut));
    }
    if !planned.log.stepped_over.is_empty() {
        let _ = writeln!(
            text,
            "would be stepped over, for the last checkpoint has what they did: {}",
            all(&planned.log.stepped_over)
        );
    }
    if needed(planned) > 0 {
        let _ = writeln!(
            text,
            "would be given up, though it was acknowledged: {}: {}",
            entries(planned),
            all(&planned.log.given_up)
        );
    }
    for kept in &planned.log.kept {
        let _ = writeln!(text, "what is given up would be kept in {kept}");
    }
    for rebuilt in &planned.log.rebuilt {
        let _ = writeln!(text, "would be written anew: {rebuilt}");
    }
    if planned.remakes_state {
        text.push_str(
            "the state has more in it than the log that is left: it would be made anew from the log\n",
        );
    }
    text.push_str(&left(&planned.after));
    let dir = args.folder.display();
    let flag = match needed(planned) {
        0 => String::new(),
        entries => format!(" --give-up {entries}"),
    };
    let _ = match (planned.is_needed(), planned.after.opens()) {
        (true, true) => writeln!(
            text,
            "nothing was changed; copy the folder, then `colony data repair {dir} --apply{flag}` does this, and it opens"
        ),
        (_, false) => writeln!(text, "nothing was changed: it would not open; go back to a copy of it"),
        (false, true) => {
            writeln!(text, "nothing was changed, and nothing can be: it opens without what is lost")
        }
    };
    text
}

/// What was done.
fn done(planned: &Plan, mended: &Mended, after: &Verdict) -> String {
    let mut text = String::new();
    if !mended.log.stepped_over.is_empty() {
        let _ = writeln!(text, "stepped over: {}", all(&mended.log.stepped_over));
    }
    if needed(planned) > 0 {
        let _ = writeln!(text, "given up: {}: {}", entries(planned), all(&mended.log.given_up));
    }
    for kept in &mended.log.kept {
        let _ = writeln!(text, "what was given up is in {kept}");
    }
    for rebuilt in &mended.log.rebuilt {
        let _ = writeln!(text, "written anew: {rebuilt}");
    }
    if let Some(store) = &mended.store {
        let _ = writeln!(
            text,
            "the state had more in it than the log that is left: it is made anew from the log; what it was is in {}",
            store.display()
        );
    }
    text.push_str(&left(after));
    text.push_str(match (after.is_whole(), after.opens()) {
        (true, _) => "it opens again\n",
        (false, true) => "it opens again, without what is lost\n",
        (false, false) => "it does not open: go back to a copy of it\n",
    });
    text
}

/// What is damaged even then.
fn left(after: &Verdict) -> String {
    let mut text = lost_text(after, terminal::colours());
    for damage in &after.log.damages {
        let _ = writeln!(text, "still damaged: {} at byte {}: {}", damage.place, damage.offset, damage.what);
    }
    for wrong in &after.wrong {
        let _ = writeln!(text, "wrong: {wrong}");
    }
    text
}

fn all(lost: &[Lost]) -> String {
    let named: Vec<String> = lost.iter().take(NAMED_MAX).map(records).collect();
    match lost.len().saturating_sub(NAMED_MAX) {
        0 if named.is_empty() => "nobody can tell which".to_owned(),
        0 => named.join(", "),
        more => format!("{}, and {} more", named.join(", "), count(more as u64, "range")),
    }
}

/// Which records.
pub(super) fn records(lost: &Lost) -> String {
    match lost.from == lost.to {
        true => format!("record {} of shard {}", lost.from, lost.shard),
        false => format!("records {} to {} of shard {}", lost.from, lost.to, lost.shard),
    }
}

/// How many ranges a person reads.
const NAMED_MAX: usize = 64;
