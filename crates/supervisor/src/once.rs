//! Programs that are started once and not again: for who wants a program beside it, and no service.
//!
//! What keeps services from outliving their node keeps these from outliving their starter: a group of their own, the
//! kernel's order, the guardian.

use crate::command;
use crate::config::{Observer, Output};
use crate::error::Error;
use crate::event::Event;
use crate::process::{Sink, follow};
use crate::procfs;
use crate::supervisor::lock;
use crate::warden::{Launch, Warden};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Starts programs. When it is dropped, those that still run are killed.
pub struct Programs {
    warden: Arc<Warden>,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// Under which name it is known here.
    pub name: String,
    /// The program, then its arguments. A program with a `/` is relative to `dir`.
    pub words: Vec<String>,
    /// Where it works, absolute.
    pub dir: PathBuf,
    /// Set over the inherited environment.
    pub env: BTreeMap<String, String>,
}

/// A program that was started.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    ended: oneshot::Receiver<ExitStatus>,
    gone: oneshot::Receiver<()>,
}

impl Programs {
    /// `data_dir` is made for what has to be remembered meanwhile, and must be nobody else's; `executable` becomes the guardian,
    /// as for a [`crate::Config`]. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The folder cannot be used, or there is no thread to be had.
    pub fn new(data_dir: &Path, executable: PathBuf) -> Result<Programs, Error> {
        let lock = lock(data_dir)?;
        let warden = Warden::start(executable, data_dir.join("groups"), lock, Arc::new(Nobody));
        Ok(Programs { warden: Arc::new(warden.map_err(Error::Thread)?) })
    }

    /// Starts a program; `line` gets what it writes, line by line.
    ///
    /// # Errors
    /// Why it cannot be executed, as a sentence.
    pub async fn start(
        &self,
        program: Program,
        line: impl Fn(Output, &str) + Clone + Send + 'static,
    ) -> Result<Running, String> {
        let Program { name, words, dir, env } = program;
        let path = env.get("PATH").cloned().or_else(|| std::env::var("PATH").ok()).unwrap_or_default();
        let shown = dir.display().to_string();
        let program = command::resolve(words.first().map_or("", String::as_str), &dir, &shown, &path)?;
        let launch = Launch {
            program: program.clone(),
            words,
            dir,
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            mark: Some(self.warden.mark(&name)),
            instance: name,
        };
        let spawned = self.warden.spawn(launch).await;
        let spawned = spawned.map_err(|error| format!("cannot execute `{}`: {error}", program.display()))?;
        let pid = u32::try_from(spawned.group.id()).unwrap_or_default();
        let sinks = [Output::Stdout, Output::Stderr].map(|stream| -> Sink {
            let line = line.clone();
            Box::new(move |text| line(stream, text))
        });
        let (_, ending) = follow(spawned, sinks);
        let (end, ended) = oneshot::channel();
        let (go, gone) = oneshot::channel();
        let warden = Arc::clone(&self.warden);
        tokio::spawn(async move {
            let mut end = Some(end);
            let down = |status| {
                if let Some(end) = end.take() {
                    let _ = end.send(status);
                }
            };
            ending.until_gone(&warden, down).await;
            let _ = go.send(());
        });
        Ok(Running { pid, ended, gone })
    }

    /// Ends what guards them. Whatever still runs is killed.
    pub async fn end(self) {
        self.warden.end().await;
    }
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks all of its processes to end.
    pub fn ask_to_end(&self) {
        procfs::signal_group(self.group(), libc::SIGTERM);
    }

    /// Ends all of its processes.
    pub fn kill(&self) {
        procfs::signal_group(self.group(), libc::SIGKILL);
    }

    /// Waits until it has ended by itself or by a signal: the code that a shell would tell of it.
    pub async fn ended(&mut self) -> u8 {
        match (&mut self.ended).await {
            Ok(status) => code(status),
            Err(_) => 1,
        }
    }

    /// Waits until none of its processes is left, and all that they have written is told.
    pub async fn gone(&mut self) {
        let _ = (&mut self.gone).await;
    }

    fn group(&self) -> i32 {
        i32::try_from(self.pid).unwrap_or_default()
    }
}

/// Nobody asks for events: what there is to know is in what a program's end tells.
struct Nobody;

impl Observer for Nobody {
    fn line(&self, _: &str, _: &str, _: Output, _: &str) {}

    fn event(&self, _: &Event) {}
}

/// As a shell has it: a signal counts from 128.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
