//! What all adapters to a PostgreSQL have in common: its settings, and a few connections that are lent to one user at a time.
//!
//! A transaction needs a connection of its own, so one for all is not enough. Who gives up while something is being done
//! gives its connection up too: what is in flight on it is nobody's any more. One that was lost is noticed when it is lent next,
//! and another is made.

mod connection_string;
mod settings;
mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};

pub use settings::Settings;
pub(crate) use settings::{name, seconds};

/// What is told on a connection.
pub(crate) type Heard = BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;
/// What a connection is wrapped in.
type Secured = <tls::Tls as MakeTlsConnect<Socket>>::Stream;

/// Connections to a database. A clone shares them.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    settings: Settings,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<(Client, Instant)>>,
    closed: AtomicBool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The database refuses it; nothing was done.
    Refused(String),
    /// It was undone, for it stood in the way of another, and may be tried again.
    Undone(String),
    /// The connection is gone: it may have been done.
    Lost(String),
    /// Nobody answers, or not in time: it may have been done.
    Silent(String),
}

/// A connection that is lent. Unless it is given back it is closed.
pub(crate) struct Lent {
    client: Client,
    pool: Pool,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Connections as they are set. None is made yet.
    pub(crate) fn new(settings: Settings) -> Pool {
        Pool(Arc::new(Shared {
            permits: Arc::new(Semaphore::new(settings.connections_max)),
            settings,
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
        }))
    }

    /// Does this in bounded time, or gives up.
    pub(crate) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let timeout = self.0.settings.timeout;
        tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
            Err(Failure::Silent(format!("{}: no answer within {timeout:?}", self.0.settings)))
        })
    }

    /// Lends no connection any more.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether that was done.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Lends a connection, once there is one.
    pub(crate) async fn lend(&self) -> Result<Lent, Failure> {
        let shared = &self.0;
        // It is never closed.
        let permit = Arc::clone(&shared.permits).acquire_owned().await;
        let permit = permit.map_err(|error| Failure::Silent(error.to_string()))?;
        let client = match shared.rested() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(Lent { client, pool: self.clone(), _permit: permit })
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let (client, connection) = self.connected().await?;
        // It ends with the client.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Makes a connection of one's own, with what is told on it unasked. It has to be listened to, or nothing is answered.
    pub(crate) async fn connect_heard(&self) -> Result<(Client, Heard), Failure> {
        let (client, mut connection) = self.connected().await?;
        Ok((client, stream::poll_fn(move |cx| connection.poll_message(cx)).boxed()))
    }

    async fn connected(&self) -> Result<(Client, Connection<Socket, Secured>), Failure> {
        let settings = &self.0.settings;
        let connected = settings.config.connect(settings.tls.clone()).await;
        connected.map_err(|error| match self.failed(&error) {
            // Nothing was asked yet.
            Failure::Lost(why) => Failure::Silent(why),
            failure => failure,
        })
    }

    /// What an error means.
    pub(crate) fn failed(&self, error: &tokio_postgres::Error) -> Failure {
        let settings = &self.0.settings;
        let Some(said) = error.as_db_error() else {
            let mut why = format!("{settings}: {error}");
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                why.push_str(&format!(": {error}"));
                cause = error.source();
            }
            return Failure::Lost(why);
        };
        let why = format!("{settings}: {} (SQLSTATE {})", said.message(), said.code().code());
        match said.code() {
            code if UNDONE.contains(code) => Failure::Undone(why),
            // Class 57 but for a query that was cancelled: it is being shut down, or not up yet.
            code if code.code().starts_with("57P") => Failure::Lost(why),
            _ => Failure::Refused(why),
        }
    }
}

impl Shared {
    /// A connection that is there and has not rested for too long.
    fn rested(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(client, since)| !client.is_closed() && since.elapsed() < self.settings.idle_max);
        idle.pop().map(|(client, _)| client)
    }
}

impl Lent {
    /// The connection.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Gives it back, after all that was asked on it has been answered like this.
    pub(crate) fn done<T>(self, answer: Result<T, tokio_postgres::Error>) -> Result<T, Failure> {
        let answer = answer.map_err(|error| self.pool.failed(&error));
        let Lent { client, pool, _permit } = self;
        if !matches!(answer, Err(Failure::Lost(_))) && !client.is_closed() && !pool.is_closed() {
            let mut idle = pool.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((client, Instant::now()));
        }
        answer
    }
}

impl Failure {
    /// The sentence.
    pub(crate) fn why(self) -> String {
        let (Failure::Refused(why) | Failure::Undone(why) | Failure::Lost(why) | Failure::Silent(why)) = self;
        why
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.clone().why())
    }
}

/// What is undone as a whole, and done when it is tried again.
const UNDONE: [SqlState; 2] = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
