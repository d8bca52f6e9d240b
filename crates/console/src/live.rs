//! What is the case, watched once a second, and what of it has changed since.
//!
//! The whole is a [`View`]: a document for each thing under a key such as `service/cart` or `call/cart -> catalog`. A client is told
//! all of it once and then what has changed, in numbered steps, of which the last ones are kept: who comes again after a lost
//! connection goes on where it was, or begins anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::uses::How;
use mesh::CallStatus;
use serde_json::{Map, Value};
use tokio::sync::watch;

/// Everything, by key.
pub(crate) type View = BTreeMap<String, Value>;

/// How often it is looked.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// Looks that rates are made of: about ten seconds.
const SAMPLES: usize = 11;
/// Steps that are kept for those who come again.
const STEPS: usize = 60;

/// The watch.
pub(crate) struct Live {
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

struct Kept {
    /// Of this process: steps of another have other numbers.
    epoch: u32,
    step: u64,
    samples: VecDeque<Sample>,
    view: Arc<View>,
    steps: VecDeque<(u64, Arc<Map<String, Value>>)>,
}

/// The counters at a moment.
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) calls: BTreeMap<String, CallStatus>,
    /// Processor time in milliseconds, by process.
    pub(crate) cpu: BTreeMap<u32, u64>,
    /// What services had used by then, and how often in vain: by service, how, and what.
    pub(crate) uses: BTreeMap<(String, How, String), (u64, u64)>,
}

/// What a client is told next.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    /// Everything, for what it knows is too old.
    All(Arc<View>),
    /// What has changed; null: gone.
    Changes(Map<String, Value>),
}

impl Default for Live {
    fn default() -> Live {
        use std::hash::{BuildHasher, RandomState};
        let kept = Kept {
            epoch: RandomState::new().hash_one(std::process::id()) as u32,
            step: 0,
            samples: VecDeque::new(),
            view: Arc::default(),
            steps: VecDeque::new(),
        };
        Live { kept: Mutex::new(kept), newest: watch::Sender::new(0), looking: tokio::sync::Mutex::new(()) }
    }
}

impl Live {
    /// Whether it is time to look; whoever gets the guard does.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let guard = self.looking.lock().await;
        let is_due = self.kept().samples.back().is_none_or(|last| last.at.elapsed() >= EVERY / 2);
        is_due.then_some(guard)
    }

    /// Takes a look on, of which `view` makes what is to be told, from this sample and the oldest that rates are made of.
    pub(crate) fn take(&self, sample: Sample, view: impl FnOnce(&Sample, &Sample) -> View) {
        let mut kept = self.kept();
        let view = view(&sample, kept.samples.front().unwrap_or(&sample));
        kept.samples.push_back(sample);
        if kept.samples.len() > SAMPLES {
            kept.samples.pop_front();
        }
        let changes = changes(&kept.view, &view);
        if changes.is_empty() {
            return;
        }
        kept.step += 1;
        let step = kept.step;
        kept.view = Arc::new(view);
        kept.steps.push_back((step, Arc::new(changes)));
        if kept.steps.len() > STEPS {
            kept.steps.pop_front();
        }
        drop(kept);
        self.newest.send_replace(step);
    }

    /// Everything.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.kept().view)
    }

    /// What came after a step, if anything, and the step that the client is at then.
    pub(crate) fn since(&self, known: Option<Cursor>) -> Option<(Cursor, Told)> {
        let kept = self.kept();
        let now = Cursor { epoch: kept.epoch, step: kept.step };
        let first = kept.steps.front().map_or(0, |(step, _)| *step);
        match known.filter(|known| known.epoch == now.epoch && known.step <= now.step) {
            Some(known) if known.step == now.step => None,
            Some(known) if known.step + 1 >= first => {
                let mut all = Map::new();
                for (_, changes) in kept.steps.iter().filter(|(step, _)| *step > known.step) {
                    all.extend(changes.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                Some((now, Told::Changes(all)))
            }
            _ => Some((now, Told::All(Arc::clone(&kept.view)))),
        }
    }

    /// Is told of each step.
    pub(crate) fn steps(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Up to where a client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) epoch: u32,
    pub(crate) step: u64,
}

fn changes(before: &View, now: &View) -> Map<String, Value> {
    let differs = now.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    differs
        .map(|(key, value)| (key.clone(), value.clone()))
        .chain(gone.map(|key| (key.clone(), Value::Null)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(live: &Live, pairs: &[(&str, u64)]) {
        let sample = Sample {
            at: Instant::now(),
            calls: BTreeMap::new(),
            cpu: BTreeMap::new(),
            uses: BTreeMap::new(),
        };
        live.take(sample, |_, _| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
        });
    }

    #[test]
    fn all_is_told_once_and_then_what_changes() {
        let live = Live::default();
        look(&live, &[("a", 1), ("b", 1)]);
        let (at, told) = live.since(None).unwrap();
        assert!(matches!(told, Told::All(view) if view.len() == 2));
        assert_eq!(live.since(Some(at)), None);
        look(&live, &[("a", 1), ("b", 1)]);
        assert_eq!(live.since(Some(at)), None, "nothing has changed");
        look(&live, &[("a", 2), ("b", 1)]);
        look(&live, &[("a", 2), ("c", 1)]);
        let (_, told) = live.since(Some(at)).unwrap();
        let Told::Changes(changes) = told else { panic!("{told:?}") };
        assert_eq!(Value::Object(changes), json!({ "a": 2, "b": null, "c": 1 }));
    }

    #[test]
    fn who_was_away_for_long_or_knew_another_process_begins_anew() {
        let live = Live::default();
        look(&live, &[("a", 0)]);
        let (at, _) = live.since(None).unwrap();
        let other = Cursor { epoch: at.epoch.wrapping_add(1), ..at };
        assert!(matches!(live.since(Some(other)), Some((_, Told::All(_)))));
        let ahead = Cursor { step: at.step + 1, ..at };
        assert!(matches!(live.since(Some(ahead)), Some((_, Told::All(_)))));
        (1..=STEPS as u64).for_each(|value| look(&live, &[("a", value)]));
        assert!(matches!(live.since(Some(at)), Some((_, Told::Changes(_)))), "the last step that is kept");
        look(&live, &[("a", 100)]);
        assert!(matches!(live.since(Some(at)), Some((_, Told::All(_)))));
    }
}
