//! A folder with a job, a lock, timers and settings in it, made by the engine.

use std::path::Path;

use engine::{Config, Embedded};
use machine::changes::Keep;
use machine::topic::{DeadLetter, Failing, GivenUp, NewMessage};
use machine::{Command, Entry, Shard, job, kv, lock, queue, stream, topic};
use serde_json::Value;

pub fn fill(folder: &Path) {
    let engine = Embedded::open_in(folder, Config::default()).expect("it opens");
    let shards = engine.shards();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let propose = |shard: u32, entry: Entry| {
        runtime.block_on(engine.propose(Shard(shard), entry)).expect("it is taken");
    };
    let publish = topic::Publish { topic: "bills".to_owned(), partition: 0, message: NewMessage::new(0) };
    let put = job::Put {
        scope: "billing".to_owned(),
        name: "monthly".to_owned(),
        schedule: Some(job::schedule("0 0 3 1 * *").expect("a schedule")),
        runs_max: 12,
        target: topic::shard(shards, "bills", 0).0,
        command: Box::new(Command::from(publish)),
        bodies: vec![0],
        ..job::Put::default()
    };
    propose(0, Entry::new(put).with_body(&b"pay"[..]));
    let try_lock = lock::TryLock {
        store: "locks".to_owned(),
        scope: "billing".to_owned(),
        name: "leader".to_owned(),
        owner: "billing-1".to_owned(),
        ttl_ms: 3_600_000,
    };
    propose(1, Entry::new(try_lock));
    let keep = Keep { count: 1000, age_ms: 0, values: true };
    propose(2, Entry::new(kv::Define { store: "carts".to_owned(), changes: Some(keep), spread: false }));
    let failing = Failing {
        attempts_max: Some(3),
        given_up: GivenUp::DeadLetter as i32,
        dead_letter: Some(DeadLetter::new("orders-dead", 4, shards)),
        ..Failing::default()
    };
    let settings =
        topic::Settings { partitions: Some(4), failing: Some(failing), ..topic::Settings::default() };
    propose(3, Entry::new(topic::Define { topic: "orders".to_owned(), settings }));
    let group = topic::DefineGroup {
        topic: "orders".to_owned(),
        group: "shipping".to_owned(),
        failing: Some(Failing { given_up: GivenUp::Skip as i32, ..Failing::default() }),
    };
    propose(3, Entry::new(group));
    let rate = queue::Rate { count: 10, per_ms: 1000, burst: 20 };
    let settings = queue::Settings { attempts_max: 5, rate: Some(rate), ..queue::Settings::default() };
    propose(4, Entry::new(queue::Define { queue: "mails".to_owned(), settings }));
    let settings = stream::Settings { count_max: 500, ..stream::Settings::default() };
    propose(5, Entry::new(stream::Define { store: "accounts".to_owned(), settings }));
    engine.close();
}

/// Times since the epoch, which differ from run to run.
pub fn without_times(line: &mut Value) {
    match line {
        Value::Number(number) if number.as_u64().is_some_and(|number| number > 1_000_000_000_000) => {
            *line = Value::from("TIME");
        }
        Value::Object(object) => object.values_mut().for_each(without_times),
        Value::Array(array) => array.iter_mut().for_each(without_times),
        _ => {}
    }
}
