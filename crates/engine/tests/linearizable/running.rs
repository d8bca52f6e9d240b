//! What a running engine answers to several clients at once is linearizable. Some of them do not wait for the
//! answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::store::Fjall;
use engine::{Config, Engine, Error, System};
use log::Memory;
use machine::command::Answer;
use machine::{Code, Entry, Refusal, Reply, Shard, kv, lock, queue};

use super::check::{Recorder, check, check_each, lock as locks, queue as queues, register};

const SHARD: Shard = Shard(5);
const CLIENTS: u32 = 4;
const OPERATIONS: usize = 150;

/// An engine, and the folder of its store.
struct World {
    engine: Engine<Memory, Fjall>,
    _folder: tempfile::TempDir,
}

/// A client: what it asks for, and whether it waits, is by its chance.
struct Client {
    world: Arc<World>,
    number: u32,
    chance: u64,
}

impl Client {
    /// Xorshift (Marsaglia, 2003): good enough to be different.
    fn below(&mut self, end: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % end
    }

    /// The answer, if the client waits for it and it says what happened.
    async fn ask(&mut self, entry: Entry) -> Option<Result<Reply, Refusal>> {
        let patience = if self.below(20) == 0 { Duration::ZERO } else { Duration::from_secs(30) };
        match tokio::time::timeout(patience, self.world.engine.propose(SHARD, entry)).await {
            Ok(Ok(reply)) => Some(Ok(reply)),
            Ok(Err(Error::Refused(refusal))) => Some(Err(refusal)),
            Ok(Err(other)) => panic!("the engine has failed: {other:?}"),
            Err(_) => None,
        }
    }
}

/// Has clients do something many times, at once.
async fn run<F: Future<Output = ()> + Send + 'static>(each: impl Fn(Client) -> F) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let store = Arc::new(Fjall::open(folder.path(), 1 << 20).expect("the store opens"));
    let engine =
        Engine::open(Config::default(), Arc::new(Memory::default()), store, System).expect("it opens");
    let world = Arc::new(World { engine, _folder: folder });
    let client = |number| Client { world: Arc::clone(&world), number, chance: 77 + u64::from(number) };
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(each(client(number)))).collect();
    for client in clients {
        client.await.expect("no client panics");
    }
}

