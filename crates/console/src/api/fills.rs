//! `/api/fills`: queues that are filled on purpose, for a time, to see what follows; then, or sooner if it is asked for, the items
//! that nobody has had are taken out again.
//!
//! What was filled is known to this process only: should the node end before the time is over, the items stay.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{delete, get};
use axum::{Json, Router};
use engine::blocks::queue::{Id, Item};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Served, said};
use crate::problem::Problem;

/// Most items of a fill.
const ITEMS_MAX: usize = 1_000;
/// Most fills at a time.
const FILLS_MAX: usize = 16;
/// How long one may last, and lasts at least.
const TIME: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60 * 60));
/// How long until it is tried again to take items out.
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Router<Served> {
    Router::new().route("/api/fills", get(all).post(fill)).route("/api/fills/{id}", delete(undo))
}

/// Fills in force, by number.
#[derive(Debug, Default)]
pub(crate) struct Fills(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    fills: BTreeMap<u64, Fill>,
}

#[derive(Clone, Debug)]
struct Fill {
    queue: String,
    ids: Vec<Id>,
    until: Instant,
}

impl Fills {
    /// What is to be told of each, with its number.
    pub(crate) fn told(&self) -> Vec<(u64, Value)> {
        self.kept().fills.iter().map(|(id, fill)| (*id, fill.told(*id))).collect()
    }

    fn add(&self, fill: Fill) -> u64 {
        let mut kept = self.kept();
        kept.last += 1;
        let id = kept.last;
        kept.fills.insert(id, fill);
        id
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fill {
    fn told(&self, id: u64) -> Value {
        let left = self.until.saturating_duration_since(Instant::now());
        // Seconds are enough, and a page counts down by itself.
        let seconds = left.as_millis().div_ceil(1_000) as u64;
        json!({ "id": id, "queue": self.queue, "items": self.ids.len(), "remaining_ms": seconds * 1_000 })
    }
}

async fn all(State(served): State<Served>) -> Answer {
    let fills: Vec<Value> = served.0.fills.told().into_iter().map(|(_, told)| told).collect();
    served.told(json!({ "fills": fills }))
}

#[derive(Deserialize)]
struct Wanted {
    queue: String,
    count: usize,
    for_ms: u64,
    #[serde(default = "empty")]
    payload: String,
}

fn empty() -> String {
    "{}".to_owned()
}

async fn fill(State(served): State<Served>, body: Result<Json<Wanted>, JsonRejection>) -> Answer {
    let Wanted { queue, count, for_ms, payload } = said(body)?;
    let time = Duration::from_millis(for_ms);
    if !(1..=ITEMS_MAX).contains(&count) {
        return Err(Problem::invalid(format!("`count` is 1 to {ITEMS_MAX}")));
    }
    if !(TIME.0..=TIME.1).contains(&time) {
        return Err(Problem::invalid("`for_ms` is 1000 to 3600000"));
    }
    if served.0.fills.kept().fills.len() >= FILLS_MAX {
        return Err(Problem::impossible(format!("{FILLS_MAX} queues are filled at a time, and no more"))
            .remedy("undo one of them"));
    }
    let ids = {
        let durable = served.sources().durable().await?;
        let items = std::iter::repeat_n(Item::new(payload), count);
        let sent = durable.host.disk().queue(&queue)?.send(items).await?;
        sent.into_iter().filter_map(|sent| Some(sent.ok()?.id)).collect()
    };
    let fill = Fill { queue, ids, until: Instant::now() + time };
    let mut told = fill.told(0);
    let id = served.0.fills.add(fill);
    told["id"] = id.into();
    let later = served.clone();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        while later.empty(id).await.is_err() {
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    });
    served.told(told)
}

async fn undo(State(served): State<Served>, Path(id): Path<String>) -> Answer {
    let number = id.parse().map_err(|_| Problem::invalid(format!("{id:?} is no number of a fill")))?;
    let done = served.empty(number).await?;
    served.told(done.ok_or_else(|| Problem::not_found(format!("there is no fill {id}")))?)
}

impl Served {
    /// Takes out what is left of a fill, which is no more then. None: there is none.
    async fn empty(&self, id: u64) -> Result<Option<Value>, Problem> {
        let Some(fill) = self.0.fills.kept().fills.get(&id).cloned() else { return Ok(None) };
        let durable = self.sources().durable().await?;
        let (held, gone) = durable.host.disk().queue(&fill.queue)?.cancel(&fill.ids).await?;
        self.0.fills.kept().fills.remove(&id);
        let taken = fill.ids.len().saturating_sub(held.len() + gone.len());
        Ok(Some(
            json!({ "queue": fill.queue, "taken_back": taken, "done": gone.len(), "held_or_dead": held.len() }),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_fill_is_told_in_whole_seconds() {
        let fills = Fills::default();
        let until = Instant::now() + Duration::from_millis(1_900);
        let id = fills.add(Fill { queue: "mails".to_owned(), ids: Vec::new(), until });
        assert_eq!(
            fills.told(),
            [(id, json!({ "id": 1, "queue": "mails", "items": 0, "remaining_ms": 2_000 }))]
        );
        let over = fills.add(Fill { queue: "mails".to_owned(), ids: Vec::new(), until: Instant::now() });
        assert_eq!((over, &fills.told()[1].1["remaining_ms"]), (2, &json!(0)));
    }
}
