//! `colony data backup`: what a folder holds, in one file, also while a process works on it.
//!
//! Whoever has the folder's lock can read it. If nobody has, that is this command; else who has it is asked over the socket in
//! the folder, and what comes is read as carefully as a restore would read it while it is written.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, IsTerminal as _, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use engine::backup::{self, At, Part, Progress, Reader, Summary, Unreadable};
use engine::{Inspection, OpenError};
use serde_json::json;

use super::meter::Meter;
use super::{bytes, count, refused, with_causes};
use crate::args::BackupData;
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &BackupData) -> Result<ExitCode, Failure> {
    let folder = &args.folder;
    check_output(args)?;
    let begun = Instant::now();
    let mut meter = Meter::new("backing up");
    let (made, running) = match Inspection::open(folder, |shard, of| meter.opening(shard, of)) {
        Ok(inspection) => {
            let made = into_place(&args.file, |out| {
                let made = inspection.backup(out, &mut |progress| meter.at(progress));
                made.map_err(|error| not_made(folder, &error))
            });
            (made, false)
        }
        Err(OpenError::Open(log::OpenError::Locked { holder, .. })) => {
            (into_place(&args.file, |out| ask(folder, &holder, out, &mut meter)), true)
        }
        Err(error) => return Err(refused(folder, &error)),
    };
    meter.end();
    let summary = made?;
    let seconds = begun.elapsed().as_secs_f64();
    tell(args, &summary, running, seconds)?;
    Ok(ExitCode::SUCCESS)
}

/// Standard output has room for one of both, and none for a terminal's.
fn check_output(args: &BackupData) -> Result<(), Failure> {
    if !is_standard(&args.file) {
        return Ok(());
    }
    if args.json {
        return Err(Failure::new("the backup and the JSON cannot both go to standard output")
            .hint("name a file, or leave --json out"));
    }
    if io::stdout().is_terminal() {
        return Err(Failure::new("a backup is nothing for a terminal")
            .hint("name a file, or send it on: `colony data backup DIR - | ...`"));
    }
    Ok(())
}

/// Gets it from the process that has the folder open.
fn ask(folder: &Path, holder: &str, out: &mut dyn Write, meter: &mut Meter) -> Result<Summary, Failure> {
    let silent = |error: &dyn std::error::Error| {
        Failure::new(format!(
            "{} is open in {holder}, which gives no backup: {}",
            folder.display(),
            with_causes(error)
        ))
        .hint("if it is just starting, try again; if it is another `colony data` command, wait for its end")
        .hint("if it is a colony that is too old for it, end it first: then this command reads the folder itself")
    };
    let stream = backup::ask(folder).map_err(|error| silent(&error))?;
    let mut written = Ok(());
    let copied =
        Copied { from: BufReader::with_capacity(COPY_BYTES, stream), to: out, written: &mut written };
    let read = read(copied, meter);
    written.map_err(|error| not_written(&error))?;
    read.map_err(|unreadable| match unreadable {
        Unreadable::GivenUp(why) => Failure::new(format!("{holder} gives no backup: {why}")).hint(
            "`colony data verify`, once it has ended, says what is damaged; if it only was busy, try again",
        ),
        Unreadable::CutOff { .. } => {
            Failure::new(format!("{holder} has ended before the backup was finished"))
                .hint("try again: where no process has the folder open, this command reads it itself")
        }
        Unreadable::Version(version) => Failure::new(format!(
            "{holder} gives backups of version {version}, and this program knows {}",
            backup::VERSION
        ))
        .hint("use the colony that it is"),
        Unreadable::Failed(error) => silent(error.as_ref()),
        other => Failure::new(format!("{holder} gives something else: {}", with_causes(&other)))
            .hint("try again; if it is the same, this is a bug"),
    })
}

/// Reads all of a backup.
fn read(from: impl Read, meter: &mut Meter) -> Result<Summary, Unreadable> {
    let mut reader = Reader::new(from)?;
    let shards = reader.header().shards;
    let mut shard = 0;
    loop {
        match reader.part()? {
            Part::Shard(At { shard: begun, .. }) => shard = begun.0,
            Part::Pairs(_) => {}
            Part::End(summary) => return Ok(summary),
        }
        meter.at(&Progress { shard, shards, bytes: reader.bytes() });
    }
}

/// What is read is written elsewhere, too.
struct Copied<'a, R> {
    from: R,
    to: &'a mut dyn Write,
    written: &'a mut io::Result<()>,
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        if let Err(error) = self.to.write_all(&buffer[..length]) {
            *self.written = Err(error);
            return Err(io::Error::other("what is read cannot be written"));
        }
        Ok(length)
    }
}

/// Has a file written beside its place, and puts it there once it is whole and on the disk.
fn into_place(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<Summary, Failure>,
) -> Result<Summary, Failure> {
    if is_standard(file) {
        return write(&mut io::stdout().lock());
    }
    let partial = Partial::new(file)?;
    let summary = write(&mut &partial.file)?;
    partial.finish(file)?;
    Ok(summary)
}

/// A backup that is being written.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn new(file: &Path) -> Result<Partial, Failure> {
        let mut path = file.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let failed = |error: io::Error| {
            Failure::new(format!("cannot write {}: {error}", path.display()))
                .hint("name a file in a folder that can be written to")
        };
        if file.is_dir() {
            return Err(Failure::new(format!("{} is a folder", file.display())).hint("name a file"));
        }
        // All that there is is in it.
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(format!("another backup is being written to {}", path.display()))
                    .hint("wait for it, or name another file"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        Ok(Partial { path, file })
    }

    fn finish(self, file: &Path) -> Result<(), Failure> {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let placed = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, file))
            .and_then(|()| File::open(parent)?.sync_all());
        placed.map_err(|error| not_written(&error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Where it was put into its place, it has this name no more.
        let _ = fs::remove_file(&self.path);
    }
}

fn not_made(folder: &Path, error: &engine::BackupError) -> Failure {
    match error {
        engine::BackupError::Write(error) => not_written(error),
        engine::BackupError::Data(_) | engine::BackupError::Payload { .. } => {
            Failure::new(with_causes(error))
                .hint(format!("`colony data verify {}` says what is damaged", folder.display()))
                .hint("`colony data export` prints what can be read")
        }
    }
}

fn not_written(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new("nobody reads the backup any more"),
        _ => Failure::new(format!("cannot write the backup: {error}")),
    }
    .hint("what was written of it is no backup, and a restore refuses it")
}

fn tell(args: &BackupData, summary: &Summary, running: bool, seconds: f64) -> Result<(), Failure> {
    if args.json {
        let object = json!({
            "file": args.file, "format": backup::VERSION, "created_ms": summary.created_ms, "running": running,
            "shards": summary.shards, "pairs": summary.pairs, "bytes": summary.bytes,
            "seconds": (seconds * 1000.0).round() / 1000.0,
        });
        return terminal::print(&format!("{object}\n"));
    }
    let text = format!(
        "{}: {} with {} of state, {}{}\n",
        args.file.display(),
        count(u64::from(summary.shards), "shard"),
        count(summary.pairs, "pair"),
        bytes(summary.bytes),
        if running { ", of the process that has the folder open" } else { "" },
    );
    match is_standard(&args.file) {
        true => {
            let _ = io::stderr().write_all(text.as_bytes());
            Ok(())
        }
        false => terminal::print(&text),
    }
}

/// Whether it is standard input or output.
pub(super) fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

const COPY_BYTES: usize = 1 << 20;