fn history<C, A>(recorder: Arc<Recorder<C, A>>) -> Vec<super::Operation<C, A>> {
    Arc::into_inner(recorder).expect("no client is left").into_history()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_of_key_value_state() {
    let recorder = Arc::new(Recorder::new());
    run(|mut client| {
        let recorder = Arc::clone(&recorder);
        async move {
            let mut etag = 0;
            for _ in 0..OPERATIONS {
                read_or_write(&mut client, &recorder, &mut etag).await;
            }
        }
    })
    .await;
    check_each(&register::Register, &history(recorder)).unwrap_or_else(|failure| panic!("{failure}"));
}

async fn read_or_write(
    client: &mut Client,
    recorder: &Recorder<(u64, register::Call), register::Answer>,
    etag: &mut u64,
) {
    use register::{Answer as Is, Call};
    let (key, value, number) = (client.below(3), client.below(1_000), client.number);
    let (store, name) = ("store".to_owned(), Bytes::from(format!("key {key}")));
    let wanted = (client.below(2) == 0).then_some(*etag);
    let (call, entry) = match client.below(10) {
        0..5 => {
            let called = recorder.call(number, (key, Call::Read));
            let item = client.world.engine.read(SHARD, |state, now| kv::get(state, &store, "", &name, now));
            let item = item.expect("it can be read").map(|item| {
                let value = item.value.inline.expect("eight bytes are kept in line");
                (u64::from_be_bytes(value.as_ref().try_into().expect("eight bytes")), item.etag)
            });
            *etag = item.map_or(0, |(_, etag)| etag);
            return recorder.answer(called, Is::Is(item));
        }
        5..9 => {
            let put = kv::Put { store, key: name, etag: wanted, ..kv::Put::default() };
            let entry = Entry::new(put).with_body(Bytes::copy_from_slice(&value.to_be_bytes()));
            (Call::Write { value, etag: wanted }, entry)
        }
        _ => {
            let delete = kv::Delete { store, key: name, etag: wanted, ..kv::Delete::default() };
            (Call::Delete { etag: wanted }, Entry::new(delete))
        }
    };
    let called = recorder.call(number, (key, call));
    let Some(outcome) = client.ask(entry).await else { return };
    let answer = match outcome.map(|reply| reply.answer) {
        Ok(Some(Answer::Kv(reply))) if reply.etag > 0 => Is::Written(reply.etag),
        Ok(_) => Is::Deleted,
        Err(refusal) if refusal.code() == Code::Conflict => Is::Refused,
        Err(refusal) => panic!("{refusal}"),
    };
    recorder.answer(called, answer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock() {
    let recorder = Arc::new(Recorder::new());
    run(|mut client| {
        let recorder = Arc::clone(&recorder);
        async move {
            let mut token = None;
            for _ in 0..OPERATIONS {
                lock_or_unlock(&mut client, &recorder, &mut token).await;
            }
        }
    })
    .await;
    check(&locks::Lock, &history(recorder)).unwrap_or_else(|failure| panic!("{failure}"));
}

async fn lock_or_unlock(
    client: &mut Client,
    recorder: &Recorder<locks::Call, locks::Answer>,
    token: &mut Option<u64>,
) {
    use locks::{Answer as Is, Call};
    let (number, ttl_ms) = (client.number, 1 + client.below(20));
    let (store, name, owner) = ("store".to_owned(), "lock".to_owned(), format!("client {number}"));
    let scope = String::new();
    let (call, entry) = match (*token, client.below(3)) {
        (None, _) => {
            let entry = Entry::new(lock::TryLock { store, scope, name, owner, ttl_ms });
            (Call::TryLock { owner: number, ttl_ms }, entry)
        }
        (token, 0) => {
            let entry = Entry::new(lock::Extend { store, scope, name, owner, token, ttl_ms });
            (Call::Extend { owner: number, token, ttl_ms }, entry)
        }
        (token, _) => {
            let entry = Entry::new(lock::Unlock { store, scope, name, owner, token });
            (Call::Unlock { owner: number, token }, entry)
        }
    };
    let called = recorder.call(number, call);
    *token = None;
    let Some(outcome) = client.ask(entry).await else { return };
    let answer = match outcome.map(|reply| reply.answer) {
        Ok(Some(Answer::Lock(reply))) if reply.held => {
            *token = Some(reply.token);
            Is::Held { token: reply.token, until_ms: reply.expires_ms }
        }
        Ok(Some(Answer::Lock(reply))) if reply.expires_ms > 0 => Is::Taken { until_ms: reply.expires_ms },
        Ok(_) => Is::Unlocked,
        Err(refusal) if refusal.code() == Code::NotFound => Is::NotHeld,
        Err(refusal) if refusal.code() == Code::Fenced => Is::Fenced,
        Err(refusal) => panic!("{refusal}"),
    };
    recorder.answer(called, answer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue() {
    let recorder = Arc::new(Recorder::new());
    run(|mut client| {
        let recorder = Arc::clone(&recorder);
        async move {
            let mut hand = BTreeMap::new();
            for at in 0..OPERATIONS {
                let item = u64::from(client.number) * 1_000_000 + at as u64;
                send_or_receive(&mut client, &recorder, item, &mut hand).await;
            }
        }
    })
    .await;
    check(&queues::Queue, &history(recorder)).unwrap_or_else(|failure| panic!("{failure}"));
}

async fn send_or_receive(
    client: &mut Client,
    recorder: &Recorder<queues::Call, queues::Answer>,
    item: u64,
    hand: &mut BTreeMap<u64, queue::Receipt>,
) {
    use queues::{Answer as Is, Call};
    let (name, visibility_ms) = ("queue".to_owned(), 1 + client.below(20));
    let (call, entry) =
        match (client.below(5), hand.first_key_value().map(|(item, receipt)| (*item, *receipt))) {
            (0 | 1, Some((item, receipt))) => {
                hand.remove(&item);
                let done = queue::Acknowledge { queue: name, receipts: vec![receipt], all: false };
                (Call::Acknowledge { item, lease: receipt.lease }, Entry::new(done))
            }
            (2 | 3, _) => {
                let consumer = format!("client {}", client.number);
                let entry = Entry::new(queue::Receive { queue: name, consumer, max: 1, visibility_ms });
                (Call::Receive { visibility_ms }, entry)
            }
            _ => {
                let send = queue::Send { queue: name, items: vec![queue::SendItem::default()] };
                (Call::Send { item }, Entry::new(send).with_body(Bytes::copy_from_slice(&item.to_be_bytes())))
            }
        };
    let called = recorder.call(client.number, call);
    let Some(outcome) = client.ask(entry).await else { return };
    let answer = match outcome.map(|reply| reply.answer) {
        Err(refusal) if refusal.code() == Code::Fenced => Is::Fenced,
        Ok(Some(Answer::Queue(queue::Reply { answer: Some(answer) }))) => answer_of(answer, hand),
        other => panic!("another answer: {other:?}"),
    };
    recorder.answer(called, answer);
}

fn answer_of(answer: queue::Answer, hand: &mut BTreeMap<u64, queue::Receipt>) -> queues::Answer {
    use queues::Answer as Is;
    match answer {
        queue::Answer::Sent(_) => Is::Sent,
        queue::Answer::Settled(settled) if settled.fenced.is_empty() => Is::Done,
        queue::Answer::Settled(_) => Is::Fenced,
        queue::Answer::Received(received) => received.items.first().map_or(Is::Nothing, |work| {
            let item = work.body.inline.as_ref().expect("eight bytes are kept in line");
            let item = u64::from_be_bytes(item.as_ref().try_into().expect("eight bytes"));
            hand.insert(item, work.receipt);
            Is::Handed { item, lease: work.receipt.lease, until_ms: work.until_ms }
        }),
        other => panic!("another answer: {other:?}"),
    }
}
