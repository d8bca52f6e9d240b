//! One program and its sidecar, from the sidecar's start to the end of both.
//!
//! At the end the program goes first: while it ends it may want to keep something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use supervisor::{Program, Programs};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

use super::lines::Out;
use crate::adapters::Surroundings;
use crate::args::Sidecar;
use crate::failure::Failure;
use crate::sidecars::{Addresses, Application, Journal, Level, Notes, Post, Read, Served, Terminal};
use crate::terminal;

/// What is to be run.
pub(super) struct Job {
    pub(super) sidecar: Sidecar,
    /// The sidecar's, and where the program works.
    pub(super) surroundings: Surroundings,
    /// The program's variables, over those of this process.
    pub(super) env: BTreeMap<String, String>,
    /// The program and its arguments; none: a sidecar alone.
    pub(super) command: Vec<String>,
    /// Where the program's lines go.
    pub(super) app: Out,
    /// Where the sidecar's go.
    pub(super) own: Out,
    /// What is told of it besides.
    pub(super) notes: Vec<(&'static str, String)>,
}

impl Job {
    /// Runs it until `stop`, until the program ends, or until the sidecar is asked to end. The program's code, if it has ended by
    /// itself.
    pub(super) async fn run(
        self,
        post: Arc<Post>,
        programs: Arc<Programs>,
        stop: watch::Receiver<bool>,
    ) -> Result<u8, Failure> {
        let ended = self.both(&post, &programs, stop).await;
        if ended.is_err() {
            self.own.disclose(&self.sidecar.app_id);
        }
        ended
    }

    async fn both(
        &self,
        post: &Post,
        programs: &Programs,
        mut stop: watch::Receiver<bool>,
    ) -> Result<u8, Failure> {
        let started = Instant::now();
        let journal = self.journal();
        let read = Read::of(&self.sidecar.resources_path, &self.sidecar.config)?;
        let application = Application::new(self.sidecar.clone(), read, self.surroundings.clone(), &journal)?;
        for (key, note) in &self.notes {
            application.notes.set(key, note.clone());
        }
        let listeners = application.bind().await?;
        let addresses = Addresses::of(&listeners);
        let env = self.env.clone().into_iter().chain(application.told(&listeners)).collect();
        let (tell, is_ready) = oneshot::channel();
        let mut tell = Some(tell);
        let mut ready = || {
            journal.ready(&addresses, post.folder(), started.elapsed());
            self.own.settle();
            if let Some(tell) = tell.take() {
                let _ = tell.send(());
            }
        };
        let (sidecar_over, program_over) = (Notify::new(), Notify::new());
        let served = Served { journal: &journal, ready: &mut ready };
        let serving = post.serve(&application, listeners, served, program_over.notified());
        let program = async {
            let over = async {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = sidecar_over.notified() => {}
                }
            };
            let mut over = std::pin::pin!(over);
            tokio::select! {
                Ok(()) = is_ready => {}
                () = &mut over => return Ok(0),
            }
            self.program(programs, &application.notes, env, over).await
        };
        let (mut serving, mut program) = (std::pin::pin!(serving), std::pin::pin!(program));
        let mut watching = std::pin::pin!(application.watch(&journal));
        let (served, code) = tokio::select! {
            () = &mut watching => (Ok(()), Ok(0)),
            code = &mut program => {
                program_over.notify_one();
                (serving.await, code)
            }
            served = &mut serving => {
                sidecar_over.notify_one();
                (served, program.await)
            }
        };
        application.unbind();
        served.and(code)
    }

    /// Starts the program, and ends it when it is over.
    async fn program(
        &self,
        programs: &Programs,
        notes: &Notes,
        env: BTreeMap<String, String>,
        over: impl Future<Output = ()>,
    ) -> Result<u8, Failure> {
        let app_id = self.sidecar.app_id.clone();
        if self.command.is_empty() {
            over.await;
            return Ok(0);
        }
        let program = Program {
            name: app_id.clone(),
            words: self.command.clone(),
            dir: self.surroundings.folder.clone(),
            env,
        };
        let out = self.app.clone();
        let name = app_id.clone();
        let running = programs.start(program, move |stream, line| out.app(&name, stream, line)).await;
        let mut running =
            running.map_err(|why| Failure::new(format!("{app_id} cannot be started: {why}")))?;
        notes.set("cliPID", std::process::id().to_string());
        notes.set("appPID", running.pid().to_string());
        notes.set("appCommand", self.command.join(" "));
        let journal = self.journal();
        let code = tokio::select! {
            code = running.ended() => {
                let level = if code == 0 { Level::Info } else { Level::Error };
                journal.say(level, &format!("{} has ended with code {code}", self.command[0]));
                code
            }
            () = over => 0,
        };
        // Also those that it has left behind.
        running.ask_to_end();
        if timeout(GRACE, running.gone()).await.is_err() {
            journal.say(Level::Warn, &format!("{} does not end, and is killed", self.command[0]));
            running.kill();
            running.gone().await;
        }
        Ok(code)
    }

    fn journal(&self) -> Journal {
        let (out, app_id) = (self.own.clone(), self.sidecar.app_id.clone());
        let terminal =
            Terminal { width: terminal::width(), colours: out.is_terminal() && terminal::colours() };
        Journal::new(&self.sidecar, terminal, move |text| out.sidecar(&app_id, text))
    }
}

/// How long a program has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);
