//! `colony sidecar`: the application API for one program.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use crate::args::Sidecar;
use crate::failure::Failure;
use crate::process::{self, Signals};
use crate::sidecars::{Addresses, Application, Journal, Level, Post, Served};
use crate::source;

pub(crate) fn run(args: &Sidecar, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    process::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(args, &source::shared_data(data), started));
    // What is left is with those that a second signal did not wait for.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

async fn serve(args: &Sidecar, data: &Path, started: Instant) -> Result<(), Failure> {
    let journal = Journal::here(args);
    let application = Application::here(args.clone(), &journal)?;
    let listeners = application.bind().await?;
    let addresses = Addresses::of(&listeners);
    let post = Post::new(data);
    // Before anybody is told that it may be ended.
    let mut signals = Signals::new()?;
    let (first, second) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let told = (Arc::clone(&first), Arc::clone(&second));
    let telling = journal.clone();
    let listening = tokio::spawn(async move {
        signals.next().await;
        telling.say(Level::Info, "ending: what is in flight is finished first; once more, and it is not");
        told.0.notify_one();
        signals.next().await;
        told.1.notify_one();
    });
    let folder = post.folder().to_owned();
    let mut ready = || journal.ready(&addresses, &folder, started.elapsed());
    let served = Served { journal: &journal, ready: &mut ready };
    let whole = async {
        let ended = tokio::select! {
            ended = post.serve(&application, listeners, served, first.notified()) => ended,
            () = application.watch(&journal) => Ok(()),
        };
        application.unbind();
        post.close().await;
        ended
    };
    let ended = tokio::select! {
        ended = whole => ended.inspect(|()| journal.say(Level::Info, "ended")),
        () = second.notified() => Ok(()),
    };
    listening.abort();
    ended
}
