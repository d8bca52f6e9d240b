//! Which subscriptions there are, as what is declared changes: those that are as they were go on, others end and begin.
//!
//! One that ends takes nothing more, finishes what it has with the application, and gives the rest back; what comes in its place
//! begins after that, so that no event is with the application twice and the order of a key holds. What is not finished in the
//! time that is waited for it at the end of a sidecar, too, is given back, for it may be tried for ever.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Stop, allowed, ask, dropped, session};
use crate::api::Api;
use crate::config::PubSub;
use crate::instance::Instance;
use crate::subscription::{Subscription, merged};

/// Brings what is declared and what the application has told. If it has told nothing yet it is asked again and again meanwhile.
pub(super) async fn keep(instance: &Arc<Instance>, mut told: Option<Vec<Arc<Subscription>>>) {
    let (mut stop, mut turns) = (Stop::of(instance, None), instance.turns());
    let mut all = All { instance, running: Vec::new(), tasks: JoinSet::new(), said: Vec::new() };
    let mut asking = std::pin::pin!(ask::told(instance, u32::MAX));
    loop {
        all.renew(told.as_deref().unwrap_or_default());
        tokio::select! {
            () = stop.asked() => break,
            Ok(()) = turns.changed() => {}
            said = &mut asking, if told.is_none() => told = said.or_else(|| Some(Vec::new())),
        }
    }
    // Each hears of the end by itself; whom this drops ends as well.
    while all.tasks.join_next().await.is_some() {}
}

/// The subscriptions that there are.
struct All<'a> {
    instance: &'a Arc<Instance>,
    running: Vec<Kept>,
    tasks: JoinSet<()>,
    said: Vec<String>,
}

/// One of them, until it is dropped.
struct Kept {
    subscription: Arc<Subscription>,
    broker: Option<PubSub>,
    _kept: watch::Sender<()>,
    /// Its other end is dropped when it has ended.
    ended: watch::Receiver<()>,
}

impl All<'_> {
    fn renew(&mut self, told: &[Arc<Subscription>]) {
        while self.tasks.try_join_next().is_some() {}
        let api = self.instance.api();
        let (hold, mut lines) = merged(told.to_vec(), &api.config.subscriptions);
        let wanted: Vec<_> = hold.into_iter().filter(|one| is_allowed(&api, one, &mut lines)).collect();
        lines.iter().filter(|line| !self.said.contains(line)).for_each(|line| api.say(line));
        self.said = lines;
        let is_wanted = |kept: &mut Kept| {
            let same = wanted.contains(&kept.subscription);
            same && kept.broker.as_ref() == api.pubsubs.declared(&kept.subscription.pubsub)
        };
        let ended: Vec<Kept> = self.running.extract_if(.., |kept| !is_wanted(kept)).collect();
        for subscription in wanted {
            if self.running.iter().all(|kept| kept.subscription != subscription) {
                let before = ended.iter().find(|kept| kept.subscription.is_to_that_of(&subscription));
                self.begin(&api, subscription, before.map(|kept| kept.ended.clone()));
            }
        }
    }

    fn begin(&mut self, api: &Api, subscription: Arc<Subscription>, mut before: Option<watch::Receiver<()>>) {
        let (kept, is_kept) = watch::channel(());
        let (ends, ended) = watch::channel(());
        let mut over = Some(is_kept.clone());
        let (stop, grace) = (Stop::of(self.instance, Some(is_kept)), api.config.grace);
        let (instance, mine) = (Arc::clone(self.instance), Arc::clone(&subscription));
        self.tasks.spawn(async move {
            let _ends = ends;
            if before.is_some() {
                dropped(&mut before).await;
            }
            let late = async {
                dropped(&mut over).await;
                sleep(grace).await;
            };
            tokio::select! {
                () = session::run(&instance, &mine, stop) => {}
                () = late => {}
            }
        });
        let broker = api.pubsubs.declared(&subscription.pubsub).cloned();
        self.running.push(Kept { subscription, broker, _kept: kept, ended });
    }
}

fn is_allowed(api: &Api, subscription: &Subscription, lines: &mut Vec<String>) -> bool {
    let allowed = allowed(api, subscription);
    if let Err(error) = &allowed {
        lines.push(format!(
            "the subscription to topic {:?} of {:?} is left out: {}",
            subscription.topic, subscription.pubsub, error.message
        ));
    }
    allowed.is_ok()
}
