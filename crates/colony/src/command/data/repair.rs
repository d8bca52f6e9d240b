//! `colony data repair`: a damaged folder that opens again.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdin};
use std::process::ExitCode;

use engine::{Mended, Verdict};
use log::Lost;
use serde_json::{Value, json};

use super::{refused, verify};
use crate::args::RepairData;
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &RepairData) -> Result<ExitCode, Failure> {
    let before = look(args)?;
    if before.is_whole() {
        return say(
            args,
            &json!({ "repaired": false, "whole": true }),
            "nothing is damaged: nothing was changed\n",
            true,
        );
    }
    if !args.yes && !agreed(args, &before)? {
        return say(args, &json!({ "repaired": false, "whole": false }), "nothing was changed\n", false);
    }
    let mended = engine::repair(&args.folder).map_err(|error| refused(&args.folder, &error))?;
    let after = look(args)?;
    say(args, &object(&mended, &after), &text(&mended, &after), opens(&after))
}

fn say(args: &RepairData, object: &Value, text: &str, good: bool) -> Result<ExitCode, Failure> {
    terminal::print(&if args.json { format!("{object}\n") } else { text.to_owned() })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn look(args: &RepairData) -> Result<Verdict, Failure> {
    let verified = engine::verify(&args.folder, terminal::progress);
    terminal::end_progress();
    verified.map_err(|error| refused(&args.folder, &error))
}

/// Whether it opens: what is damaged besides costs single records.
fn opens(verdict: &Verdict) -> bool {
    verdict.wrong.is_empty() && !verdict.log.damages.iter().any(|damage| damage.prevents_opening)
}

/// Whether the person at the terminal wants it.
fn agreed(args: &RepairData, before: &Verdict) -> Result<bool, Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::new(format!(
            "{} would be changed, and nobody can be asked",
            args.folder.display()
        ))
        .hint("`--yes` repairs it without asking; copy the folder first"));
    }
    terminal::print(&format!(
        "{}what cannot be kept is put into files beside. Repair {}? [y/N] ",
        verify::damages(before, terminal::colours()),
        args.folder.display()
    ))?;
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn object(mended: &Mended, after: &Verdict) -> Value {
    let given_up: Vec<Value> = mended
        .log
        .given_up
        .iter()
        .map(|lost| json!({ "shard": lost.shard, "from": lost.from, "to": lost.to }))
        .collect();
    json!({
        "repaired": true,
        "whole": after.is_whole(),
        "opens": opens(after),
        "given_up": given_up,
        "kept": mended.log.kept,
        "rebuilt": mended.log.rebuilt,
        "store_set_aside": mended.store,
        "after": verify::object(after),
    })
}

fn text(mended: &Mended, after: &Verdict) -> String {
    let mut text = String::new();
    for lost in &mended.log.given_up {
        let _ = writeln!(text, "given up: {}", records(lost));
    }
    for kept in &mended.log.kept {
        let _ = writeln!(text, "what was cut off is in {kept}");
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
    for damage in &after.log.damages {
        let _ = writeln!(text, "still damaged: {} at byte {}: {}", damage.place, damage.offset, damage.what);
    }
    for wrong in &after.wrong {
        let _ = writeln!(text, "wrong: {wrong}");
    }
    text.push_str(match (after.is_whole(), opens(after)) {
        (true, _) => "it opens again\n",
        (false, true) => "it opens again; the records that are still damaged cannot be read\n",
        (false, false) => "it does not open: go back to a copy of it\n",
    });
    text
}

/// Which records.
pub(super) fn records(lost: &Lost) -> String {
    match lost.from == lost.to {
        true => format!("record {} of shard {}", lost.from, lost.shard),
        false => format!("records {} to {} of shard {}", lost.from, lost.to, lost.shard),
    }
}
