//! What stands between a call and who is called, where a resource says so: tries, a breaker and a time, in this order from the
//! outside to the inside. One call may be several attempts; each of them passes the breaker, and each has its time.
//!
//! The machines are `policy`'s; here are their clock, their chance and their locks. Nothing is looked at where no resource
//! names the called one.

mod breaker;
mod components;
mod guard;
mod trip;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policy::{CountedConfig, RepeatConfig};

pub(crate) use components::Asking;
use components::ComponentGuards;
pub use components::{Components, Family};
pub(crate) use guard::{Guard, Judged, Stopped};
pub use trip::Trip;

/// What resources say of those who are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resiliency {
    /// Of applications, by their ids.
    pub apps: BTreeMap<String, Policies>,
    /// Of all other applications.
    pub other_apps: Policies,
    /// Of what is asked of components.
    pub outbound: Components,
    /// Of what components bring.
    pub inbound: Components,
}

/// What holds for calls of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    /// How long an attempt may take until its answer begins. Default none: as long as it takes.
    pub timeout: Option<Duration>,
    /// Whether what failed is tried again. Default: it is not.
    pub retry: Option<Retry>,
    /// When it is left alone. Default: never.
    pub breaker: Option<Breaking>,
}

/// What is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often, and after which waits.
    pub pace: RepeatConfig,
    /// Statuses of HTTP, if no others are; both ends are in it.
    pub http: Option<Vec<(u16, u16)>>,
    /// Statuses of gRPC, if no others are.
    pub grpc: Option<Vec<(u16, u16)>>,
}

/// When somebody is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaking {
    /// For how long, and how it ends.
    pub config: CountedConfig,
    /// When it begins.
    pub trip: Trip,
    /// Of how many methods the breakers are kept. Default 100; of more, those used last.
    pub methods_max: usize,
}

/// The guards of an application's calls.
#[derive(Debug)]
pub(crate) struct Guards {
    apps: BTreeMap<String, Arc<Guard>>,
    other_apps: Option<Arc<Guard>>,
    outbound: ComponentGuards,
    inbound: ComponentGuards,
}

impl Guards {
    /// Those that have the policies they had before are the same, with what they remember.
    pub(crate) fn new(resiliency: &Resiliency, before: Option<&Guards>) -> Guards {
        let apps = resiliency.apps.iter().map(|(id, policies)| {
            let before = before.and_then(|before| before.apps.get(id));
            (id.clone(), Guard::after(policies, before))
        });
        let others = &resiliency.other_apps;
        let other_apps = (*others != Policies::default())
            .then(|| Guard::after(others, before.and_then(|before| before.other_apps.as_ref())));
        Guards {
            apps: apps.collect(),
            other_apps,
            outbound: ComponentGuards::new(&resiliency.outbound, before.map(|before| &before.outbound)),
            inbound: ComponentGuards::new(&resiliency.inbound, before.map(|before| &before.inbound)),
        }
    }

    /// For what is asked of a component.
    pub(crate) fn asking<'a>(&'a self, family: Family, name: &'a str) -> Asking<'a> {
        Asking { name, guard: self.outbound.of(family, name) }
    }

    /// For what a component brings, if there is one.
    pub(crate) fn of_inbound(&self, family: Family, name: &str) -> Option<&Guard> {
        self.inbound.of(family, name)
    }

    /// That of an application, if it has one.
    pub(crate) fn of_app(&self, id: &str) -> Option<&Guard> {
        if self.apps.is_empty() {
            return self.other_apps.as_deref();
        }
        self.apps.get(id).or(self.other_apps.as_ref()).map(|guard| &**guard)
    }
}
