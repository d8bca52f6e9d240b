//! `colony data restore`: a new folder from a backup.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use engine::RestoreError;
use engine::backup::{self, Summary, UNFINISHED, Unreadable};
use serde_json::json;

use super::backup::is_standard;
use super::meter::Meter;
use super::{bytes, count, with_causes};
use crate::args::RestoreData;
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &RestoreData) -> Result<ExitCode, Failure> {
    let folder = &args.folder;
    let begun = Instant::now();
    let from: Box<dyn Read> = match is_standard(&args.file) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(&args.file).map_err(|error| {
            Failure::new(format!("cannot read {}: {error}", args.file.display()))
                .hint("name a file that `colony data backup` has made")
        })?),
    };
    let meter = RefCell::new(Meter::new("restoring"));
    let restored = backup::restore_in(
        BufReader::with_capacity(READ_BYTES, from),
        folder,
        &mut |progress| meter.borrow_mut().at(progress),
        &mut |what| meter.borrow_mut().verifying(what),
    );
    meter.borrow().end();
    let summary = restored.map_err(|error| not_restored(args, folder, &error))?;
    tell(args, folder, &summary, begun.elapsed().as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

fn not_restored(args: &RestoreData, folder: &Path, error: &RestoreError) -> Failure {
    let file = args.file.display();
    let failure = Failure::new(with_causes(error));
    match error {
        RestoreError::NotEmpty(_) => {
            failure.hint("a backup is restored into an empty folder, or one that is not there yet: name one")
        }
        RestoreError::Busy(_) => failure.hint("wait for it, or name another folder"),
        RestoreError::Machine { .. } | RestoreError::Unreadable(Unreadable::Version(_)) => {
            failure.hint("restore it with the colony that made it, or a newer one")
        }
        RestoreError::Unreadable(Unreadable::Other) => {
            failure.hint(format!("{file} was not made by `colony data backup`"))
        }
        RestoreError::Unreadable(Unreadable::CutOff { .. } | Unreadable::GivenUp(_)) => {
            failure.hint(format!("{file} was not finished, or not copied as a whole: take another")).hint(NOTHING)
        }
        RestoreError::Unreadable(_) => failure.hint("take another backup, or another copy of it").hint(NOTHING),
        RestoreError::Folder(_) | RestoreError::Store(_) | RestoreError::Begin(_) => {
            failure.hint(format!("see that {} can be written to, and has room", folder.display())).hint(NOTHING)
        }
        RestoreError::Open(_) | RestoreError::NotWhole(_) => failure
            .hint("the disk does not give back what was written: `colony data exercise` finds out more about it")
            .hint(format!("if it is in order, this is a bug; {NOTHING}")),
    }
}

fn tell(args: &RestoreData, folder: &Path, summary: &Summary, seconds: f64) -> Result<(), Failure> {
    if args.json {
        let object = json!({
            "data": folder, "created_ms": summary.created_ms, "shards": summary.shards, "pairs": summary.pairs,
            "bytes": summary.bytes, "seconds": (seconds * 1000.0).round() / 1000.0,
        });
        return terminal::print(&format!("{object}\n"));
    }
    terminal::print(&format!(
        "{}: {} with {} of state, {}, all read again\n",
        folder.display(),
        count(u64::from(summary.shards), "shard"),
        count(summary.pairs, "pair"),
        bytes(summary.bytes),
    ))
}

/// What to do with a folder whose restore was ended.
pub(super) fn unfinished(folder: &Path) -> [String; 2] {
    let dir = folder.display();
    [
        format!("`colony data restore FILE {dir}` begins anew"),
        format!("a restore that is still running takes {dir}/{UNFINISHED} away when it is done"),
    ]
}

const NOTHING: &str = "nothing was left in the folder";
const READ_BYTES: usize = 1 << 20;
