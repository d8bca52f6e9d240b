//! Whether others may send: what `healthz` asks.
//!
//! Two answers, since one would have the application and its sidecar wait for each other: *outbound* is whether the
//! application may call the API, *ready* whether it has been reached as well, so that it can be called.

use http::StatusCode;
use tokio::sync::watch;
use tonic::Code;

use crate::error::Error;

/// How far a sidecar has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The API is not served yet.
    Starting,
    /// It is served, and the application has not been reached yet.
    Waiting,
    /// All is as it shall be.
    Ready,
    /// It is being ended: requests are still answered, and nobody should send new ones.
    Stopping,
}

/// The phase, which is looked at by requests and watched by few.
#[derive(Debug)]
pub struct Health(watch::Sender<Phase>);

impl Default for Health {
    fn default() -> Health {
        Health(watch::Sender::new(Phase::Starting))
    }
}

impl Health {
    /// Goes on to `phase`; never back.
    pub fn reach(&self, phase: Phase) {
        self.0.send_if_modified(|is| {
            let further = *is < phase;
            *is = phase.max(*is);
            further
        });
    }

    /// How far it is, and how far it comes.
    pub fn watch(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    /// Whether the application can be called.
    pub fn is_ready(&self) -> bool {
        *self.0.borrow() == Phase::Ready
    }

    /// `healthz`.
    ///
    /// # Errors
    ///
    /// What is not ready.
    pub fn ready(&self) -> Result<(), Error> {
        let missing = match *self.0.borrow() {
            Phase::Ready => return Ok(()),
            Phase::Starting => "api",
            Phase::Waiting => "app",
            Phase::Stopping => "runtime",
        };
        Err(not_ready("ERR_HEALTH_NOT_READY", &format!("dapr is not ready: [{missing}]")))
    }

    /// `healthz/outbound`.
    ///
    /// # Errors
    ///
    /// If the API is not served yet or not for much longer.
    pub fn outbound(&self) -> Result<(), Error> {
        match *self.0.borrow() {
            Phase::Waiting | Phase::Ready => Ok(()),
            Phase::Starting | Phase::Stopping => {
                Err(not_ready("ERR_OUTBOUND_HEALTH_NOT_READY", "dapr outbound is not ready"))
            }
        }
    }
}

/// Another application's sidecar answers on the port that somebody asked.
pub(crate) fn other_app(asked: &str) -> Error {
    not_ready("ERR_HEALTH_APPID_NOT_MATCH", &format!("dapr app-id does not match {asked}"))
}

fn not_ready(code: &'static str, message: &str) -> Error {
    Error::new(code, StatusCode::INTERNAL_SERVER_ERROR, Code::Unavailable, message)
}
