//! What the engine keeps, and how fast: topics with their groups, queues, shards.

use std::collections::BTreeMap;

use api::Host;
use engine::blocks::queue::Ledger;
use engine::{Embedded, Error};
use telemetry::catalogue::{self as names, Metric};
use telemetry::exposition::Sample;

/// Most topics that are told of, and most queues: each costs a look at each of its partitions.
const NAMES_MAX: usize = 200;

pub(super) async fn gather(host: &Host, out: &mut Vec<Sample>) {
    let engine = host.disk();
    of_engine(engine, out);
    // What cannot be read is not told: why it cannot be, those say who need it.
    if let Ok(topics) = engine.topics("", None, NAMES_MAX).await {
        for topic in topics {
            let _ = of_topic(engine, &topic, out).await;
        }
    }
    if let Ok(queues) = engine.queues(None, NAMES_MAX).await {
        for (queue, ledger) in queues {
            of_queue(engine, &queue, &ledger, out).await;
        }
    }
}

fn of_engine(engine: &Embedded, out: &mut Vec<Sample>) {
    for (shard, tail, applied) in engine.progress() {
        let shard = [shard.to_string()];
        let shard = shard.each_ref().map(String::as_str);
        out.push(Sample::number(&names::SHARD_TAIL, &shard, tail as f64));
        out.push(Sample::number(&names::SHARD_APPLIED, &shard, applied as f64));
    }
    let counted = engine.metrics();
    let values: [(&'static Metric, &[&str], f64); 12] = [
        (&names::ENGINE_COMMANDS, &[], counted.commands as f64),
        (&names::ENGINE_REFUSALS, &["overloaded"], counted.overloaded as f64),
        (&names::ENGINE_REFUSALS, &["unwritable"], counted.refused as f64),
        (&names::ENGINE_WAITING, &[], counted.waiting as f64),
        (&names::ENGINE_COMMITS, &[], counted.batches as f64),
        (&names::ENGINE_COMMIT_TIME, &[], counted.append.as_secs_f64()),
        (&names::ENGINE_APPLY_TIME, &[], counted.apply.as_secs_f64()),
        (&names::ENGINE_CHECKPOINTS, &["written"], counted.checkpoints as f64),
        (&names::ENGINE_CHECKPOINTS, &["failed"], counted.checkpoints_failed as f64),
        (&names::ENGINE_PAYLOADS_FAILED, &["lost"], counted.lost as f64),
        (&names::ENGINE_PAYLOADS_FAILED, &["unreadable"], counted.unreadable as f64),
        (&names::ENGINE_LOG_SIZE, &[], engine.log_bytes() as f64),
    ];
    out.extend(values.map(|(metric, labels, value)| Sample::number(metric, labels, value)));
}

/// Of a group, over all partitions.
#[derive(Default)]
struct Group {
    delivered: u64,
    lag: u64,
    aside: u64,
    dead: u64,
}

async fn of_topic(engine: &Embedded, name: &str, out: &mut Vec<Sample>) -> Result<(), Error> {
    let topic = engine.topic(name)?;
    let (mut published, mut messages, mut bytes) = (0, 0, 0);
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for partition in 0..topic.partitions() {
        let counts = topic.counts(partition).await?;
        (published, messages, bytes) =
            (published + counts.next, messages + counts.messages, bytes + counts.bytes);
        for status in topic.groups(partition).await? {
            let group = groups.entry(status.name).or_default();
            group.delivered += counts.next.saturating_sub(status.lag);
            group.lag += status.lag;
            group.aside += status.group.aside;
            group.dead += status.group.dead;
        }
    }
    let of_all = [
        (&names::TOPIC_PUBLISHED, published),
        (&names::TOPIC_MESSAGES, messages),
        (&names::TOPIC_SIZE, bytes),
    ];
    out.extend(of_all.map(|(metric, value)| Sample::number(metric, &[name], value as f64)));
    for (group, counts) in groups {
        let of_group = [
            (&names::TOPIC_DELIVERED, counts.delivered),
            (&names::TOPIC_LAG, counts.lag),
            (&names::TOPIC_ASIDE, counts.aside),
            (&names::TOPIC_DEAD, counts.dead),
        ];
        out.extend(of_group.map(|(metric, value)| Sample::number(metric, &[name, &group], value as f64)));
    }
    Ok(())
}

async fn of_queue(engine: &Embedded, name: &str, ledger: &Ledger, out: &mut Vec<Sample>) {
    let states = [
        ("ready", ledger.ready),
        ("delayed", ledger.delayed),
        ("leased", ledger.leased),
        ("blocked", ledger.blocked),
        ("dead", ledger.dead),
    ];
    for (state, count) in states {
        out.push(Sample::number(&names::QUEUE_ITEMS, &[name, state], count as f64));
    }
    out.extend(
        oldest(engine, name, ledger).await.map(|age| Sample::number(&names::QUEUE_OLDEST, &[name], age)),
    );
}

/// In seconds; zero if nothing is ready.
async fn oldest(engine: &Embedded, name: &str, ledger: &Ledger) -> Option<f64> {
    if ledger.ready == 0 {
        return Some(0.0);
    }
    let sent = engine.queue(name).ok()?.oldest().await.ok()??;
    Some(engine.now().as_millis().saturating_sub(sent.as_millis()) as f64 / 1e3)
}
