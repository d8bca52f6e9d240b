//! The handle.

use crate::config::{Config, Observer, Routing, Service};
use crate::error::{Applied, CommandError, Done, Error, NotReady};
use crate::event::Event;
use crate::status::ServiceStatus;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// A handle to the running services; cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Config>,
}

impl Supervisor {
    /// Builds and starts everything.
    pub fn start(config: Config, _: Arc<dyn Routing>, _: Arc<dyn Observer>) -> Result<Supervisor, Error> {
        Ok(Self { inner: Arc::new(config) })
    }

    /// Until all services are ready, or none of those that are not can become so without help.
    pub async fn wait_ready(&self) -> Result<(), Vec<NotReady>> {
        Ok(())
    }

    /// Makes these the services.
    pub async fn apply(&self, _services: Vec<Service>) -> Vec<Applied> {
        Vec::new()
    }

    /// Replaces each instance.
    pub async fn restart(
        &self,
        _service: &str,
        _progress: Option<UnboundedSender<Event>>,
    ) -> Result<Done, CommandError> {
        Err(CommandError::ShuttingDown)
    }

    /// Changes the number of instances.
    pub async fn scale(&self, _service: &str, _instances: u32) -> Result<Done, CommandError> {
        Err(CommandError::ShuttingDown)
    }

    /// Stops a service.
    pub async fn stop(&self, _service: &str) -> Result<Done, CommandError> {
        Err(CommandError::ShuttingDown)
    }

    /// Every service as it is now, in start order.
    pub fn status(&self) -> Vec<ServiceStatus> {
        let _ = &self.inner.services;
        Vec::new()
    }

    /// Ends everything.
    pub async fn shutdown(&self) {}
}
