//! Objectives held against what the data plane counts: error budgets, burn rates, and what of them is an alert.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use manifest::valid::Objective;
use serde::{Deserialize, Serialize};
use telemetry::alerts::{Condition, Severity};
use telemetry::catalogue as names;
use telemetry::exposition::{Sample, Value};
use telemetry::slo::{Counts, RULES, Rule, Tracker};

/// What was counted of all objectives.
#[derive(Default)]
pub(super) struct Objectives {
    kept: Kept,
    /// The counters, as they were last.
    last: BTreeMap<String, Counts>,
    /// Services of which an instance has been ready since the node was started.
    ready: BTreeSet<String>,
    declared: Vec<Declared>,
}

/// What outlives the node.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// By `service objective`.
    trackers: BTreeMap<String, Tracker>,
}

/// One promise of a service.
#[derive(Clone)]
struct Declared {
    service: String,
    what: What,
    target: f64,
    window_ms: u64,
}

#[derive(Clone, Copy)]
enum What {
    Availability,
    Latency(Duration),
}

/// How an objective stands.
#[derive(Serialize)]
pub(in crate::node) struct Standing {
    service: String,
    objective: &'static str,
    /// The share of requests that are to be good.
    target: f64,
    /// In which time they have to be answered, where that is what is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    within_ms: Option<u64>,
    window_ms: u64,
    /// Requests within the window, and the bad ones of them.
    requests: u64,
    bad: u64,
    /// What is left of the budget: 1 for all.
    budget_left: f64,
    /// How many times faster than allowed it was spent, by window.
    burn: BTreeMap<&'static str, f64>,
    /// The most severe alert that is due.
    alert: Option<Severity>,
}

/// The same for who looks closer.
#[derive(Serialize)]
pub(in crate::node) struct Detail {
    #[serde(flatten)]
    standing: Standing,
    /// The rules by which it alerts.
    rules: Vec<Held>,
    /// How the budget was spent: when, and what was left of it then.
    spent: Vec<(u64, f64)>,
}

/// A rule held against what was counted.
#[derive(Serialize)]
struct Held {
    severity: Severity,
    /// It takes this burn rate, over both windows.
    burn: f64,
    long: &'static str,
    short: &'static str,
    long_burn: f64,
    short_burn: f64,
    due: bool,
}

const BURN_WINDOWS: [(&str, u64); 7] = [
    ("5m", 5 * MINUTE_MS),
    ("30m", 30 * MINUTE_MS),
    ("1h", HOUR_MS),
    ("2h", 2 * HOUR_MS),
    ("6h", 6 * HOUR_MS),
    ("1d", 24 * HOUR_MS),
    ("3d", 72 * HOUR_MS),
];
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Availability => "availability",
            What::Latency(_) => "latency",
        }
    }
}

impl Declared {
    fn key(&self) -> String {
        format!("{} {}", self.service, self.what.word())
    }

    /// What the counters of its calls say.
    fn counted(&self, samples: &[Sample]) -> Counts {
        let mut by_call: BTreeMap<&[String], [f64; 3]> = BTreeMap::new();
        let mut counts = Counts::default();
        // Labels are caller, upstream, call.
        for sample in samples.iter().filter(|sample| sample.labels.get(1) == Some(&self.service)) {
            let metric = sample.metric;
            match (&sample.value, self.what) {
                (Value::Number(value), What::Availability) => {
                    let place = [&names::CALL_REQUESTS, &names::CALL_FAILURES, &names::CALL_FALLBACKS];
                    if let Some(place) = place.iter().position(|one| *one == metric) {
                        by_call.entry(&sample.labels[..3]).or_default()[place] += value;
                    }
                }
                (Value::Histogram(times, _), What::Latency(within)) if *metric == names::CALL_DURATION => {
                    let all = times.count();
                    counts.total += all;
                    counts.bad += all - times.count_within(within.as_micros() as u64).min(all);
                }
                _ => {}
            }
        }
        for [requests, failures, fallbacks] in by_call.into_values() {
            counts.total += requests as u64;
            // What a fallback answered has not failed for who asked.
            counts.bad += (failures - fallbacks).max(0.0) as u64;
        }
        counts
    }
}

