//! What all adapters to a Redis have in common: its settings, and one connection that carries all requests.
//!
//! When the connection is lost another is made by itself; until then requests wait a little, then fail. Whether something is
//! asked again is for who asks to say: a read may be, a write may have been done.

mod settings;

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation};

pub use settings::Settings;

/// A connection to a Redis. A clone is the same connection.
#[derive(Clone)]
pub struct Connection {
    manager: ConnectionManager,
    settings: Settings,
}

/// A connection for who waits in a Redis, which holds up all that comes behind it. It is not made again when it is lost.
pub struct Waiting {
    connection: MultiplexedConnection,
    id: Option<u64>,
    settings: Settings,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Whether the connection is gone: it may be asked once more what may be asked twice.
    pub lost: bool,
    /// The word that Redis has for what is wrong, if it said so: `WRONGTYPE`, for one.
    pub code: Option<String>,
    /// A sentence.
    pub why: String,
}

impl Connection {
    /// Connects, and sees that there is a Redis that answers.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn open(settings: Settings) -> Result<Connection, Unanswered> {
        let client = settings.connection().and_then(Client::open);
        let client = client.map_err(|error| settings.failed(&error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.dial_timeout))
            .set_response_timeout(Some(settings.read_timeout))
            .set_number_of_retries(settings.retries)
            .set_min_delay(DELAY_MIN)
            .set_max_delay(DELAY_MAX)
            .set_pipeline_buffer_size(REQUESTS_WAITING_MAX);
        let connect = async {
            let mut connection = ConnectionManager::new_with_config(client, config).await?;
            let _: () = redis::cmd("PING").query_async(&mut connection).await?;
            Ok(connection)
        };
        let manager = settings.within(connect).await?;
        Ok(Connection { manager, settings })
    }

    /// What a script answers.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn script<T: FromRedisValue>(&self, request: &ScriptInvocation<'_>) -> Result<T, Unanswered> {
        let mut connection = self.manager.clone();
        self.settings.within(request.invoke_async(&mut connection)).await
    }

    /// What a command answers.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unanswered> {
        let mut connection = self.manager.clone();
        self.settings.within(command.query_async(&mut connection)).await
    }

    /// What several commands answer that are sent together, each by itself.
    ///
    /// # Errors
    ///
    /// If they do not.
    pub async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &mut Pipeline,
    ) -> Result<Vec<Result<T, Unanswered>>, Unanswered> {
        let mut connection = self.manager.clone();
        let asked = commands.ignore_errors().query_async::<Vec<Result<T, RedisError>>>(&mut connection);
        let answers = self.settings.within(asked).await?;
        Ok(answers.into_iter().map(|one| one.map_err(|error| self.settings.failed(&error))).collect())
    }

    /// Another connection to the same Redis, to wait in.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn waiting(&self) -> Result<Waiting, Unanswered> {
        let settings = self.settings.clone();
        let client = settings.connection().and_then(Client::open).map_err(|error| settings.failed(&error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.dial_timeout))
            .set_response_timeout(None);
        let connect = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            // Who may not know it does without.
            let id = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await.ok();
            Ok((connection, id))
        };
        let (connection, id) = settings.within(connect).await?;
        Ok(Waiting { connection, id, settings })
    }
}

impl Connection {
    /// The number of the database that is used.
    pub fn database(&self) -> i64 {
        self.settings.database
    }

    /// Another connection to the same Redis, which is subscribed to channels by `subscribe`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn subscribed<F: Future<Output = Result<PubSub, RedisError>>>(
        &self,
        subscribe: impl FnOnce(PubSub) -> F,
    ) -> Result<PubSub, Unanswered> {
        let settings = &self.settings;
        let client = settings.connection().and_then(Client::open).map_err(|error| settings.failed(&error))?;
        settings.within(async { subscribe(client.get_async_pubsub().await?).await }).await
    }
}

impl Waiting {
    /// What Redis knows it by.
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// What a command answers that takes up to `wait`. After an error other than one of Redis' own it is of no use any more.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn ask<T: FromRedisValue>(&mut self, command: &Cmd, wait: Duration) -> Result<T, Unanswered> {
        let asked = command.query_async(&mut self.connection);
        match tokio::time::timeout(wait + self.settings.read_timeout, asked).await {
            Ok(answer) => answer.map_err(|error| self.settings.failed(&error)),
            Err(_) => Err(self.settings.late()),
        }
    }

    /// What a script answers.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn script<T: FromRedisValue>(
        &mut self,
        request: &ScriptInvocation<'_>,
    ) -> Result<T, Unanswered> {
        let asked = request.invoke_async(&mut self.connection);
        self.settings.within(asked).await
    }
}

impl Settings {
    async fn within<T>(&self, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, Unanswered> {
        match tokio::time::timeout(self.longest(), work).await {
            Ok(done) => done.map_err(|error| self.failed(&error)),
            Err(_) => Err(self.late()),
        }
    }

    fn failed(&self, error: &RedisError) -> Unanswered {
        Unanswered {
            lost: error.is_unrecoverable_error(),
            code: error.code().map(str::to_owned),
            why: format!("redis at {self}: {error}"),
        }
    }

    fn late(&self) -> Unanswered {
        let why = format!("redis at {self}: no answer within {:?}", self.longest());
        Unanswered { lost: false, code: None, why }
    }
}

/// The first wait before a connection is tried again.
const DELAY_MIN: Duration = Duration::from_millis(20);
/// The longest.
const DELAY_MAX: Duration = Duration::from_millis(500);
/// How many requests can wait to be sent before whoever has the next waits.
const REQUESTS_WAITING_MAX: usize = 1_024;
