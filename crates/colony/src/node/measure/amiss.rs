//! What besides objectives somebody should know of: a service that is not there, dead letters that become more, a disk that is
//! full. Everything else is either seen in an objective, or nobody has to get up for it.

use std::collections::BTreeMap;

use telemetry::alerts::{Condition, Severity};
use telemetry::catalogue::{self as names, Metric};
use telemetry::exposition::{Sample, Value};

/// For how long a service may be without any instance that is ready: a restart with its build is no alert.
const DOWN_MS: u64 = 2 * 60_000;
/// For how long it may have fewer than it should.
const DEGRADED_MS: u64 = 10 * 60_000;
/// For how long something that has grown counts as growing.
const GROWING_MS: u64 = 10 * 60_000;
/// Free space below which there is not much time.
const DISK_LOW: (f64, f64) = (0.1, 10e9);
/// Free space below which nothing may be written soon.
const DISK_FULL: (f64, f64) = (0.02, 1e9);

/// What counts of dead letters were, and when they last grew.
#[derive(Default)]
pub(super) struct Growth(BTreeMap<String, (f64, Option<u64>)>);

pub(super) fn conditions(now_ms: u64, samples: &[Sample], growth: &mut Growth) -> Vec<Condition> {
    let mut all = services(samples);
    all.extend(growth.look(now_ms, samples));
    all.extend(disk(samples));
    all
}

fn services(samples: &[Sample]) -> Vec<Condition> {
    let mut services: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    for (labels, value) in of(samples, &names::SERVICE_INSTANCES) {
        let at = usize::from(labels[1] == "ready");
        services.entry(&labels[0]).or_default()[at] = value;
    }
    let condition = |(service, [wanted, ready]): (&str, [f64; 2])| match (wanted, ready) {
        (wanted, 0.0) if wanted > 0.0 => Some(Condition {
            key: format!("service {service} down"),
            severity: Severity::Page,
            summary: format!("no instance of {service} is ready"),
            holds_ms: DOWN_MS,
            inhibited_by: None,
        }),
        (wanted, ready) if ready < wanted => Some(Condition {
            key: format!("service {service} degraded"),
            severity: Severity::Ticket,
            summary: format!("{ready} of {wanted} instances of {service} are ready"),
            holds_ms: DEGRADED_MS,
            inhibited_by: None,
        }),
        _ => None,
    };
    services.into_iter().filter_map(condition).collect()
}

impl Growth {
    fn look(&mut self, now_ms: u64, samples: &[Sample]) -> Vec<Condition> {
        let topics = of(samples, &names::TOPIC_DEAD)
            .map(|(labels, value)| (format!("of group {} at topic {}", labels[1], labels[0]), value));
        let queues = of(samples, &names::QUEUE_ITEMS).filter(|(labels, _)| labels[1] == "dead");
        let queues = queues.map(|(labels, value)| (format!("of queue {}", labels[0]), value));
        let now: BTreeMap<String, f64> = topics.chain(queues).collect();
        self.0.retain(|whose, _| now.contains_key(whose));
        let mut conditions = Vec::new();
        for (whose, value) in now {
            let (before, grown) = self.0.entry(whose.clone()).or_insert((value, None));
            if value > *before {
                *grown = Some(now_ms);
            }
            *before = value;
            if grown.is_some_and(|at| now_ms.saturating_sub(at) < GROWING_MS) {
                conditions.push(Condition {
                    key: format!("dead letters {whose}"),
                    severity: Severity::Ticket,
                    summary: format!("dead letters {whose} become more: there are {value}"),
                    holds_ms: 0,
                    inhibited_by: None,
                });
            }
        }
        conditions
    }
}

fn disk(samples: &[Sample]) -> Option<Condition> {
    let one = |metric| of(samples, metric).next().map(|(_, value)| value);
    let (free, size) = (one(&names::NODE_DISK_FREE)?, one(&names::NODE_DISK_SIZE)?);
    let below = |(share, bytes): (f64, f64)| free < bytes && free < size * share;
    let (key, severity) = match () {
        () if below(DISK_FULL) => ("disk full", Severity::Page),
        () if below(DISK_LOW) => ("disk low", Severity::Ticket),
        () => return None,
    };
    let summary = format!("{:.1} GB are free where the data folder lies", free / 1e9);
    Some(Condition { key: key.to_owned(), severity, summary, holds_ms: 60_000, inhibited_by: None })
}

fn of<'s>(samples: &'s [Sample], metric: &'static Metric) -> impl Iterator<Item = (&'s [String], f64)> {
    samples.iter().filter(move |sample| std::ptr::eq(sample.metric, metric)).filter_map(|sample| match sample
        .value
    {
        Value::Number(value) => Some((sample.labels.as_slice(), value)),
        Value::Histogram(..) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(now_ms: u64, samples: &[Sample], growth: &mut Growth) -> Vec<String> {
        conditions(now_ms, samples, growth).into_iter().map(|one| one.key).collect()
    }

    #[test]
    fn services_that_are_not_there() {
        let of = |wanted, ready| {
            let one = |state, count| Sample::number(&names::SERVICE_INSTANCES, &["cart", state], count);
            keys(0, &[one("wanted", wanted), one("ready", ready)], &mut Growth::default())
        };
        assert_eq!(of(2.0, 0.0), ["service cart down"]);
        assert_eq!(of(2.0, 1.0), ["service cart degraded"]);
        assert!(of(2.0, 2.0).is_empty() && of(0.0, 0.0).is_empty(), "stopped on demand");
    }

    #[test]
    fn dead_letters_that_become_more() {
        let mut growth = Growth::default();
        let queue = |dead| [Sample::number(&names::QUEUE_ITEMS, &["work", "dead"], dead)];
        assert!(keys(0, &queue(7.0), &mut growth).is_empty(), "old ones are no news");
        assert_eq!(keys(5_000, &queue(8.0), &mut growth), ["dead letters of queue work"]);
        assert_eq!(keys(300_000, &queue(3.0), &mut growth).len(), 1);
        assert!(keys(700_000, &queue(3.0), &mut growth).is_empty());
        let topic = [Sample::number(&names::TOPIC_DEAD, &["orders", "mail"], 1.0)];
        keys(0, &topic, &mut growth);
        assert!(keys(1, &[], &mut growth).is_empty() && growth.0.is_empty());
    }

    #[test]
    fn disks_that_are_full() {
        let of = |free, size| {
            let samples = [
                Sample::number(&names::NODE_DISK_FREE, &[], free),
                Sample::number(&names::NODE_DISK_SIZE, &[], size),
            ];
            keys(0, &samples, &mut Growth::default())
        };
        assert_eq!(of(0.5e9, 100e9), ["disk full"]);
        assert_eq!(of(5e9, 100e9), ["disk low"]);
        assert!(of(20e9, 1_000e9).is_empty(), "a small share of much is enough");
        assert!(of(0.5e9, 1e9).is_empty(), "so is half of little");
    }
}
