//! The holder: the process that has the engine, and serves the applications of others beside its own.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::carried::Carried;
use api::{End, Host, Listener, Listeners};
use engine::{Embedded, OpenError};
use tokio::io::AsyncWrite;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::application::{Application, Handed, Place};
use super::election::Lock;
use super::message::{Asker, FromGuest, FromHolder, Request, What};
use super::roster::Roster;
use super::traces::Endings;
use super::wire::{self, Hearing};
use crate::command::refused_data;
use crate::failure::Failure;
use crate::registry;

/// What a holder holds.
pub(super) struct Holding {
    folder: PathBuf,
    host: Arc<Host>,
    roster: Roster,
    endings: Endings,
    entry: Option<registry::HostEntry>,
    over: watch::Sender<bool>,
    desk: JoinHandle<()>,
    lock: Lock,
}

/// What each guest is served with.
#[derive(Clone)]
struct Desk {
    folder: PathBuf,
    asker: Asker,
    /// None until the engine is open.
    host: watch::Receiver<Option<Arc<Host>>>,
    over: watch::Receiver<bool>,
    roster: Roster,
    endings: Endings,
}

impl Holding {
    /// Opens the engine. Whoever comes meanwhile is told to wait.
    pub(super) async fn begin(folder: &Path, lock: Lock) -> Result<Holding, Failure> {
        let listener = wire::listen(folder).map_err(|error| {
            Failure::new(format!("cannot listen for other sidecars in {}: {error}", folder.display()))
        })?;
        let (opened, host) = watch::channel(None);
        let (over, is_over) = watch::channel(false);
        let (roster, endings) = (Roster::default(), Endings::default());
        let desk = Desk {
            folder: folder.to_owned(),
            asker: wire::introduction(),
            host,
            over: is_over,
            roster: roster.clone(),
            endings: endings.clone(),
        };
        let desk = tokio::spawn(desk.open(listener));
        let place = folder.to_owned();
        let opening = tokio::task::spawn_blocking(move || open(&place));
        let host = opening.await.unwrap_or_else(|error| Err(Failure::new(error.to_string())));
        match host {
            Ok(host) => {
                opened.send_replace(Some(Arc::clone(&host)));
                let entry = registry::HostEntry::new(folder);
                Ok(Holding { folder: folder.to_owned(), host, roster, endings, entry, over, desk, lock })
            }
            Err(failure) => {
                wire::unlisten(folder);
                desk.abort();
                Err(failure)
            }
        }
    }

    /// Where an application is served.
    pub(super) fn place(&self) -> Place {
        Place {
            host: Arc::clone(&self.host),
            data: data_of(&self.folder),
            roster: self.roster.clone(),
            endings: self.endings.clone(),
        }
    }

    /// Lets the guests go, each when what is in flight at it is finished, and then the engine and the lock.
    pub(super) async fn end(self) {
        // First this: who comes now looks for another.
        wire::unlisten(&self.folder);
        self.over.send_replace(true);
        let _ = self.desk.await;
        drop(self.entry);
        let host = self.host;
        let _ = tokio::task::spawn_blocking(move || host.close()).await;
        drop(self.lock);
        // By now another may serve.
        self.endings.finish().await;
    }
}

impl Desk {
    /// Takes guests until it is over, and then waits until they are gone.
    async fn open(mut self, listener: UnixListener) {
        let mut guests = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                _ = self.over.changed() => break,
                Some(_) = guests.join_next() => continue,
                accepted = listener.accept(), if guests.len() < GUESTS_MAX => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    guests.spawn(self.clone().attend(stream));
                }
                // Out of descriptors, mostly: those that end give some back.
                Err(_) => sleep(BETWEEN_TRIES).await,
            }
        }
        drop(listener);
        while guests.join_next().await.is_some() {}
    }

    async fn attend(self, mut stream: UnixStream) {
        let pid = std::process::id();
        let Ok(Ok((json, attached))) = timeout(INTRODUCTION, asked(&mut stream)).await else { return };
        let refusal = match serde_json::from_slice::<Asker>(&json) {
            Ok(asker) => self.asker.refuses(&asker, pid),
            Err(error) => Some(not_understood(&error)),
        };
        let request = match refusal {
            None => serde_json::from_slice::<Request<Box<Application>>>(&json)
                .map_err(|error| not_understood(&error)),
            Some(failure) => Err(failure),
        };
        match request {
            Ok(Request { what: What::Serve { application, http, carried }, .. }) => {
                self.serve(stream, &application, listeners(attached, http), carried).await;
            }
            Ok(Request { what: What::List, .. }) => {
                answer(stream, FromHolder::Listed(self.roster.all())).await;
            }
            Ok(Request { what: What::Stop { app_id }, .. }) => {
                answer(stream, FromHolder::Stopping(self.roster.end(&app_id))).await;
            }
            Err(failure) => answer(stream, FromHolder::Failed(failure.into())).await,
        }
    }

    /// Serves a guest's application for as long as the guest is there.
    async fn serve(
        self,
        stream: UnixStream,
        application: &Application,
        listeners: io::Result<Listeners>,
        carried: Vec<Carried>,
    ) {
        let (read, write) = stream.into_split();
        let (say, said) = mpsc::channel(LINES_MAX);
        let (finish, is_finished) = watch::channel(false);
        let serving = async {
            let outcome = match listeners {
                Ok(listeners) => {
                    let handed = Handed { listeners, carried, told: Some(say.clone()) };
                    self.served(application, handed, &say, is_finished).await
                }
                Err(error) => Err(Failure::new(format!("the listeners cannot be used: {error}"))),
            };
            let last = match outcome {
                Ok(End::Whole) => FromHolder::Ended,
                Ok(End::HandedOver) => FromHolder::Moving,
                Err(failure) => FromHolder::Failed(failure.into()),
            };
            let _ = say.send(last).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serving => {}
            // Ends when everything is told, or when nobody hears it.
            () = telling(write, said) => {}
            () = hearing(Hearing::new(read), finish, application) => {}
        }
    }

    async fn served(
        &self,
        application: &Application,
        handed: Handed,
        say: &mpsc::Sender<FromHolder>,
        mut finish: watch::Receiver<bool>,
    ) -> Result<End, Failure> {
        let (mut host, mut over) = (self.host.clone(), self.over.clone());
        let Ok(host) = host.wait_for(Option::is_some).await.map(|host| host.clone()) else {
            return Ok(End::HandedOver);
        };
        let Some(host) = host else { return Ok(End::HandedOver) };
        let printing = say.clone();
        // Who does not read its lines misses some.
        let journal = application.journal(move |text| {
            let _ = printing.try_send(FromHolder::Print(text.to_owned()));
        });
        let stop = async {
            tokio::select! {
                _ = finish.wait_for(|finish| *finish) => End::Whole,
                _ = over.wait_for(|over| *over) => End::HandedOver,
            }
        };
        let ready = || {
            let _ = say.try_send(FromHolder::Ready { pid: std::process::id() });
        };
        let closing = || {
            let _ = say.try_send(FromHolder::Closing);
        };
        let (roster, endings) = (self.roster.clone(), self.endings.clone());
        let place = Place { host, data: data_of(&self.folder), roster, endings };
        application.serve(&place, handed, &journal, stop, ready, closing).await
    }
}