impl Objectives {
    /// With what an earlier node has counted.
    pub(super) fn read(path: &Path) -> Objectives {
        let kept = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Objectives { kept: kept.unwrap_or_default(), ..Objectives::default() }
    }

    /// What is to be written for the next node.
    pub(super) fn written(&self) -> Vec<u8> {
        serde_json::to_vec(&self.kept).unwrap_or_default()
    }

    /// Takes on what is promised now.
    fn declare(&mut self, slo: &BTreeMap<String, Objective>) {
        self.declared = slo.iter().flat_map(|(service, objective)| declared(service, objective)).collect();
        let keys: Vec<String> = self.declared.iter().map(Declared::key).collect();
        self.kept.trackers.retain(|key, _| keys.contains(key));
        self.last.retain(|key, _| keys.contains(key));
    }

    /// Counts what has been since the last time; returns what is amiss.
    pub(super) fn update(
        &mut self,
        now_ms: u64,
        slo: &BTreeMap<String, Objective>,
        samples: &[Sample],
    ) -> Vec<Condition> {
        self.declare(slo);
        let mut conditions = Vec::new();
        let starting = self.starting(samples);
        for declared in &self.declared {
            let (key, counted) = (declared.key(), declared.counted(samples));
            // What is promised only now is promised from now on; a call that went away takes its counts with it.
            let last = self.last.insert(key.clone(), counted).unwrap_or(counted);
            let grown = Counts {
                total: counted.total.saturating_sub(last.total),
                bad: counted.bad.saturating_sub(last.bad),
            };
            let tracker = self.kept.trackers.entry(key).or_default();
            let is_starting = starting.contains(&declared.service);
            tracker.record(now_ms, if is_starting { Counts::default() } else { grown }, declared.window_ms);
            conditions.extend(amiss(declared, tracker, now_ms));
        }
        conditions
    }

    /// Services that were not ready yet when it was looked last: of such nobody expects an answer, and what was refused meanwhile
    /// spends no budget. Externals start elsewhere, and always count.
    fn starting(&mut self, samples: &[Sample]) -> BTreeSet<String> {
        let counts = samples.iter().filter(|sample| *sample.metric == names::SERVICE_INSTANCES);
        let ready = counts.filter(|sample| sample.labels.get(1).is_some_and(|state| state == "ready"));
        let mut starting = BTreeSet::new();
        for sample in ready {
            let service = &sample.labels[0];
            let is_ready = matches!(sample.value, Value::Number(count) if count > 0.0);
            let is_new = !self.ready.contains(service);
            starting.extend(is_new.then(|| service.clone()));
            self.ready.extend((is_new && is_ready).then(|| service.clone()));
        }
        starting
    }

    /// How they stand.
    pub(super) fn standings(&self, now_ms: u64) -> Vec<Standing> {
        let one = |declared: &Declared| {
            let tracker = self.kept.trackers.get(&declared.key())?;
            let counts = tracker.within(now_ms, declared.window_ms);
            let burn = |(name, window): &(&'static str, u64)| {
                (*name, tracker.within(now_ms, *window).burn(declared.target))
            };
            Some(Standing {
                service: declared.service.clone(),
                objective: declared.what.word(),
                target: declared.target,
                within_ms: match declared.what {
                    What::Availability => None,
                    What::Latency(within) => Some(within.as_millis() as u64),
                },
                window_ms: declared.window_ms,
                requests: counts.total,
                bad: counts.bad,
                budget_left: tracker.budget_left(now_ms, declared.target, declared.window_ms),
                burn: BURN_WINDOWS
                    .iter()
                    .filter(|(_, window)| *window <= declared.window_ms)
                    .map(burn)
                    .collect(),
                alert: tracker
                    .due(now_ms, declared.target, declared.window_ms)
                    .map(|rule| rule.severity)
                    .max(),
            })
        };
        self.declared.iter().filter_map(one).collect()
    }

