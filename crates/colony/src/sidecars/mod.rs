//! Sidecars of one machine share what is in a data folder: its applications have one [`api::Host`], whichever process they were
//! started by.
//!
//! One process has the folder's lock (`election`) and with it the engine: the *holder*. Another that comes is a *guest*: it
//! connects to a socket in the folder, tells of its application (`message`) and hands over its listeners (`wire`). The holder
//! serves them in its own process (`holder`), so that a guest's requests go no longer way than the holder's own, and what the
//! guest would have printed is sent back to it (`guest`).
//!
//! A guest keeps duplicates of its listeners, and what its application has told that is kept nowhere. When the holder ends or is killed, whoever connects waits, one of the guests
//! gets the lock, and the others go over to it: nothing that was acknowledged was anywhere else than in the folder.

mod application;
mod election;
mod files;
mod guest;
mod holder;
mod journal;
mod message;
mod renew;
mod roster;
mod traces;
mod watch;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{End, Host, Listeners};
use manifest::Diagnostics;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::failure::Failure;
use election::Turn;
use guest::Outcome;
use holder::Holding;
use message::{FromHolder, What};

pub(crate) use application::{Application, ByWay, Notes};
pub(crate) use files::{Declared, Read, paths as resource_files};
pub(crate) use journal::{Addresses, Journal, Level, Terminal};
pub(crate) use roster::About;
pub(crate) use traces::Tracing;

/// Where in a data folder the engine lies.
pub(crate) const FOLDER: &str = "engine";

/// Who is served by the holder of a folder; none if there is no holder.
pub(crate) async fn list(folder: &Path) -> Result<Vec<About>, Failure> {
    match guest::request(folder, What::List).await? {
        Some(FromHolder::Listed(all)) => Ok(all),
        _ => Ok(Vec::new()),
    }
}

/// Asks the holder of a folder to end an application; how many instances of it there are.
pub(crate) async fn stop(folder: &Path, app_id: &str) -> Result<usize, Failure> {
    match guest::request(folder, What::Stop { app_id: app_id.to_owned() }).await? {
        Some(FromHolder::Stopping(instances)) => Ok(instances),
        _ => Ok(0),
    }
}

/// What is wrong or doubtful in these folders and files, whoever it is for.
pub(crate) fn check(
    resources: &[PathBuf],
    configuration: &[PathBuf],
    variables: &BTreeMap<String, String>,
    embedded: bool,
) -> Result<[Diagnostics; 2], Failure> {
    Ok([
        files::configuration(&files::named(configuration)?).of_a_node().diagnostics,
        files::resources(&files::in_folders(resources)?, variables, embedded).diagnostics,
    ])
}

/// This process' place among those that share a folder.
pub(crate) struct Post {
    folder: PathBuf,
    /// If this is the holder.
    held: Mutex<Option<Arc<Holding>>>,
    /// One who looks at a time, and none at the end.
    looking: Mutex<()>,
}

/// A look at what this process holds, which does not end meanwhile.
pub(crate) struct Look<'a> {
    pub(crate) host: Arc<Host>,
    _turn: MutexGuard<'a, ()>,
}

/// Whose turn it is to serve.
enum Role {
    Holder(Arc<Holding>),
    Guest(UnixStream),
    /// Somebody has the lock and does not listen: it is about to begin, or to end.
    Unknown(Option<u32>),
}

/// What is told of an application that is served.
pub(crate) struct Served<'a> {
    /// Its own lines.
    pub(crate) journal: &'a Journal,
    /// Is called once it is answered for the first time.
    pub(crate) ready: &'a mut (dyn FnMut() + Send + Sync),
}

impl Post {
    pub(crate) fn new(data: &Path) -> Post {
        Post { folder: data.join(FOLDER), held: Mutex::default(), looking: Mutex::default() }
    }

    /// Calls under way into the instance of an application that listens on this port, if it is served here.
    pub(crate) fn in_flight(&self, app_id: &str, port: u16) -> usize {
        let Ok(held) = self.held.try_lock() else { return 0 };
        let instances = held.iter().flat_map(|holding| holding.place().host.instances(app_id));
        let meant = instances.filter(|api| api.config.app.port == Some(port));
        meant.map(|api| api.app.in_flight()).sum()
    }

    /// What this process holds; none if another does, or nobody was served yet.
    pub(crate) async fn look(&self) -> Option<Look<'_>> {
        let turn = self.looking.lock().await;
        let host = self.held.try_lock().ok()?.as_ref()?.place().host;
        Some(Look { host, _turn: turn })
    }

    /// Where the engine is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has an application served, here or by another process, until `stop` or until a request asks for the end.
    pub(crate) async fn serve<'a>(
        &self,
        application: &'a Application,
        listeners: Listeners,
        served: Served<'a>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Failure> {
        let mut stop = std::pin::pin!(stop);
        let mut guest = guest::Guest::new(application, listeners, served);
        let mut since = Instant::now();
        loop {
            let role = tokio::select! {
                () = &mut stop => return Ok(()),
                role = self.role() => role?,
            };
            match role {
                Role::Holder(holding) => return here(&holding, guest, stop).await,
                Role::Guest(stream) => {
                    match guest.be_served(stream, stop.as_mut()).await? {
                        Outcome::Ended => return Ok(()),
                        Outcome::Lost => since = Instant::now(),
                    }
                    sleep(LOOK_AGAIN).await;
                }
                Role::Unknown(pid) => {
                    if since.elapsed() > PATIENCE {
                        guest.nobody(&self.folder, pid)?;
                        since = Instant::now();
                    }
                    tokio::select! {
                        () = &mut stop => return Ok(()),
                        () = sleep(LOOK_AGAIN) => {}
                    }
                }
            }
        }
    }

    async fn role(&self) -> Result<Role, Failure> {
        let mut held = self.held.lock().await;
        if let Some(holding) = &*held {
            return Ok(Role::Holder(Arc::clone(holding)));
        }
        match election::turn(&self.folder)? {
            Turn::Ours(lock) => {
                let holding = Arc::new(Holding::begin(&self.folder, lock).await?);
                *held = Some(Arc::clone(&holding));
                Ok(Role::Holder(holding))
            }
            Turn::Theirs(pid) => match wire::connect(&self.folder).await {
                Ok(stream) => Ok(Role::Guest(stream)),
                Err(_) => Ok(Role::Unknown(pid)),
            },
        }
    }

    /// Lets the guests go, if there are any, and finishes what the engine has begun.
    pub(crate) async fn close(&self) {
        let _turn = self.looking.lock().await;
        if let Some(holding) = self.held.lock().await.take().and_then(Arc::into_inner) {
            holding.end().await;
        }
    }
}

/// Serves an application in this process.
async fn here(
    holding: &Holding,
    guest: guest::Guest<'_>,
    stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), Failure> {
    let stop = async {
        stop.await;
        End::Whole
    };
    let took_over = guest.was_served();
    let (application, handed, served) = guest.parts();
    let ready = || match took_over {
        false => (served.ready)(),
        true => served
            .journal
            .say(Level::Info, "the process that served it has ended: served by this one from now on"),
    };
    let place = holding.place();
    application.serve(&place, handed, served.journal, stop, ready, || {}).await.map(drop)
}

/// How long it is looked for somebody who serves, before that is said to be wrong.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until it is looked again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