/// The folder of the data in which the engine's is.
fn data_of(folder: &Path) -> PathBuf {
    folder.parent().unwrap_or(folder).to_owned()
}

/// Tells the one thing that there is to tell.
async fn answer(mut stream: UnixStream, what: FromHolder) {
    // Who is gone has no need of it.
    let _ = timeout(INTRODUCTION, wire::tell(&mut stream, &what)).await;
}

/// A first message from one of this user's processes.
async fn asked(stream: &mut UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    wire::is_same_user(stream)?;
    wire::asked(stream).await
}

/// Tells a guest what there is to tell, and that this process is there.
async fn telling(mut write: impl AsyncWrite + Unpin, mut said: mpsc::Receiver<FromHolder>) {
    loop {
        let message = match timeout(ALIVE, said.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(_) => FromHolder::Alive,
        };
        let is_last = matches!(message, FromHolder::Ended | FromHolder::Moving | FromHolder::Failed(_));
        match timeout(UNREAD, wire::tell(&mut write, &message)).await {
            Ok(Ok(())) if !is_last => {}
            _ => return,
        }
    }
}

/// Hears what a guest wants, until it is gone.
async fn hearing(
    mut hearing: Hearing<tokio::net::unix::OwnedReadHalf>,
    finish: watch::Sender<bool>,
    application: &Application,
) {
    loop {
        match hearing.next().await {
            Ok(FromGuest::End) => {
                finish.send_replace(true);
            }
            Ok(FromGuest::Declared(read)) => application.declared.replace(read),
            Ok(FromGuest::Noted(notes)) => application.notes.replace(notes),
            Err(_) => return,
        }
    }
}

/// Those of HTTP, and the others of gRPC.
fn listeners(attached: Vec<OwnedFd>, http: usize) -> io::Result<Listeners> {
    let mut all = attached.into_iter().map(Listener::from_fd).collect::<io::Result<Vec<_>>>()?;
    let grpc = all.split_off(http.min(all.len()));
    Ok(Listeners { http: all, grpc })
}

/// The host, with its engine in the folder.
fn open(folder: &Path) -> Result<Arc<Host>, Failure> {
    let settings = engine::Config { body_bytes_max: VALUE_BYTES_MAX, ..engine::Config::default() };
    let disk = Embedded::open_in(folder, settings.clone()).map_err(|error| {
        let failure = refused_data(folder, &error);
        match error {
            OpenError::Open(log::OpenError::Locked { .. }) => {
                failure.hint("no sidecar has it open: end that process, or name another folder with --data")
            }
            _ => failure,
        }
    })?;
    Ok(Host::new(disk, settings))
}

fn not_understood(error: &serde_json::Error) -> Failure {
    Failure::new(format!(
        "the sidecar with pid {}, which has the data folder open, does not understand this one: {error}",
        std::process::id()
    ))
    .hint("use the same program for all sidecars of a data folder")
}

/// Most guests at a time; others wait to be taken.
const GUESTS_MAX: usize = 1_000;
/// How long a guest has to say what it wants.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long until it is tried again to take a guest.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// After how long of nothing a guest hears that the holder is there.
const ALIVE: Duration = Duration::from_secs(2);
/// How long a guest may leave unread what it is told before it counts as gone.
const UNREAD: Duration = Duration::from_secs(60);
/// Most lines that wait for a guest to read them.
const LINES_MAX: usize = 1_024;
/// The largest value that there is room for, whatever is set: some of a command is not the value.
const VALUE_BYTES_MAX: usize = 7 << 20;