    /// How they stand, by which rules they alert, and how their budgets were spent.
    pub(super) fn details(&self, now_ms: u64) -> Vec<Detail> {
        let one = |(declared, standing): (&Declared, Standing)| {
            let tracker = self.kept.trackers.get(&declared.key())?;
            Some(Detail {
                standing,
                rules: held(declared, tracker, now_ms),
                spent: tracker.burn_down(now_ms, declared.target, declared.window_ms),
            })
        };
        // Those without a tracker have no standing either.
        let counted = self.declared.iter().filter(|one| self.kept.trackers.contains_key(&one.key()));
        counted.zip(self.standings(now_ms)).filter_map(one).collect()
    }

    pub(super) fn gather(&self, now_ms: u64, out: &mut Vec<Sample>) {
        for standing in self.standings(now_ms) {
            let labels = [standing.service.as_str(), standing.objective];
            out.push(Sample::number(&names::SLO_BUDGET, &labels, standing.budget_left));
            let burn = standing.burn.get("1h").copied().unwrap_or(0.0);
            out.push(Sample::number(&names::SLO_BURN, &labels, burn));
        }
    }
}

fn declared(service: &str, objective: &Objective) -> Vec<Declared> {
    let window_ms = objective.window.as_millis() as u64;
    let one = |what: What, target: f64| Declared { service: service.to_owned(), what, target, window_ms };
    let availability = objective.availability.map(|target| one(What::Availability, target));
    let latency = objective.latency.map(|(within, target)| one(What::Latency(within), target));
    availability.into_iter().chain(latency).collect()
}

/// The rules that apply to an objective, as they stand.
fn held(declared: &Declared, tracker: &Tracker, now_ms: u64) -> Vec<Held> {
    let name =
        |window: u64| BURN_WINDOWS.iter().find(|(_, known)| *known == window).map_or("", |(name, _)| name);
    let one = |rule: &Rule| {
        let (long, short) = (tracker.within(now_ms, rule.long_ms), tracker.within(now_ms, rule.short_ms));
        Held {
            severity: rule.severity,
            burn: rule.burn,
            long: name(rule.long_ms),
            short: name(rule.short_ms),
            long_burn: long.burn(declared.target),
            short_burn: short.burn(declared.target),
            due: rule.is_due(declared.target, long, short),
        }
    };
    RULES.iter().filter(|rule| rule.long_ms <= declared.window_ms).map(one).collect()
}

/// One alert a severity: several rules say the same thing at several speeds.
fn amiss(declared: &Declared, tracker: &Tracker, now_ms: u64) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = Vec::new();
    for rule in tracker.due(now_ms, declared.target, declared.window_ms) {
        if conditions.iter().any(|known| known.severity == rule.severity) {
            continue;
        }
        let burn = tracker.within(now_ms, rule.long_ms).burn(declared.target);
        let left = tracker.budget_left(now_ms, declared.target, declared.window_ms) * 100.0;
        let left = if left > 0.0 {
            format!("{left:.0} % of it are left")
        } else {
            "nothing of it is left".to_owned()
        };
        let (service, what) = (&declared.service, declared.what.word());
        let key = |severity: Severity| format!("slo {service} {what} {}", severity.word());
        conditions.push(Condition {
            key: key(rule.severity),
            severity: rule.severity,
            summary: format!(
                "{service} spends the error budget of its {what} {burn:.1} times faster than it may; {left}"
            ),
            holds_ms: 0,
            inhibited_by: (rule.severity == Severity::Ticket).then(|| key(Severity::Page)),
        });
    }
    conditions
}

#[cfg(test)]
mod tests {
    use telemetry::metrics::Histogram;

    use super::*;

    fn slo() -> BTreeMap<String, Objective> {
        let objective = Objective {
            availability: Some(0.999),
            latency: Some((Duration::from_millis(300), 0.99)),
            window: Duration::from_secs(30 * 24 * 3_600),
        };
        BTreeMap::from([("cart".to_owned(), objective)])
    }

