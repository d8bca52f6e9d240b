//! A guest: its application is served by the process that has the engine, and it prints what that says of it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use api::Listeners;
use api::carried::{Carried, Watched};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::Served;
use super::application::{Application, Handed};
use super::journal::Level;
use super::message::{FromGuest, FromHolder, Request, What};
use super::wire::{self, Hearing};
use crate::failure::Failure;

/// An application and its listeners, which it keeps whoever serves it.
pub(super) struct Guest<'a> {
    application: &'a Application,
    listeners: Option<Listeners>,
    served: Served<'a>,
    /// Whether it was served before: then what goes wrong with who does is no reason to give up.
    was_served: bool,
    standing: Standing,
}

/// What the application has told those who served it, as it stands.
#[derive(Default)]
struct Standing {
    notes: BTreeMap<String, String>,
    watched: BTreeMap<String, Watched>,
}

/// What has become of being served.
pub(super) enum Outcome {
    /// The application has ended.
    Ended,
    /// The holder has.
    Lost,
}

impl<'a> Guest<'a> {
    pub(super) fn new(application: &'a Application, listeners: Listeners, served: Served<'a>) -> Guest<'a> {
        Guest {
            application,
            listeners: Some(listeners),
            served,
            was_served: false,
            standing: Standing::default(),
        }
    }

    pub(super) fn was_served(&self) -> bool {
        self.was_served
    }

    /// To be served by this process itself.
    pub(super) fn parts(self) -> (&'a Application, Handed, Served<'a>) {
        let carried = self.standing.all();
        let handed = Handed { listeners: self.listeners.unwrap_or_default(), carried, told: None };
        (self.application, handed, self.served)
    }

    /// Is served by who is at the other end, until `stop`.
    pub(super) async fn be_served(
        &mut self,
        mut stream: UnixStream,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<Outcome, Failure> {
        // Before it is told what is declared.
        let mut declared = self.application.declared.watch();
        match self.ask(&mut stream).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Failure::new(format!("the application cannot be described: {error}")));
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(Failure::new(format!("the application cannot be handed over: {error}")));
            }
            Err(_) => return Ok(Outcome::Lost),
        }
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let (read, mut write) = stream.into_split();
        let mut hearing = Hearing::new(read);
        let mut notes = self.application.notes.watch();
        let mut ending = false;
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            let heard = tokio::select! {
                heard = hearing.next::<FromHolder>() => heard,
                () = &mut stop, if !ending => {
                    ending = true;
                    // If it is not heard, the holder is gone, which is heard.
                    let _ = wire::tell(&mut write, &FromGuest::End).await;
                    continue;
                }
                Ok(()) = declared.changed() => {
                    let told = FromGuest::Declared(declared.borrow_and_update().clone());
                    let _ = wire::tell(&mut write, &told).await;
                    continue;
                }
                Ok(()) = notes.changed() => {
                    let noted = FromGuest::Noted(notes.borrow_and_update().clone());
                    let _ = wire::tell(&mut write, &noted).await;
                    continue;
                }
                () = sleep_until(silent_at) => {
                    if ending {
                        return Ok(Outcome::Ended);
                    }
                    self.silence(pid)?;
                    silent_at = Instant::now() + SILENCE;
                    continue;
                }
            };
            silent_at = Instant::now() + SILENCE;
            match heard {
                Ok(FromHolder::Alive) => {}
                Ok(FromHolder::Print(text)) => self.served.journal.pass_on(&text),
                Ok(FromHolder::Ready { pid }) => self.ready(pid),
                Ok(FromHolder::Carried(one)) => self.standing.take(one),
                Ok(FromHolder::Closing) => self.listeners = None,
                Ok(FromHolder::Ended) => return Ok(Outcome::Ended),
                Ok(FromHolder::Failed(refusal)) => return Err(refusal.into()),
                // Nobody has asked for these.
                Ok(FromHolder::Listed(_) | FromHolder::Stopping(_)) => {}
                Ok(FromHolder::Moving) | Err(_) if ending => return Ok(Outcome::Ended),
                Ok(FromHolder::Moving) | Err(_) => return Ok(Outcome::Lost),
            }
        }
    }

    /// Nobody has served it for long, and somebody has the lock.
    pub(super) fn nobody(&self, folder: &Path, pid: Option<u32>) -> Result<(), Failure> {
        let who = pid.map_or("another process".to_owned(), |pid| format!("the process {pid}"));
        let failure = Failure::new(format!(
            "{who} has {} open and does not listen to other sidecars",
            folder.display()
        ));
        self.give_up(failure.hint("end it, or name another data folder with --data"))
    }

    async fn ask(&self, stream: &mut UnixStream) -> io::Result<()> {
        let listeners = self.listeners.iter();
        let http = self.listeners.as_ref().map_or(0, |listeners| listeners.http.len());
        let all: Vec<_> =
            listeners.flat_map(|all| all.http.iter().chain(&all.grpc)).map(AsFd::as_fd).collect();
        let carried = self.standing.all();
        let what = What::Serve { application: self.application, http, carried };
        wire::ask(stream, &Request { asker: wire::introduction(), what }, &all).await
    }

    fn ready(&mut self, pid: u32) {
        match self.was_served {
            false => (self.served.ready)(),
            true => self.served.journal.say(Level::Info, &format!("served by pid {pid} from now on")),
        }
        self.was_served = true;
    }

    fn silence(&self, pid: Option<i32>) -> Result<(), Failure> {
        let who = pid.map_or("the process".to_owned(), |pid| format!("pid {pid}"));
        let failure = Failure::new(format!(
            "{who}, which serves the sidecars of this data folder, has said nothing for {} s",
            SILENCE.as_secs()
        ));
        self.give_up(failure.hint("if it hangs, end it with `kill -9`: another sidecar takes over"))
    }

    /// An application that was served waits for better times, and says so.
    fn give_up(&self, failure: Failure) -> Result<(), Failure> {
        if !self.was_served {
            return Err(failure);
        }
        let hints = failure.hints.iter().map(|hint| format!("; {hint}")).collect::<String>();
        self.served.journal.say(Level::Error, &format!("{}{hints}", failure.message));
        Ok(())
    }
}

