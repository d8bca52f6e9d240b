//! Queues as a whole over HTTP: their settings and counts, and what operators do.

use engine::blocks::queue::{Filter, Ledger, Redrive};
use serde::Deserialize;
use serde_json::{Value, json};

use super::items::{REASONS, instant};
use super::settings::Settings;
use crate::error::Error;
use crate::http::answer::{Answer, empty, json_text};
use crate::http::call::{Asked, Call};
use crate::http::json::object;
use crate::queues::{id, invalid};

/// Queues by name.
pub(super) async fn list(call: Call<'_>) -> Answer {
    let query = call.query();
    let max = query.get("max").map(|text| text.parse().ok().filter(|max| (1..=LISTED_MAX).contains(max)));
    let max = max.unwrap_or(Some(LISTED_DEFAULT));
    let max = max.ok_or_else(|| invalid(format!("max is no number from 1 to {LISTED_MAX}")))?;
    let queues = call.api.queues(query.get("after").as_deref(), max).await?;
    let told = queues
        .iter()
        .map(|(name, counts)| json!({ "name": name, "paused": counts.paused, "counts": told(counts) }));
    json_text(&json!({ "queues": told.collect::<Vec<_>>() }))
}

/// A queue: its settings and counts. Of one that nobody has used or defined, the defaults and nothing.
pub(super) async fn get(queue: &str, call: Call<'_>) -> Answer {
    let (settings, counts) = call.api.queue(queue, None)?.look().await?;
    json_text(&json!({
        "name": queue,
        "defined": counts.defined,
        "paused": counts.paused,
        "counts": told(&counts),
        "settings": Settings::told(&settings),
    }))
}

/// Sets all settings: those that are not named are as by default.
pub(super) async fn define(queue: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, .. } = call.asked().await?;
    let settings: Settings = object(&body)?;
    api.queue(queue, None)?.define(settings.lower()).await?;
    Ok(empty())
}

pub(super) async fn pause(queue: &str, paused: bool, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { once, .. } = call.asked().await?;
    api.queue(queue, once.as_ref())?.pause(paused).await?;
    Ok(empty())
}

pub(super) async fn purge(queue: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, once } = call.asked().await?;
    let Purged { waiting, dead } = object(&body)?;
    if !waiting && !dead {
        return Err(invalid("nothing is to be purged: say \"waiting\": true, \"dead\": true, or both"));
    }
    api.queue(queue, once.as_ref())?.purge(waiting, dead).await?;
    Ok(empty())
}

pub(super) async fn redrive(queue: &str, call: Call<'_>) -> Answer {
    let api = call.api;
    let Asked { body, once } = call.asked().await?;
    let wanted: Redriven = object(&body)?;
    let ids = wanted.ids.iter().flatten().map(|text| id(text)).collect::<Result<Vec<_>, Error>>()?;
    let redriven = api.queue(queue, once.as_ref())?.redrive(&wanted.lower()?, &ids).await?;
    let first: Vec<String> = redriven.first.iter().map(ToString::to_string).collect();
    json_text(&json!({ "matching": redriven.matching, "first": first, "more": redriven.more }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Purged {
    waiting: bool,
    dead: bool,
}

/// Which dead letters are put back, and how fast.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Redriven {
    dry_run: bool,
    per_second: u32,
    max: u64,
    ids: Option<Vec<String>>,
    key: String,
    reason: Option<String>,
    cause: String,
    from: Option<String>,
    to: Option<String>,
}

impl Redriven {
    fn lower(self) -> Result<Redrive, Error> {
        let reason = self.reason.map(|name| {
            let known = REASONS.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason as i32);
            known.ok_or_else(|| {
                let names = REASONS.map(|(name, _)| name).join(", ");
                invalid(format!("the reason {name:?} is none of {names}"))
            })
        });
        let millis = |time: Option<String>| {
            time.map(|text| instant(&text)).transpose().map(|at| at.map_or(0, |at| at.as_millis()))
        };
        let filter = Filter {
            items: Vec::new(),
            key: self.key,
            reason: reason.transpose()?.unwrap_or_default(),
            cause: self.cause,
            from_ms: millis(self.from)?,
            to_ms: millis(self.to)?,
        };
        Ok(Redrive {
            queue: String::new(),
            filter: Some(filter),
            dry_run: self.dry_run,
            rate: self.per_second,
            max: self.max,
        })
    }
}

fn told(counts: &Ledger) -> Value {
    json!({
        "ready": counts.ready,
        "delayed": counts.delayed,
        "blocked": counts.blocked,
        "leased": counts.leased,
        "dead": counts.dead,
    })
}

/// How many queues are listed where nobody says how many.
const LISTED_DEFAULT: usize = 100;
/// Most queues that are listed at once.
const LISTED_MAX: usize = 1_000;
