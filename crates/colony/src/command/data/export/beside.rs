//! What stands beside what was put in: jobs, locks, timers and settings.

use bytes::Bytes;
use engine::replica::Shared;
use engine::store::Fjall;
use machine::key::Parts;
use machine::timer::{self, Owner};
use machine::topic::{Failing, GivenUp};
use machine::{Table, Time, changes, command, job, kv, lock, queue, stream, topic};
use prost::Message;
use serde_json::{Value, json};

use super::{Tell, Told, line, put_bytes};
use crate::args::ExportKind;

/// Which tables have what, and how it is told.
pub(super) const TABLES: [(ExportKind, Table, Tell); 8] = [
    (ExportKind::Job, Table::Job, a_job),
    (ExportKind::Lock, Table::Lock, a_lock),
    (ExportKind::Timer, Table::Timer, a_timer),
    (ExportKind::Setting, Table::KvStore, of_store),
    (ExportKind::Setting, Table::Topic, of_topic),
    (ExportKind::Setting, Table::Queue, of_queue),
    (ExportKind::Setting, Table::StreamStore, of_streams),
    (ExportKind::Setting, Table::Stream, of_stream),
];

fn a_job(shard: &Shared<Fjall>, key: &[u8], _: &Bytes, _: Time) -> Option<Told> {
    let mut parts = Parts::of(key);
    let (scope, name) = (parts.name()?, parts.name()?);
    // How far it is stands beside it.
    parts.u8().filter(|kind| *kind == 0)?;
    let job::Listed { job, progress, .. } = job::get(&shard.read().state, scope, name)?;
    let missed = match job.missed() {
        job::Missed::RunOnce => "run-once",
        job::Missed::Skip => "skip",
        job::Missed::RunAll => "run-all",
    };
    let line = line(&json!({
        "kind": "job", "scope": scope, "name": name, "schedule": schedule(&job), "next_ms": progress.next_ms,
        "first_ms": job.first_ms, "until_ms": set(job.until_ms), "runs": progress.runs, "runs_max": set(job.runs_max),
        "last_ms": set(progress.last_ms), "paused": progress.paused, "missed": missed, "missed_max": job.missed_max,
        "grace_ms": job.grace_ms, "shard": job.target, "sends": sends(&job.command), "put_ms": job.put_ms,
    }));
    let payloads = (1..).zip(job.bodies).map(|(number, body)| match number {
        1 => ("payload".into(), body),
        _ => (format!("payload_{number}").into(), body),
    });
    Some(Told { line, payloads: payloads.collect() })
}

/// As it was written, if it was; a job without a schedule runs once.
fn schedule(job: &job::Job) -> Value {
    match &job.schedule {
        Some(schedule) if !schedule.text.is_empty() => schedule.text.as_str().into(),
        Some(job::Schedule { kind: Some(job::ScheduleKind::Every(every)), .. }) => {
            format!("every {} ms", every.every_ms).into()
        }
        Some(_) => "cron".into(),
        None => Value::Null,
    }
}

/// What a job sends, and to what.
fn sends(command: &command::Command) -> Value {
    let to = |block: &str, name: &str| json!({ "block": block, "name": name });
    match &command.kind {
        Some(command::Kind::Queue(queue::Command { kind: Some(queue::Kind::Send(send)) })) => {
            to("queue", &send.queue)
        }
        Some(command::Kind::Topic(topic::Command { kind: Some(topic::Kind::Publish(publish)) })) => {
            to("topic", &publish.topic)
        }
        Some(command::Kind::Kv(_)) => json!({ "block": "state" }),
        Some(command::Kind::Topic(_)) => json!({ "block": "topic" }),
        Some(command::Kind::Queue(_)) => json!({ "block": "queue" }),
        Some(command::Kind::Stream(_)) => json!({ "block": "streams" }),
        Some(command::Kind::Job(_)) => json!({ "block": "jobs" }),
        Some(command::Kind::Lock(_)) => json!({ "block": "locks" }),
        Some(command::Kind::Config(_)) => json!({ "block": "configuration" }),
        _ => Value::Null,
    }
}

fn a_lock(_: &Shared<Fjall>, key: &[u8], value: &Bytes, now: Time) -> Option<Told> {
    let lease = lock::Lease::decode(value.clone()).ok().filter(|lease| lease.is_held(now))?;
    let mut parts = Parts::of(key);
    let mut line = line(&json!({
        "kind": "lock", "store": parts.name()?, "scope": parts.name()?, "owner": lease.owner, "token": lease.token,
        "expires_ms": lease.expires_ms,
    }));
    put_bytes(&mut line, "name", parts.rest());
    Some(Told::of(line))
}

fn a_timer(shard: &Shared<Fjall>, key: &[u8], _: &Bytes, _: Time) -> Option<Told> {
    let (due, owner, of) = timer::of_key(key)?;
    let owner = match owner {
        Owner::Idempotency => "idempotency",
        Owner::Kv => "state",
        Owner::KvChange => "state-changes",
        Owner::Topic => "topic",
        Owner::TopicDelayed => "message",
        Owner::Queue => "queue",
        Owner::Lock => "lock",
        Owner::StreamTrim => "stream",
        Owner::Job => "job",
    };
    let mut line = line(&json!({
        "kind": "timer", "shard": shard.shard().0, "due_ms": due.as_millis(), "owner": owner,
    }));
    put_bytes(&mut line, "key", of);
    Some(Told::of(line))
}

