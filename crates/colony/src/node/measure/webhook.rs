//! Alerts posted to who is to be told: in their order, tried again for a while, and given up with a line in the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use components::Properties;
use components::binding::{Http, Output, Request};
use manifest::valid::Alerts;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::node::printer::Printer;

/// Alerts that wait to be posted; of more the newest are dropped and counted.
const WAITING_MAX: usize = 100;
/// How often one is tried, and how long after the first failure; the wait doubles.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Where alerts are handed over.
pub(super) struct Post(mpsc::Sender<(Alerts, Value)>);

impl Post {
    /// Posts until this is dropped.
    pub(super) fn open(printer: Arc<Printer>) -> Post {
        let (post, mut letters) = mpsc::channel::<(Alerts, Value)>(WAITING_MAX);
        tokio::spawn(async move {
            while let Some((to, body)) = letters.recv().await {
                if let Err(why) = deliver(&to, body).await {
                    printer.note(&format!("an alert could not be posted to the webhook: {why}"));
                }
            }
        });
        Post(post)
    }

    /// Whether there was room for it.
    pub(super) fn send(&self, to: &Alerts, body: Value) -> bool {
        self.0.try_send((to.clone(), body)).is_ok()
    }
}

/// What is a header begins with a capital letter there.
fn as_header(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

async fn deliver(to: &Alerts, body: Value) -> Result<(), String> {
    let set: Properties = [("url", to.webhook.as_str()), ("responseTimeout", "10s")].into_iter().collect();
    let http = Http::new(&set).map_err(|invalid| invalid.to_string())?;
    let metadata: BTreeMap<String, String> =
        to.headers.iter().map(|(name, value)| (as_header(name), value.clone())).collect();
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let request = Request {
            operation: "post".to_owned(),
            data: Bytes::from(body.to_string()),
            metadata: metadata.clone(),
        };
        match http.invoke(request).await {
            Ok(_) => return Ok(()),
            Err(error) if attempt == TRIES => return Err(error.to_string()),
            Err(_) => tokio::time::sleep(wait).await,
        }
        wait *= 2;
    }
    Ok(())
}
