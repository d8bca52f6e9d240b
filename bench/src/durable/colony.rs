//! Colony's engine, asked inside of a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::blocks::kv::{Settings, Write};
use engine::blocks::stream::NewEvent;
use engine::blocks::topic::Message;
use engine::{Config, ConsumerConfig, Embedded};
use machine::stream::{self, Expected};
use machine::topic::Place;

use super::tasks::{Load, closed_loop};
use super::{Case, ITEMS, Measured, PAYLOAD_BYTES};
use crate::harness::{Error, Result, usage};

/// Runs the load in a process of its own, on an empty folder.
pub fn measure(case: Case, seconds: u32, folder: &Path) -> Result<Measured> {
    let own = std::env::current_exe().map_err(|error| Error::new("find this program", error))?;
    let said = Command::new(own)
        .args(["durable-load", "--case", &case.name(), "--seconds", &seconds.to_string(), "--data"])
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Error::new("start the load", error))?;
    if !said.status.success() {
        return Err(Error::say(format!("the load on Colony's engine ended with {}", said.status)));
    }
    serde_json::from_slice(&said.stdout).map_err(|error| Error::new("read what the load came to", error))
}

/// The load, in this process. What it came to is one line of JSON on standard output.
pub fn load(case: Case, seconds: u32, folder: &Path) -> Result<()> {
    let engine = Embedded::open_in(folder, Config::default())
        .map_err(|error| Error::new("open Colony's engine", error))?;
    let engine = Arc::new(engine);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(case.threads())
        .enable_all()
        .build()
        .map_err(|error| Error::new("start a runtime", error))?;
    let idle = usage::of_tree(std::process::id());
    let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    runtime.block_on(prepare(case, &engine, &payload));
    let before = usage::of_tree(std::process::id());
    let time = Duration::from_secs(u64::from(seconds));
    let load = runtime.block_on(async {
        match case {
            Case::Consume => consume(&engine, time).await,
            _ => ask(case, &engine, payload, time).await,
        }
    });
    let after = usage::of_tree(std::process::id());
    let (user, kernel) = after.cpu_since(&before);
    let measured = Measured {
        user_us: user.as_secs_f64() * 1e6,
        kernel_us: kernel.as_secs_f64() * 1e6,
        rss_idle_kib: idle.rss_kib,
        rss_kib: after.rss_kib,
        ..load.measured()
    };
    println!("{}", crate::report::json_line(&measured));
    Ok(())
}

/// What a case finds there.
async fn prepare(case: Case, engine: &Arc<Embedded>, payload: &Bytes) {
    let count = match case {
        Case::Append64 => return define(engine).await,
        Case::Put64 => return spread(engine).await,
        Case::Get64 => {
            spread(engine).await;
            ITEMS
        }
        Case::Consume => CONSUMED,
        _ => return,
    };
    let share = count / FILLERS;
    let fillers: Vec<_> = (0..FILLERS)
        .map(|filler| {
            let (engine, payload) = (Arc::clone(engine), payload.clone());
            tokio::spawn(async move {
                for item in filler * share..(filler + 1) * share {
                    match case {
                        Case::Get64 => put(&engine, item, payload.clone()).await,
                        _ => publish(&engine, item, payload.clone()).await,
                    }
                }
            })
        })
        .collect();
    for filler in fillers {
        filler.await.expect("what is prepared is taken");
    }
}

/// As others have it: no two items need to be in one transaction.
async fn spread(engine: &Embedded) {
    let items = engine.kv("items").expect("it can be read");
    items.define(Settings { spread: true, changes: None }).await.expect("it is taken");
}

async fn define(engine: &Embedded) {
    let streams = engine.streams("orders").expect("it can be read");
    streams.define(stream::Settings::default()).await.expect("it is taken");
}