fn of_store(shard: &Shared<Fjall>, key: &[u8], _: &Bytes, _: Time) -> Option<Told> {
    let name = Parts::of(key).name()?;
    let kv::Define { changes, spread, .. } = kv::definition(&shard.read().state, name);
    let keep =
        |keep: changes::Keep| json!({ "count": keep.count, "age_ms": keep.age_ms, "values": keep.values });
    Some(setting(shard, "store", name, None, &json!({ "changes": changes.map(keep), "spread": spread })))
}

/// Beside the settings of a topic and of its groups stand the counters of its partitions.
fn of_topic(shard: &Shared<Fjall>, key: &[u8], value: &Bytes, _: Time) -> Option<Told> {
    let mut parts = Parts::of(key);
    let (name, kind) = (parts.name()?, parts.u8()?);
    match kind {
        0 => {
            let settings = topic::Settings::decode(value.clone()).ok()?;
            let settings = json!({
                "partitions": settings.partitions(), "keep_ms": settings.keep_ms(), "keep_bytes": settings.keep_bytes,
                "keep_messages": settings.keep_messages, "ttl_ms": settings.ttl_ms,
                "failing": settings.failing.as_ref().map(failing),
            });
            Some(setting(shard, "topic", name, None, &settings))
        }
        2 => {
            let group = std::str::from_utf8(parts.rest()).ok()?;
            let of = failing(&Failing::decode(value.clone()).ok()?);
            Some(setting(shard, "group", name, Some(group), &json!({ "failing": of })))
        }
        _ => None,
    }
}

fn failing(failing: &Failing) -> Value {
    let given_up = match failing.given_up() {
        GivenUp::Park => "park",
        GivenUp::Block => "block",
        GivenUp::Skip => "skip",
        GivenUp::DeadLetter => "dead-letter",
    };
    let dead_letter = failing.dead_letter.as_ref();
    json!({
        "attempts_max": failing.attempts_max(), "backoff_ms": failing.backoff_ms(),
        "backoff_max_ms": failing.backoff_max_ms(), "given_up": given_up,
        "dead_letter": dead_letter.map(|to| json!({ "topic": to.topic, "partitions": to.partitions })),
    })
}

/// What was not set is null: the defaults hold.
fn of_queue(shard: &Shared<Fjall>, key: &[u8], value: &Bytes, _: Time) -> Option<Told> {
    let mut parts = Parts::of(key);
    let name = parts.name()?;
    parts.u8().filter(|kind| *kind == 0)?;
    let settings = queue::Settings::decode(value.clone()).ok()?;
    let rate =
        |rate: &queue::Rate| json!({ "count": rate.count, "per_ms": rate.per_ms, "burst": rate.burst });
    let settings = json!({
        "attempts_max": set(settings.attempts_max.into()), "visibility_ms": set(settings.visibility_ms),
        "backoff_ms": settings.backoff_ms, "backoff_ms_max": set(settings.backoff_ms_max),
        "dead_letters": settings.dead_letters, "dead_letters_expired": settings.dead_letters_expired,
        "dedup_window_ms": settings.dedup_window_ms, "concurrency": set(settings.concurrency.into()),
        "key_concurrency": set(settings.key_concurrency.into()), "rate": settings.rate.as_ref().map(rate),
        "key_rate": settings.key_rate.as_ref().map(rate), "length_max": set(settings.length_max), "spread": settings.spread,
    });
    Some(setting(shard, "queue", name, None, &settings))
}

fn of_streams(shard: &Shared<Fjall>, key: &[u8], value: &Bytes, _: Time) -> Option<Told> {
    let name = Parts::of(key).name()?;
    let settings = stream::Store::decode(value.clone()).ok()?.settings;
    let spread = match settings.spread() {
        stream::Spread::ByStream => "by-stream",
        stream::Spread::Together => "together",
    };
    let settings = json!({
        "spread": spread, "count_max": set(settings.count_max), "age_ms_max": set(settings.age_ms_max),
        "snapshots": settings.snapshots.max(1),
    });
    Some(setting(shard, "streams", name, None, &settings))
}

/// Few streams have settings of their own.
fn of_stream(shard: &Shared<Fjall>, key: &[u8], value: &Bytes, _: Time) -> Option<Told> {
    let mut parts = Parts::of(key);
    let (store, name) = (parts.name()?, parts.name()?);
    let stream = stream::Stream::decode(value.clone()).ok()?;
    if stream.count_max.is_none() && stream.age_ms_max.is_none() {
        return None;
    }
    let settings = json!({ "count_max": stream.count_max, "age_ms_max": stream.age_ms_max });
    Some(setting(shard, "stream", store, Some(name), &settings))
}

/// What is set for what is called `name`, or for a `part` of it. It is in each shard that has something of it.
fn setting(shard: &Shared<Fjall>, of: &str, name: &str, part: Option<&str>, settings: &Value) -> Told {
    let mut line = line(&json!({
        "kind": "setting", "of": of, "name": name, "shard": shard.shard().0, "settings": settings,
    }));
    if let Some(part) = part {
        let key = if of == "group" { "group" } else { "stream" };
        line.insert(key.to_owned(), part.into());
    }
    Told::of(line)
}

/// Nothing for zero, which means that there is none, or the default.
fn set(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}
