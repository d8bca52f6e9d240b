//! The system at a glance: what `colony top` shows, of the last half minute.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use telemetry::catalogue::{self as names, Metric};
use telemetry::exposition::{Sample, Value as Measured};
use telemetry::series::{Query, Take};

use crate::node::{Node, unix_ms};

/// Over how long rates and quantiles are.
const SPAN_MS: u64 = 30_000;

/// Everything that `colony top` shows.
pub(in crate::node) async fn top(node: &Node) -> Value {
    let samples = super::gather(node).await;
    let recent = Recent { node, now_ms: node.measures.window().newest_ms() };
    json!({
        "name": node.current().manifest.name.clone(),
        "unix_ms": unix_ms(),
        "uptime_ms": node.started.elapsed().as_millis() as u64,
        "span_ms": SPAN_MS,
        "services": services(node, &recent),
        "calls": calls(&samples, &recent),
        "topics": topics(&samples, &recent),
        "queues": queues(&samples),
        "slos": node.measures.standings(),
        "alerts": node.measures.alerts(),
        "faults": node.mesh.status().faults.len(),
    })
}

/// What the window says of the last half minute, by some labels.
struct Recent<'n> {
    node: &'n Node,
    now_ms: u64,
}

impl Recent<'_> {
    fn by(
        &self,
        metric: &'static Metric,
        by: &[&str],
        only: &[(&str, &str)],
        take: Take,
    ) -> BTreeMap<String, f64> {
        let query = Query {
            metric: metric.name.to_owned(),
            labels: only.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            by: Some(by.iter().map(|&name| name.to_owned()).collect()),
            from_ms: self.now_ms.saturating_sub(SPAN_MS),
            to_ms: self.now_ms,
            step_ms: SPAN_MS,
            take,
        };
        // The window has nothing yet.
        let curves = self.node.measures.window().query(&query).unwrap_or_default();
        let one = |curve: telemetry::series::Curve| {
            let key: Vec<String> = curve.labels.into_iter().map(|(_, value)| value).collect();
            Some((key.join("|"), curve.points.last()?.1?))
        };
        curves.into_iter().filter_map(one).collect()
    }

    /// Rate, failures and quantiles of all calls, by a label of theirs.
    fn load(&self, by: &str) -> impl Fn(&str) -> Value + use<> {
        let rate = self.by(&names::CALL_REQUESTS, &[by], &[], Take::Rate);
        let failures = self.by(&names::CALL_FAILURES, &[by], &[], Take::Rate);
        let p50 = self.by(&names::CALL_DURATION, &[by], &[], Take::Quantile(0.5));
        let p99 = self.by(&names::CALL_DURATION, &[by], &[], Take::Quantile(0.99));
        move |key| {
            let [rate, failed] = [&rate, &failures].map(|of| of.get(key).copied().unwrap_or(0.0));
            let errors = if rate > 0.0 { failed / rate } else { 0.0 };
            json!({ "rate": rate, "errors": errors, "p50_s": p50.get(key), "p99_s": p99.get(key) })
        }
    }
}

fn services(node: &Node, recent: &Recent) -> Vec<Value> {
    let load = recent.load("upstream");
    let cpu = recent.by(&names::INSTANCE_CPU, &["service"], &[], Take::Rate);
    let one = |service: supervisor::ServiceStatus| {
        let rss: u64 = service.instances.iter().filter_map(|instance| instance.rss_kib).sum();
        let restarts: u32 = service.instances.iter().map(|instance| instance.restarts).sum();
        let mut told = load(&service.name);
        told["name"] = service.name.clone().into();
        told["state"] = json!(service.state);
        told["ready"] = service.ready.into();
        told["wanted"] = service.wanted.into();
        told["cpu"] = json!(cpu.get(&service.name));
        told["memory_bytes"] = (!service.external).then_some(rss << 10).into();
        told["restarts"] = restarts.into();
        told
    };
    node.supervisor.status().into_iter().map(one).collect()
}

fn calls(samples: &[Sample], recent: &Recent) -> Vec<Value> {
    let load = recent.load("call");
    let retries = recent.by(&names::CALL_TRIES, &["call"], &[("reason", "retry")], Take::Rate);
    let refused = recent.by(&names::CALL_REFUSALS, &["call"], &[], Take::Rate);
    let breaker = named(samples, &names::CALL_BREAKER);
    let all = samples.iter().filter(|sample| std::ptr::eq(sample.metric, &names::CALL_DURATION));
    let one = |sample: &Sample| {
        let call = &sample.labels[2];
        let mut told = load(call);
        told["call"] = call.clone().into();
        told["retries"] = json!(retries.get(call).copied().unwrap_or(0.0));
        told["refused"] = json!(refused.get(call).copied().unwrap_or(0.0));
        told["breaker"] = match breaker.get(sample.labels.as_slice()) {
            None => Value::Null,
            Some(state) if *state == 0.0 => "closed".into(),
            Some(state) if *state == 1.0 => "half-open".into(),
            Some(_) => "open".into(),
        };
        told
    };
    all.map(one).collect()
}

fn topics(samples: &[Sample], recent: &Recent) -> Vec<Value> {
    let published = recent.by(&names::TOPIC_PUBLISHED, &["topic"], &[], Take::Rate);
    let delivered = recent.by(&names::TOPIC_DELIVERED, &["topic", "group"], &[], Take::Rate);
    let [lag, aside, dead] =
        [&names::TOPIC_LAG, &names::TOPIC_ASIDE, &names::TOPIC_DEAD].map(|metric| named(samples, metric));
    let groups = |topic: &str| {
        let of = lag.iter().filter(|(labels, _)| labels[0] == topic);
        let one = |(labels, lag): (&&[String], &f64)| {
            json!({
                "group": labels[1], "lag": lag, "aside": aside.get(labels), "dead": dead.get(labels),
                "rate": delivered.get(&labels.join("|")).copied().unwrap_or(0.0),
            })
        };
        of.map(one).collect::<Vec<_>>()
    };
    let one = |(labels, count): (&&[String], &f64)| {
        let topic = &labels[0];
        json!({
            "topic": topic, "messages": count, "groups": groups(topic),
            "rate": published.get(topic).copied().unwrap_or(0.0),
        })
    };
    named(samples, &names::TOPIC_MESSAGES).iter().map(one).collect()
}

fn queues(samples: &[Sample]) -> Vec<Value> {
    let oldest = named(samples, &names::QUEUE_OLDEST);
    let mut queues: BTreeMap<&str, Value> = BTreeMap::new();
    for (labels, count) in named(samples, &names::QUEUE_ITEMS) {
        queues.entry(&labels[0]).or_insert_with(|| json!({ "queue": labels[0] }))[&labels[1]] = json!(count);
    }
    for (labels, age) in &oldest {
        if let Some(queue) = queues.get_mut(labels[0].as_str()) {
            queue["oldest_s"] = json!(age);
        }
    }
    queues.into_values().collect()
}

/// What a metric says just now, by its labels.
fn named<'s>(samples: &'s [Sample], metric: &'static Metric) -> BTreeMap<&'s [String], f64> {
    let of = samples.iter().filter(|sample| std::ptr::eq(sample.metric, metric));
    let one = |sample: &'s Sample| match sample.value {
        Measured::Number(value) => Some((sample.labels.as_slice(), value)),
        Measured::Histogram(..) => None,
    };
    of.filter_map(one).collect()
}
