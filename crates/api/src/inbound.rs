//! What Colony brings an application of its own accord, from the moment on that it is reached to the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bindings;
use crate::config;
use crate::delivery;
use crate::health::Phase;
use crate::instance::Instance;
use crate::{jobs, queues};

/// Waits for the application, and brings it what there is, until it is dropped: what was not answered by then counts as not
/// delivered.
pub(crate) async fn run(instance: &Arc<Instance>, deliveries: &mut JoinSet<()>) {
    let _watches = Watches(instance);
    // It stays, whatever is declared.
    let app = instance.api().config.app.clone();
    let gate = app.gate.as_ref().map(|gate| gate.0.clone());
    if let Some(mut gate) = gate.clone() {
        // Of one whose gate is never opened nothing is known: it is tried.
        let _ = gate.wait_for(|is_open| *is_open).await;
    }
    is_reached(&app).await;
    let Some(health) = instance.app.watch_health() else {
        delivery::begin(instance, deliveries).await;
        instance.health.reach(Phase::Ready);
        return bring(instance).await;
    };
    instance.health.reach(Phase::Ready);
    let asking = async {
        match gate {
            Some(gate) => instance.app.follow(gate).await,
            None => instance.app.ask_health(app.health.as_ref(), |line| instance.say(line)).await,
        }
    };
    tokio::join!(asking, while_well(instance, health, deliveries));
}

/// Brings it what there is as long as it is well; what it was brought when it was no longer counts as not delivered.
async fn while_well(
    instance: &Arc<Instance>,
    mut health: watch::Receiver<bool>,
    deliveries: &mut JoinSet<()>,
) {
    let (has_gate, grace) = {
        let config = &instance.api().config;
        (config.app.gate.is_some(), config.grace)
    };
    while health.wait_for(|well| *well).await.is_ok() {
        let brought = async {
            delivery::begin(instance, deliveries).await;
            bring(instance).await;
        };
        tokio::select! {
            () = brought => {}
            _ = health.wait_for(|well| !*well) => {}
        }
        if has_gate {
            // It gets no more, and is well enough to finish what it has.
            let finished = async { while deliveries.join_next().await.is_some() {} };
            let _ = timeout(grace, finished).await;
        }
        deliveries.shutdown().await;
    }
}

/// Who watches configuration does so no longer than something is brought to the application.
struct Watches<'a>(&'a Instance);

impl Drop for Watches<'_> {
    fn drop(&mut self) {
        self.0.api().configurations.subscriptions.close_all();
    }
}

/// What goes on for as long as it is not dropped.
async fn bring(instance: &Arc<Instance>) {
    tokio::join!(queues::push::run(instance), bindings::bring(instance), jobs::deliver::run(instance));
    std::future::pending().await
}

/// Waits until somebody listens on the application's port, if it has one.
pub(crate) async fn is_reached(app: &config::App) {
    let Some(port) = app.port else { return };
    let connect = || TcpStream::connect((app.host.as_str(), port));
    while !matches!(timeout(CONNECT, connect()).await, Ok(Ok(_))) {
        sleep(BETWEEN_TRIES).await;
    }
}

/// How long a try to reach the application takes.
const CONNECT: Duration = Duration::from_secs(1);
/// How long until the next.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