    fn samples(good: u64, failures: u64, fallbacks: u64, slow: u64) -> Vec<Sample> {
        let labels = ["gateway", "cart", "gateway /**"];
        let times = Histogram::new();
        (0..good + failures - slow).for_each(|_| times.record(1_000));
        (0..slow).for_each(|_| times.record(900_000));
        let with = |status: &'static str| [&labels[..], &[status]].concat();
        vec![
            Sample::number(&names::CALL_REQUESTS, &with("2xx"), (good + fallbacks) as f64),
            Sample::number(&names::CALL_REQUESTS, &with("5xx"), (failures - fallbacks) as f64),
            Sample::number(&names::CALL_FAILURES, &labels, failures as f64),
            Sample::number(&names::CALL_FALLBACKS, &labels, fallbacks as f64),
            Sample {
                metric: &names::CALL_DURATION,
                labels: labels.map(str::to_owned).to_vec(),
                value: Value::Histogram(times.snapshot(), Vec::new()),
            },
        ]
    }

    #[test]
    fn budgets_are_spent_by_failures_and_by_slowness() {
        let mut all = Objectives::default();
        let now = 1_700_000_000_000;
        assert!(
            all.update(now, &slo(), &samples(1_000, 100, 0, 0)).is_empty(),
            "what was before is not promised"
        );
        let conditions = all.update(now + 5_000, &slo(), &samples(1_900, 200, 90, 40));
        let keys: Vec<&str> = conditions.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(
            keys,
            ["slo cart availability page", "slo cart availability ticket", "slo cart latency ticket"]
        );
        let standings = all.standings(now + 5_000);
        assert_eq!((standings[0].requests, standings[0].bad), (1_000, 10));
        assert_eq!((standings[1].requests, standings[1].bad), (1_000, 40));
        assert_eq!(conditions[1].inhibited_by.as_deref(), Some("slo cart availability page"));
        assert!(
            (standings[0].budget_left + 9.0).abs() < 1e-6 && (standings[0].burn["1h"] - 10.0).abs() < 1e-6
        );
        let detail = serde_json::to_value(&all.details(now + 5_000)[0]).expect("JSON");
        assert_eq!((&detail["service"], &detail["bad"]), (&"cart".into(), &10.into()));
        let rules: Vec<(&str, bool)> = detail["rules"]
            .as_array()
            .expect("rules")
            .iter()
            .map(|rule| (rule["long"].as_str().expect("a window"), rule["due"] == true))
            .collect();
        assert_eq!(
            rules,
            [("1h", false), ("6h", true), ("1d", true), ("3d", true)],
            "it burns ten times too fast"
        );
        let last = detail["spent"].as_array().and_then(|spent| spent.last()).expect("a point");
        assert_eq!(last, &serde_json::json!([now + 5_000, detail["budget_left"]]));
        // A restart of the node forgets nothing; what is promised no more is not kept.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        std::fs::write(&path, all.written()).expect("written");
        let mut again = Objectives::read(&path);
        again.update(now + 10_000, &slo(), &samples(0, 0, 0, 0));
        assert_eq!(again.standings(now + 10_000)[0].bad, 10);
        again.update(now + 15_000, &BTreeMap::new(), &[]);
        assert!(again.standings(now + 15_000).is_empty() && again.kept.trackers.is_empty());
    }

    #[test]
    fn what_is_refused_before_a_service_was_ready_spends_nothing() {
        let mut all = Objectives::default();
        let looked = |ready: f64, failures: u64| {
            let mut samples = samples(0, failures, 0, 0);
            samples.push(Sample::number(&names::SERVICE_INSTANCES, &["cart", "wanted"], 2.0));
            samples.push(Sample::number(&names::SERVICE_INSTANCES, &["cart", "ready"], ready));
            samples
        };
        let now = 1_700_000_000_000;
        for (at, ready, failures, bad) in
            [(0, 0.0, 0, 0), (5, 0.0, 50, 0), (10, 1.0, 60, 0), (15, 1.0, 67, 7), (20, 0.0, 70, 10)]
        {
            all.update(now + at * 1_000, &slo(), &looked(ready, failures));
            assert_eq!(all.standings(now + at * 1_000)[0].bad, bad, "after {at} s");
        }
    }
}
