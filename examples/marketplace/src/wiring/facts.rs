//! Where facts are kept, and who is told of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use serde_json::Value;

use crate::events::{self, Consumer};
use crate::store::durable::{DurableJournal, DurableShelf, Sidecar};
use crate::store::follow::Since;
use crate::store::memory::{MemoryJournal, MemoryShelf};
use crate::store::{Follower, Journal, Kept, Shelf};

/// Work that goes on for as long as the process lives.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes the places for a program's facts.
pub struct Facts {
    /// What they are kept behind; in memory without.
    pub sidecar: Option<Arc<Sidecar>>,
    background: Vec<Background>,
    consumers: Vec<Consumer>,
    routes: Router,
}

impl Facts {
    /// As the environment says.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let sidecar = Sidecar::of(env)?;
        Ok(Facts { sidecar, background: Vec::new(), consumers: Vec::new(), routes: Router::new() })
    }

    /// A shelf; in memory with room for `max` things.
    pub fn shelf<T: Kept>(&self, name: &'static str, max: usize) -> Arc<dyn Shelf<T>> {
        match &self.sidecar {
            Some(sidecar) => Arc::new(DurableShelf::new(sidecar.clone(), name)),
            None => Arc::new(MemoryShelf::new(max)),
        }
    }

    /// A journal whose follower keeps what it learns in memory; all in memory with room for `max` streams.
    pub fn journal<E: Kept>(
        &mut self,
        name: &'static str,
        settings: Value,
        max: usize,
        follower: Arc<dyn Follower<E>>,
    ) -> Arc<dyn Journal<E>> {
        let Some(sidecar) = self.sidecar.clone() else {
            return Arc::new(MemoryJournal::new(max, Some(follower)));
        };
        let journal = self.durable_journal(&sidecar, name, settings);
        self.beside(journal.clone().follow(Since::Start, follower));
        journal
    }

    /// A journal that nobody follows yet.
    pub fn durable_journal<E: Kept>(
        &self,
        sidecar: &Arc<Sidecar>,
        name: &'static str,
        settings: Value,
    ) -> Arc<DurableJournal<E>> {
        Arc::new(DurableJournal::new(sidecar.clone(), name, settings))
    }

    /// Work to do beside the service.
    pub fn beside(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.background.push(Box::pin(work));
    }

    /// Has events brought, if there is who brings them.
    pub fn consume(&mut self, consumer: impl FnOnce(Arc<Sidecar>) -> Consumer) {
        self.consumers.extend(self.sidecar.clone().map(consumer));
    }

    /// Something else to answer.
    pub fn route(&mut self, more: Router) {
        self.routes = std::mem::take(&mut self.routes).merge(more);
    }

    /// What there is to answer for the sake of facts, and to do.
    pub fn finished(self, service: &'static str) -> (Router, Vec<Background>) {
        let routes = match self.sidecar {
            Some(_) => self.routes.merge(events::routes(service, self.consumers)),
            None => self.routes,
        };
        (routes, self.background)
    }
}

/// Where those who publish what they follow keep how far they are.
pub fn places(sidecar: &Arc<Sidecar>) -> Since {
    Since::Kept(DurableShelf::new(sidecar.clone(), "places"))
}
