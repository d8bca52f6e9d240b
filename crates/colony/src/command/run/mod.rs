//! `colony run`: programs with a sidecar beside each.

mod file;
mod job;
mod lines;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use supervisor::Programs;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::adapters::Surroundings;
use crate::args::Run;
use crate::failure::Failure;
use crate::process::{self, Signals};
use crate::sidecars::Post;
use crate::source;
use job::Job;
use lines::{Lines, Out};

pub(crate) fn run(args: Run, data: Option<&Path>) -> Result<ExitCode, Failure> {
    process::raise_descriptor_limit();
    let here = Surroundings::here()?.folder;
    let (jobs, from) = match &args.run_file {
        Some(path) => file::jobs(path, args.sidecar.log_as_json)?,
        None => (vec![alone(args, &here)?], here),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(all(jobs, &source::shared_data_from(data, &from)));
    // What is left is with those that a second signal did not wait for.
    runtime.shutdown_background();
    ended.map(ExitCode::from)
}

/// The one program that the command line names.
fn alone(args: Run, here: &Path) -> Result<Job, Failure> {
    let Run { mut sidecar, command, .. } = args;
    if sidecar.app_id.is_empty() {
        sidecar.app_id = name_of(here)?;
    }
    let lines = Arc::new(Lines::new(&[&sidecar.app_id], sidecar.log_as_json));
    let surroundings = Surroundings::here()?;
    let (app, own) = (Out::console(Arc::clone(&lines)), Out::console(lines));
    Ok(Job { sidecar, surroundings, env: Default::default(), command, app, own, notes: Vec::new() })
}

/// What a program is called that works in a folder, if it is not said.
fn name_of(folder: &Path) -> Result<String, Failure> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match api::config::check_app_id(&name) {
        Ok(()) => Ok(name),
        Err(_) => Err(Failure::new(format!("the folder's name, {name:?}, cannot be the program's"))
            .hint("name it with --app-id, or appID in a run file")),
    }
}

/// Runs them until all have ended, or until a signal. The first code that is not 0, of a program that has ended by itself.
async fn all(jobs: Vec<Job>, data: &Path) -> Result<u8, Failure> {
    let mut signals = Signals::new()?;
    let post = Arc::new(Post::new(data));
    let scratch = data.join("run").join(std::process::id().to_string());
    let executable = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find this program: {error}")))?;
    let programs = Programs::new(&scratch, executable).map_err(|error| Failure::new(error.to_string()))?;
    let programs = Arc::new(programs);
    let (stop, is_stopped) = watch::channel(false);
    let mut running = JoinSet::new();
    for job in jobs {
        running.spawn(job.run(Arc::clone(&post), Arc::clone(&programs), is_stopped.clone()));
    }
    let ended = until_ended(&mut running, &stop, &mut signals).await;
    running.shutdown().await;
    if let Some(programs) = Arc::into_inner(programs) {
        programs.end().await;
    }
    let _ = std::fs::remove_dir_all(&scratch);
    if let Some(post) = Arc::into_inner(post) {
        tokio::select! {
            () = post.close() => {}
            () = signals.next() => {}
        }
    }
    ended
}

/// The first signal asks for the end, the second does not wait for it.
async fn until_ended(
    running: &mut JoinSet<Result<u8, Failure>>,
    stop: &watch::Sender<bool>,
    signals: &mut Signals,
) -> Result<u8, Failure> {
    let mut first = Ok(0);
    loop {
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            () = signals.next() => {
                if stop.send_replace(true) {
                    return first;
                }
                continue;
            }
        };
        let outcome = match ended {
            None => return first,
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(Failure::new(error.to_string())),
        };
        if outcome.is_err() {
            // Who starts several wants all of them.
            stop.send_replace(true);
        }
        if matches!(first, Ok(0)) {
            first = outcome;
        }
    }
}
