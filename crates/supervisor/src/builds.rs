//! Builds, one after the other: equal lines in equal folders run once, however many services need them.

use crate::config::Service;
use crate::event::Event;
use crate::machine::Failure;
use crate::process;
use crate::shared::Shared;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A command line and where it runs.
type Build = (String, PathBuf);

/// What was built, so that nothing is built twice.
#[derive(Default)]
pub(crate) struct Builds {
    ended: BTreeMap<Build, Result<(), Failure>>,
}

impl Builds {
    /// Builds a service, unless the same was built before. Ok at once when there is nothing to build.
    pub async fn build(&mut self, shared: &Arc<Shared>, service: &Service) -> Result<(), Failure> {
        let Some(build) = of(service) else { return Ok(()) };
        if !self.ended.contains_key(&build) {
            let result = run(shared, &service.name, &build).await;
            self.ended.insert(build.clone(), result);
        }
        self.ended.get(&build).cloned().unwrap_or(Ok(()))
    }
}

/// The build that a service needs.
pub(crate) fn of(service: &Service) -> Option<Build> {
    let run = service.run()?;
    Some((run.build.clone()?, run.dir.clone()))
}

async fn run(shared: &Arc<Shared>, service: &str, (line, dir): &Build) -> Result<(), Failure> {
    let (name, command) = (service.to_owned(), line.clone());
    let _one = shared.building.lock().await;
    shared.observer.event(&Event::Building { service: name.clone(), command: command.clone() });
    let begun = Instant::now();
    match process::run_build(shared, service, line, dir).await {
        Ok(()) => {
            shared.observer.event(&Event::Built { service: name, took: begun.elapsed() });
            Ok(())
        }
        Err((status, last_lines)) => {
            let why = format!("build `{line}` failed: {status}");
            shared.observer.event(&Event::BuildFailed {
                service: name,
                command,
                status,
                last_lines: last_lines.clone(),
            });
            Err(Failure { why, last_lines })
        }
    }
}