impl Standing {
    fn take(&mut self, one: Carried) {
        match one {
            Carried::Noted { key, value } => drop(self.notes.insert(key, value)),
            Carried::Watched { id, watched } => drop(self.watched.insert(id, watched)),
            Carried::Unwatched { id } => drop(self.watched.remove(&id)),
        }
    }

    fn all(&self) -> Vec<Carried> {
        let notes = self.notes.iter();
        let notes = notes.map(|(key, value)| Carried::Noted { key: key.clone(), value: value.clone() });
        let watched = self.watched.iter();
        let watched = watched.map(|(id, one)| Carried::Watched { id: id.clone(), watched: one.clone() });
        notes.chain(watched).collect()
    }
}

/// Asks the holder of a folder for one thing; None if there is none.
pub(super) async fn request(folder: &Path, what: What<()>) -> Result<Option<FromHolder>, Failure> {
    let asking = async {
        let mut stream = wire::connect(folder).await.ok()?;
        let request = Request { asker: wire::introduction(), what };
        wire::ask(&mut stream, &request, &[]).await.ok()?;
        Hearing::new(stream).next().await.ok()
    };
    match timeout(SILENCE, asking).await {
        Ok(Some(FromHolder::Failed(refusal))) => Err(refusal.into()),
        Ok(answer) => Ok(answer),
        Err(_) => Err(Failure::new(format!("who has {} open says nothing", folder.display()))
            .hint("if it hangs, end it with `kill -9`: another sidecar takes over")),
    }
}

/// How long the holder may say nothing: it says that it is there every two seconds.
const SILENCE: Duration = Duration::from_secs(10);
