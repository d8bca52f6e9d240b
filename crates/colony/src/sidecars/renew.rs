//! What is declared otherwise, taken on by an application that is served.
//!
//! With a mistake nothing changes. What does not answer as it is declared now stays as it was, or is left out if it is new,
//! and is tried again until it answers or is declared otherwise.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use api::Instance;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use super::application::Application;
use super::files::{self, Read};
use super::journal::{Journal, Level};
use super::traces::Traces;
use crate::adapters::Adapters;
use crate::failure::Failure;

impl Application {
    /// Goes on until it is dropped.
    pub(super) async fn renew(
        &self,
        data: &Path,
        instance: &Instance,
        journal: &Journal,
        mut declared: watch::Receiver<Read>,
        (mut read, mut adapters): (Read, Adapters),
        traces: &Traces<'_>,
    ) {
        let mut wait = WAIT_MIN;
        loop {
            let again = async {
                match adapters.silent.is_empty() {
                    true => pending().await,
                    false => sleep(wait).await,
                }
            };
            let is_new = tokio::select! {
                Ok(()) = declared.changed() => true,
                () = again => false,
            };
            wait = if is_new { WAIT_MIN } else { (wait * 2).min(WAIT_MAX) };
            let now = declared.borrow_and_update().clone();
            // What was found wrong was told when it was new.
            let quiet = Journal::new(&self.args, self.terminal, |_| {});
            let telling = if is_new { journal } else { &quiet };
            let (config, opened) = match self.config(data, &now, telling, Some(&adapters), traces).await {
                Ok(found) => found,
                Err(failure) if is_new => {
                    refused(&failure, journal);
                    continue;
                }
                Err(_) => continue,
            };
            if !is_new && opened.silent == adapters.silent {
                continue;
            }
            if let Err(error) = instance.renew(config) {
                refused(&Failure::new(error.to_string()), journal);
                continue;
            }
            traces.taken_on();
            for line in opened.silent.iter().filter(|line| !adapters.silent.contains(line)) {
                journal.event(Level::Error, "not-reloaded", line, json!({}));
            }
            let mut changes = now.changes(&read);
            changes.extend((!is_new).then(|| "what did not answer does now".to_owned()));
            let line = format!("resources are taken on: {}", changes.join(", "));
            journal.event(Level::Info, "reloaded", &line, json!({ "changes": changes }));
            (read, adapters) = (now, opened);
        }
    }
}

fn refused(failure: &Failure, journal: &Journal) {
    let why = failure.message.trim_end_matches(files::UNSTARTED);
    let line = format!("{why}; what was declared before holds");
    journal.event(Level::Error, "not-reloaded", &line, json!(failure.details));
}

/// How long until what does not answer is tried again; twice as long after each time.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(30);
