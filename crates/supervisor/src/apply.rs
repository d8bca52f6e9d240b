//! From the services that run to those of a changed manifest, touching only what differs.

use crate::builds::{self, Builds};
use crate::changes;
use crate::config::Service;
use crate::error::{Applied, Change, CommandError};
use crate::machine::{Command, Failure};
use crate::service::Message;
use crate::supervisor::{Entry, Supervisor, ask, ended, failed, unless_closing};
use std::sync::Arc;
use tokio::task::JoinSet;

impl Supervisor {
    /// Makes these the services, in this start order. Only what differs is touched: a service whose command,
    /// build, folder, environment, port or probe differs is built and rolled, another number of instances
    /// scales, what is gone is stopped, what is new is started. A service that cannot be rolled runs on as it
    /// was, and the error says why. One result for each service, old and new.
    pub async fn apply(&self, services: Vec<Service>) -> Vec<Applied> {
        let _one = self.applying().lock().await;
        let old: Vec<Entry> = self.services().clone();
        let mut builds = Builds::default();
        let mut applied = Vec::new();
        let mut added = JoinSet::new();
        let mut now = Vec::new();
        let closing = self.closing();
        let is_new = |spec: &&Service| old.iter().all(|entry| entry.spec.name != spec.name);
        let new = self.begin_all(services.iter().filter(is_new));
        for entry in new.iter().filter(|entry| builds::of(&entry.spec).is_none()) {
            added.spawn(unless_closing(closing.clone(), start_one(entry.clone(), Ok(()))));
        }
        for spec in services {
            let before = old.iter().find(|entry| entry.spec.name == spec.name);
            let service = spec.name.clone();
            let Some(before) = before else {
                let Some(entry) = new.iter().find(|entry| entry.spec.name == service).cloned() else {
                    continue;
                };
                now.push(entry.clone());
                if builds::of(&spec).is_some() {
                    let built = self.build(&mut builds, &spec).await;
                    added.spawn(unless_closing(closing.clone(), start_one(entry, built)));
                }
                continue;
            };
            let change = changes::between(&before.spec, &spec);
            let (spec, error) = self.change(&mut builds, before, spec, change).await;
            now.push(Entry { spec, task: before.task.clone() });
            applied.push(Applied { service, change, error });
        }
        while let Some(joined) = added.join_next().await {
            applied.extend(joined.ok().flatten());
        }
        let gone: Vec<Entry> =
            old.into_iter().filter(|entry| now.iter().all(|n| n.spec.name != entry.spec.name)).collect();
        self.services().clone_from(&now);
        applied.extend(self.remove(gone).await);
        applied
    }

    /// All of them are known before the first is started, for one waits for those that are known.
    fn begin_all<'a>(&self, services: impl Iterator<Item = &'a Service>) -> Vec<Entry> {
        let new: Vec<Entry> = services.map(|spec| self.begin(spec.clone())).collect();
        for entry in new.iter().filter(|entry| builds::of(&entry.spec).is_some()) {
            let _ = entry.task.send(Message::Building);
        }
        self.services().extend(new.iter().cloned());
        new
    }

    /// Carries one change out. Returns what the service is now: as it was, when it could not be rolled, so
    /// that the next `apply` tries again.
    async fn change(
        &self,
        builds: &mut Builds,
        entry: &Entry,
        spec: Service,
        change: Change,
    ) -> (Service, Option<CommandError>) {
        let shared = Arc::new(spec.clone());
        let done = match change {
            Change::Rolled => return self.roll(builds, entry, spec).await,
            Change::Scaled { to, .. } => match self.command(entry, Command::Adjust(shared), None).await {
                Ok(_) => self.command(entry, Command::Scale(to), None).await,
                Err(error) => Err(error),
            },
            Change::Adjusted => self.command(entry, Command::Adjust(shared), None).await,
            Change::Unchanged | Change::Added | Change::Removed => return (spec, None),
        };
        (spec, done.err())
    }

    async fn roll(
        &self,
        builds: &mut Builds,
        entry: &Entry,
        spec: Service,
    ) -> (Service, Option<CommandError>) {
        if let Err(failure) = self.build(builds, &spec).await {
            let Failure { why, last_lines } = failure.clone();
            // The task ignores it when instances run.
            let _ = entry.task.send(Message::BuildFailed { why, last_lines });
            let runs = self.shared().status(&spec.name).is_some_and(|status| !status.instances.is_empty());
            return (entry.spec.clone(), Some(failed(&spec.name, failure, runs)));
        }
        let command = Command::Roll { spec: Arc::new(spec.clone()), wanted: self.wanted(entry, &spec) };
        match self.command(entry, command, None).await {
            Err(error @ CommandError::Failed { old_stays: true, .. }) => (entry.spec.clone(), Some(error)),
            done => (spec, done.err()),
        }
    }

    /// A number that `scale` has set stays when the service itself asks for as many as before.
    fn wanted(&self, entry: &Entry, spec: &Service) -> u32 {
        let (before, after) = (entry.spec.instances(), spec.instances());
        let scaled =
            self.shared().status(&spec.name).map(|status| status.wanted).filter(|&wanted| wanted > 0);
        let max = spec.run().map_or(u32::MAX, |run| run.max.max(1));
        if before == after { scaled.unwrap_or(after).min(max) } else { after }
    }

    async fn remove(&self, gone: Vec<Entry>) -> Vec<Applied> {
        let names: Vec<String> = gone.iter().map(|entry| entry.spec.name.clone()).collect();
        self.stop_in_order(gone).await;
        let remove = |service: String| {
            self.shared().remove(&service);
            Applied { service, change: Change::Removed, error: None }
        };
        names.into_iter().map(remove).collect()
    }
}

/// Starts a service that `apply` has added.
async fn start_one(entry: Entry, built: Result<(), Failure>) -> Applied {
    let service = entry.spec.name.clone();
    let error = match built {
        Ok(()) => ended(&service, ask(&entry.task, Command::Start, None).await).err(),
        Err(failure) => {
            let Failure { why, last_lines } = failure.clone();
            let _ = entry.task.send(Message::BuildFailed { why, last_lines });
            Some(failed(&service, failure, false))
        }
    };
    Applied { service, change: Change::Added, error }
}
