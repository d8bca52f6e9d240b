//! `colony data exercise`: does this disk keep what it acknowledges?
//!
//! Producers write numbered records and print each when it was acknowledged, never before. After a crash the lines are
//! held against what is there ([`check`]). Each producer waits for one record before it writes the next, and is told
//! what each was answered, so after a crash there is at most one more of it than was printed.

mod check;
mod produce;
mod record;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use engine::blocks::kv;
use engine::{Config, Embedded};
use machine::{stream, topic};
use tokio::task::JoinSet;

use super::refused;
use crate::args::ExerciseData;
use crate::command::runtime;
use crate::failure::Failure;
use crate::terminal;
use produce::Producer;
use record::{NAME, ORDERS, PARTITIONS, Writer};

pub(super) fn run(args: &ExerciseData) -> Result<ExitCode, Failure> {
    match &args.check {
        Some(lines) => check::run(args, lines),
        None => runtime()?.block_on(exercise(args)),
    }
}

async fn exercise(args: &ExerciseData) -> Result<ExitCode, Failure> {
    claim(&args.folder)?;
    let engine = Arc::new(open(&args.folder)?);
    define(&engine).await?;
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let run = since_epoch.as_millis() as u64;
    let end = (args.seconds > 0).then(|| Instant::now() + Duration::from_secs(args.seconds));
    let mut producers = JoinSet::new();
    for producer in 0..args.producers {
        let producer = Producer::new(Arc::clone(&engine), Writer { run, producer });
        producers.spawn(producer.run(end));
    }
    while let Some(ended) = producers.join_next().await {
        ended.map_err(|_| Failure::new("a producer panicked"))??;
    }
    if let Ok(engine) = Arc::try_unwrap(engine) {
        engine.close();
    }
    Ok(ExitCode::SUCCESS)
}

fn open(folder: &Path) -> Result<Embedded, Failure> {
    Embedded::open_in(folder, config()).map_err(|error| refused(folder, &error))
}

/// Small segments and frequent checkpoints: what is rare in use shall happen often here, and be under way when the
/// plug is pulled.
fn config() -> Config {
    let log = log::Config { segment_bytes: 1 << 20, record_bytes_max: 64 << 10, ..log::Config::default() };
    Config {
        body_bytes_max: 16 << 10,
        batch_bytes_max: 256 << 10,
        checkpoint_bytes: 256 << 10,
        checkpoint_log_bytes: 1 << 20,
        checkpoint_after: Duration::from_secs(1),
        log_bytes_slack: 2 << 20,
        log,
        ..Config::default()
    }
}

/// Takes a folder for this that is empty, or was taken before: nobody's data shall be mixed with it.
fn claim(folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot use {}: {error}", folder.display()))
            .hint("name a folder that can be written to")
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mark = folder.join(MARK);
    if mark.exists() {
        return Ok(());
    }
    if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(Failure::new(format!(
            "{} is not empty, and was not made by this command",
            folder.display()
        ))
        .hint("name an empty folder, or one that is not there yet"));
    }
    write_mark(folder, &mark).map_err(failed)
}

/// It has to be there after the plug was pulled.
fn write_mark(folder: &Path, mark: &Path) -> std::io::Result<()> {
    let mut file = File::create(mark)?;
    file.write_all(b"This folder was made by `colony data exercise`.\n")?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

/// Makes the stores and the topics; what is made twice is there once.
async fn define(engine: &Embedded) -> Result<(), Failure> {
    let spread = kv::Settings { spread: true, changes: None };
    let settings =
        topic::Settings { partitions: Some(PARTITIONS), keep_ms: Some(0), ..topic::Settings::default() };
    let defined = async {
        engine.kv(NAME)?.define(spread).await?;
        engine.topic(NAME)?.define(settings.clone()).await?;
        engine.topic(ORDERS)?.define(settings).await?;
        engine.streams(NAME)?.define(stream::Settings::default()).await
    };
    defined.await.map_err(|error| not_written(&error))
}

/// Why a record was not taken.
fn not_written(error: &engine::Error) -> Failure {
    let failure = Failure::new(format!("cannot write: {}", super::with_causes(error)));
    match error {
        engine::Error::Full => failure.hint("make room on the disk, and start again"),
        engine::Error::Failed(_) | engine::Error::InDoubt(_) => failure
            .hint("the system's log says what happened to the disk; what was acknowledged can be checked"),
        _ => failure,
    }
}

/// Prints that a record was acknowledged.
fn acknowledged(line: &record::Line) -> Result<(), Failure> {
    let text = serde_json::to_string(line).map_err(|error| Failure::new(format!("cannot print: {error}")))?;
    terminal::print(&format!("{text}\n"))
}

/// The file that says what a folder is for.
const MARK: &str = "exercise";
