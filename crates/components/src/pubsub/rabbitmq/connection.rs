//! A connection to a RabbitMQ, made again whenever it is lost, and the channel on which messages are published.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ConnectionProperties, ExchangeKind};
use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Settings;
use crate::pubsub::Error;

/// A connection, whichever it is at the moment.
pub(super) struct Connection {
    pub(super) settings: Arc<Settings>,
    current: watch::Receiver<Current>,
    keeper: AbortHandle,
}

/// What there is at the moment: a connection, or why there is none.
type Current = Result<Arc<Live>, String>;

/// One connection.
pub(super) struct Live {
    connection: lapin::Connection,
    publishing: Mutex<Option<Publishing>>,
}

/// Where messages are published, and to which exchanges that is known to work.
struct Publishing {
    channel: Channel,
    declared: HashSet<ShortString>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If nobody answers, or refuses.
    pub(super) async fn open(settings: Settings) -> Result<Connection, Error> {
        let settings = Arc::new(settings);
        let first = Live::open(&settings).await.map_err(|why| failed(&settings, why))?;
        let (sender, current) = watch::channel(Ok(Arc::new(first)));
        let keeper = tokio::spawn(keep(Arc::clone(&settings), sender)).abort_handle();
        Ok(Connection { settings, current, keeper })
    }

    /// The connection; waits a while if there is none.
    ///
    /// # Errors
    ///
    /// If there is none then either.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Error> {
        let mut current = self.current.clone();
        let found = timeout(BACK_WITHIN, current.wait_for(Result::is_ok)).await;
        let found = match found {
            Ok(Ok(found)) => found.clone(),
            _ => self.current.borrow().clone(),
        };
        found.map_err(|why| self.failed(why))
    }

    /// Something has not worked.
    pub(super) fn failed(&self, why: impl std::fmt::Display) -> Error {
        failed(&self.settings, why)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Live {
    async fn open(settings: &Settings) -> Result<Live, String> {
        let properties =
            ConnectionProperties::default().with_connection_name(settings.client_name.as_str().into());
        let connected = lapin::Connection::connect_uri(settings.uri.clone(), properties);
        match timeout(WITHIN, connected).await {
            Ok(Ok(connection)) => Ok(Live { connection, publishing: Mutex::default() }),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {WITHIN:?}")),
        }
    }

    /// Comes true when it is lost.
    async fn lost(&self) {
        let mut events = std::pin::pin!(self.connection.events_listener());
        while self.connection.status().connected() {
            tokio::select! {
                Some(_) = events.next() => {}
                () = sleep(LOOKED_AT_EVERY) => {}
            }
        }
    }

    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    /// Where a message for an exchange is published. The exchange is there from then on.
    pub(super) async fn publishing(
        &self,
        exchange: &ShortString,
        settings: &Settings,
    ) -> lapin::Result<Channel> {
        let mut publishing = self.publishing.lock().await;
        // What was on its way on a channel that has broken may have been published: those who wait are told.
        let usable = publishing.take().filter(|publishing| publishing.channel.status().connected());
        let publishing = match usable {
            Some(usable) => publishing.insert(usable),
            None => {
                let channel = self.channel().await?;
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                publishing.insert(Publishing { channel, declared: HashSet::new() })
            }
        };
        if !publishing.declared.contains(exchange) {
            // On a channel of its own, since a refusal closes it.
            let channel = self.channel().await?;
            declare(&channel, exchange, settings).await?;
            if publishing.declared.len() >= DECLARED_MAX {
                publishing.declared.clear();
            }
            publishing.declared.insert(exchange.clone());
        }
        Ok(publishing.channel.clone())
    }
}

/// Has an exchange be there.
pub(super) async fn declare(
    channel: &Channel,
    exchange: &ShortString,
    settings: &Settings,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: settings.durable,
        auto_delete: settings.delete_when_unused,
        ..ExchangeDeclareOptions::default()
    };
    channel.exchange_declare(exchange.clone(), ExchangeKind::Fanout, options, FieldTable::default()).await
}

async fn keep(settings: Arc<Settings>, current: watch::Sender<Current>) {
    loop {
        let live = current.borrow().clone();
        if let Ok(live) = live {
            live.lost().await;
        }
        drop(current.send_replace(Err("the connection is lost".to_owned())));
        let mut wait = WAIT_MIN;
        loop {
            match Live::open(&settings).await {
                Ok(live) => break drop(current.send_replace(Ok(Arc::new(live)))),
                Err(why) => drop(current.send_replace(Err(why))),
            }
            sleep(wait).await;
            wait = (wait * 2).min(settings.reconnect_wait);
        }
    }
}

fn failed(settings: &Settings, why: impl std::fmt::Display) -> Error {
    let why = why.to_string();
    let hint = match why.contains("PRECONDITION_FAILED") {
        true => {
            "; it was made with other settings: set `durable` and `deletedWhenUnused` as it is, or delete it"
        }
        false => "",
    };
    Error::Unavailable(format!("rabbitmq at {settings}: {why}{hint}"))
}

/// Longest wait for anything that is asked.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
/// How long who needs a connection waits for one, which is shorter, so that why there is none can be told.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// The first wait before a connection is tried again.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// How often is looked whether it is lost, if nobody says so.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(500);
/// Of how many exchanges is kept in mind that they are there.
const DECLARED_MAX: usize = 65_536;