async fn ask(case: Case, engine: &Arc<Embedded>, payload: Bytes, time: Duration) -> Load {
    let tasks: Vec<(u64, u64)> = (0..u64::from(case.tasks())).map(|number| (number, 0)).collect();
    let engine = Arc::clone(engine);
    closed_loop(tasks, time, move |(number, version), call| {
        let (engine, payload) = (Arc::clone(&engine), payload.clone());
        let item = (number * 7919 + call * 31) % ITEMS;
        async move {
            match case {
                Case::Publish1 | Case::Publish64 | Case::Publish1024 => {
                    publish(&engine, number + call * 7, payload).await;
                }
                Case::Put64 => put(&engine, item, payload).await,
                Case::Get64 => {
                    get(&engine, item).await;
                    // Nothing is waited for, so others of the same thread would starve.
                    tokio::task::yield_now().await;
                }
                Case::Append64 => append(&engine, number, version, payload).await,
                Case::Consume => {}
            }
            ((number, version + 1), 1)
        }
    })
    .await
}

/// Consumers of one group, until `time` is over or all is consumed; then until all is durably acknowledged.
async fn consume(engine: &Arc<Embedded>, time: Duration) -> Load {
    let begun = Instant::now();
    let left = Arc::new(AtomicU64::new(CONSUMED));
    let mut consuming = Vec::new();
    for _ in 0..Case::Consume.tasks() {
        let (engine, left) = (Arc::clone(engine), Arc::clone(&left));
        consuming.push(tokio::spawn(async move {
            let config = ConsumerConfig::default();
            let topic = engine.topic("orders").expect("it can be read");
            let consumer = topic.consume("group", Place::start(), config).await;
            let consumer = consumer.expect("the group is made");
            let mut each_ns = Vec::new();
            while begun.elapsed() < time && left.load(Ordering::Relaxed) > 0 {
                let asked = Instant::now();
                let next = tokio::time::timeout(CONSUME_WAIT, consumer.next(CONSUME_BATCH)).await;
                let Ok(messages) = next else { continue };
                let messages = messages.expect("the engine goes on");
                consumer.acknowledge(&messages).expect("the engine goes on");
                left.fetch_sub(messages.len() as u64, Ordering::Relaxed);
                each_ns.push(asked.elapsed().as_nanos() as u64);
            }
            consumer.settled().await.expect("the engine goes on");
            each_ns
        }));
    }
    let mut each_ns = Vec::new();
    for consumer in consuming {
        each_ns.append(&mut consumer.await.expect("no consumer panics"));
    }
    let count = CONSUMED - left.load(Ordering::Relaxed);
    Load { count, took: begun.elapsed(), each_ns }
}

pub async fn publish(engine: &Embedded, number: u64, payload: Bytes) {
    let message = Message::new(payload).partition((number % 8) as u32);
    let topic = engine.topic("orders").expect("it can be read");
    topic.publish(message).await.expect("it is taken");
}

async fn put(engine: &Embedded, item: u64, payload: Bytes) {
    let items = engine.kv("items").expect("it can be read");
    items.put(format!("key-{item}"), payload, Write::default()).await.expect("it is taken");
}

async fn get(engine: &Embedded, item: u64) {
    let key = format!("key-{item}");
    let items = engine.kv("items").expect("it can be read");
    let found = items.get(key.as_bytes()).await.expect("it can be read");
    assert_eq!(found.map(|item| item.value.len()), Some(PAYLOAD_BYTES), "{key} is not there");
}

async fn append(engine: &Embedded, number: u64, version: u64, payload: Bytes) {
    let expected = if version == 0 { Expected::NoStream(()) } else { Expected::Version(version) };
    let streams = engine.streams("orders").expect("it can be read");
    let event = NewEvent::new("paid", payload);
    let appended = streams.append(&format!("order-{number}"), Some(expected), [event]).await;
    appended.expect("the version is as expected");
}

/// Messages that are there to be consumed.
const CONSUMED: u64 = 1_000_000;
const FILLERS: u64 = 500;
/// How many a consumer asks for at a time.
const CONSUME_BATCH: usize = 256;
/// The last may have been taken by another.
const CONSUME_WAIT: Duration = Duration::from_millis(20);
