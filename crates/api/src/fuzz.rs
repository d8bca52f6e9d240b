//! What must hold of any bytes that a program may send, for the fuzz targets in `fuzz`: each function takes bytes and panics if something
//! does not hold. The tests play the corpus, and what chance makes of it.
//!
//! Requests are answered by all of the API over an engine of its own, in this thread and without a socket, so that what decodes is met as
//! it is in earnest, and what it makes of its bytes reaches the engine.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use components::pubsub::{Delivery, Message, Receipt};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::body::Body;

use crate::config::Config;
use crate::expression::{self, Expression};
use crate::host::Host;
use crate::instance::Instance;
use crate::pubsub::{CLOUD_EVENT, Event, JSON, Wishes, media};
use crate::subscription::{self, Knobs, Origin, Route, Routes, Subscription, event};

/// A sidecar that nobody reaches but who is in this thread.
struct World {
    runtime: Runtime,
    instance: Arc<Instance>,
    host: Arc<Host>,
    _dir: TempDir,
}

thread_local! {
    static WORLD: RefCell<Option<(World, u32)>> = const { RefCell::new(None) };
}

/// In a world, and after many times in another, so that what is kept in one does not fill the disk.
fn in_world(ask: impl FnOnce(&World)) {
    WORLD.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(_, asked)| *asked >= ASKED_MAX) {
            if let Some((world, _)) = slot.take() {
                drop(world.instance);
                world.host.close();
            }
            *slot = Some((World::new(), 0));
        }
        if let Some((world, asked)) = slot {
            *asked += 1;
            ask(world);
        }
    });
}

impl World {
    fn new() -> World {
        let dir = match std::env::var_os("TMPDIR") {
            Some(_) => tempfile::tempdir(),
            // Where nothing waits for a disk.
            None => tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()),
        };
        let dir = dir.expect("a folder");
        let config = engine::Config { shards: 2, workers: 1, ..engine::Config::default() };
        let disk = engine::Embedded::open_in(dir.path(), config).expect("opened");
        let config = Config { body_bytes_max: 8 << 10, ..Config::new("shop") };
        let host = Host::new(disk, engine::Config::default());
        let instance = host.join(config, Box::new(|_| {})).expect("joined");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        World { runtime, instance, host, _dir: dir }
    }

    /// What is answered to these bytes, as far as it comes at once.
    fn ask(&self, bytes: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let (mut near, far) = tokio::io::duplex(64 << 10);
            let served = crate::server::serve_one(far, Arc::clone(&self.instance));
            let asked = async {
                near.write_all(bytes).await.expect("there is room for all of it");
                let (mut answer, mut piece) = (Vec::new(), [0; 16 << 10]);
                // Who follows a stream reads on and on.
                while let Ok(Ok(count @ 1..)) = timeout(PATIENCE, near.read(&mut piece)).await {
                    answer.extend_from_slice(&piece[..count]);
                }
                answer
            };
            let mut asked = pin!(asked);
            tokio::select! {
                biased;
                answer = &mut asked => answer,
                () = served => asked.await,
            }
        })
    }
}

/// Lines of a head up to an empty one, then a body: a request that is answered, and if it is refused, as the API refuses.
pub fn request(bytes: &[u8]) {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &b""[..]),
    };
    if reaches_out(head) {
        return;
    }
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut request = lines.next().unwrap_or_default().to_vec();
    request.extend_from_slice(b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    request.extend_from_slice(format!("{}: {DEADLINE_MS}\r\n", crate::deadline::HEADER).as_bytes());
    for line in lines.take(16) {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    in_world(|world| check_answer(&world.ask(&request)));
}

/// Calls of others would be made in earnest.
fn reaches_out(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    ["invoke", "dapr-app-id", "authorization", "upgrade"].iter().any(|word| head.contains(word))
}

fn check_answer(answer: &[u8]) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else { return assert!(answer.is_empty(), "half a head: {}", answer.escape_ascii()) };
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let status: u16 = head.get(9..12).and_then(|text| text.parse().ok()).expect("a status");
    // What is no HTTP is refused without a word.
    if status < 400 || body.is_empty() {
        return;
    }
    let told: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {head}"));
    assert!(told["message"].is_string(), "an error without a message: {told}");
}

/// A method by its number, and the message that it is called with.
pub fn call(bytes: &[u8]) {
    let Some((number, message)) = bytes.split_first() else { return };
    let all =
        METHODS.iter().flat_map(|(service, methods)| methods.iter().map(move |method| (service, method)));
    let Some((service, method)) = all.clone().nth(usize::from(*number) % all.count()) else { return };
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let request = http::Request::post(format!("/{service}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(frame.freeze())))
        .expect("a request");
    in_world(|world| {
        world.runtime.block_on(async {
            let api = world.instance.api();
            let answered = timeout(PATIENCE, crate::grpc::answer_one(&api, request));
            let Ok(response) = answered.await else { return };
            let (head, body) = response.into_parts();
            let trailers = match timeout(STREAM_PATIENCE, body.collect()).await {
                Ok(Ok(body)) => body.trailers().cloned().unwrap_or_default(),
                _ => return,
            };
            let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
            assert!(status.is_some(), "{method} is answered without a status");
        });
    });
}

/// An event that is published, and one that lies with a broker.
pub fn event(bytes: &[u8]) {
    published(bytes);
    brought(bytes, |_| {});
}

/// A content type, metadata and data, each a line: wrapped it is a CloudEvent, and unwrapped what it was.
fn published(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let content_type = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let metadata = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let data = parts.next().unwrap_or_default();
    let pairs = metadata.split('&').filter_map(|pair| pair.split_once('='));
    let metadata = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let wishes = Wishes::of(&metadata);
    let event = Event {
        id: "1",
        app_id: "shop",
        pubsub: "pubsub",
        topic: "topic",
        content_type: &content_type,
        data,
        traceparent: "",
        tracestate: "",
        baggage: "",
        wishes: &wishes,
        now_ms: 1,
    };
    let Ok(wrapped) = event.wrap() else {
        return assert!(media(&content_type).eq_ignore_ascii_case(CLOUD_EVENT));
    };
    let is_event = media(&content_type).eq_ignore_ascii_case(CLOUD_EVENT);
    let read: BTreeMap<String, &RawValue> = serde_json::from_slice(&wrapped).expect("an object");
    assert!(is_event || read["specversion"].get() == r#""1.0""#);
    // What says that it is JSON and is none is text.
    let is_odd =
        media(&content_type).eq_ignore_ascii_case(JSON) && serde_json::from_slice::<&RawValue>(data).is_err();
    brought(&wrapped, |apart| {
        let text = std::str::from_utf8(data);
        // What is no text comes as one unless its type says so, and around JSON space is left out.
        if !is_event && !is_odd && text.is_ok_and(|text| text.trim() == text) && !data.is_empty() {
            assert_eq!(apart.escape_ascii().to_string(), data.escape_ascii().to_string());
        }
    });
}

/// What lies with a broker that others may publish to: brought over either protocol or not, by rules or not.
fn brought(bytes: &[u8], of_data: impl Fn(&[u8])) {
    let message = Message {
        data: Bytes::copy_from_slice(bytes),
        content_type: CLOUD_EVENT.to_owned(),
        ..Message::default()
    };
    let delivery = Delivery { message, ..delivery() };
    for raw in [false, true] {
        let mut subscription = subscription();
        subscription.knobs.raw = raw;
        let whole = event::whole(&delivery, &subscription);
        let _ = subscription::aim(&subscription, &delivery, jiff::Timestamp::now);
        let _ = event::seen(&delivery, &subscription);
        if let Ok(request) = event::taken_apart(&delivery, &subscription, &Route::new("/r")) {
            let _: &RawValue = serde_json::from_slice(&whole).expect("what can be taken apart is JSON");
            if !raw {
                of_data(&request.data);
            }
        }
    }
}

fn delivery() -> Delivery {
    Delivery {
        receipt: Receipt(1, 1),
        message: Message::default(),
        attempt: 1,
        published: SystemTime::UNIX_EPOCH,
    }
}

fn subscription() -> Subscription {
    Subscription {
        pubsub: "pubsub".to_owned(),
        topic: "topic".to_owned(),
        routes: Routes::all_to(Route::new("/r")),
        dead_letter: None,
        metadata: BTreeMap::new(),
        knobs: Knobs::default(),
        bulk: None,
        origin: Origin::Programmatic,
    }
}

/// A condition, a line, and the event that it is asked about: it is refused, or holds, or not, or that cannot be said.
pub fn condition(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (condition, json) = text.split_once('\n').unwrap_or((&text, "{}"));
    let Ok(condition) = Expression::new(condition, "event") else { return };
    if let Ok(event) = serde_json::from_str(json) {
        let _ = condition.holds(&expression::value(event));
    }
}

/// What an application answers: which topics it subscribes to, and what came of events.
pub fn answer(bytes: &[u8]) {
    let _ = subscription::told::of_json(bytes);
    let _ = subscription::answer::of_http(200, bytes);
    let entries: Vec<String> = ["1", "2"].map(str::to_owned).into();
    let verdicts = subscription::answer::of_http_bulk(200, bytes, &entries);
    assert_eq!(verdicts.len(), entries.len(), "each entry has one outcome");
}

/// After how many requests another engine is begun.
const ASKED_MAX: u32 = 20_000;
/// How long an answer is waited for, which with nobody else asking comes at once.
const PATIENCE: Duration = Duration::from_millis(DEADLINE_MS * 4);
const DEADLINE_MS: u64 = 50;
/// How long the end of an answer is waited for that has begun: what does not end at once is a stream.
const STREAM_PATIENCE: Duration = Duration::from_millis(20);
/// The methods that are called; the corpus names them by their numbers, so new ones come last.
const METHODS: [(&str, &[&str]); 4] = [
    (
        "dapr.proto.runtime.v1.Dapr",
        &[
            "GetState",
            "GetBulkState",
            "SaveState",
            "DeleteState",
            "DeleteBulkState",
            "ExecuteStateTransaction",
            "PublishEvent",
            "BulkPublishEvent",
            "SubscribeTopicEventsAlpha1",
            "GetSecret",
            "GetBulkSecret",
            "InvokeBinding",
            "TryLockAlpha1",
            "UnlockAlpha1",
            "GetConfiguration",
            "SubscribeConfiguration",
            "UnsubscribeConfiguration",
            "ScheduleJob",
            "GetJob",
            "DeleteJob",
            "DeleteJobsByPrefix",
            "ListJobs",
            "GetMetadata",
            "SetMetadata",
        ],
    ),
    (
        "colony.v1.Queues",
        &[
            "Define",
            "Get",
            "List",
            "Send",
            "Receive",
            "Work",
            "Acknowledge",
            "Nack",
            "Release",
            "Extend",
            "Peek",
            "GetItem",
            "Cancel",
            "Purge",
            "Pause",
            "Resume",
            "Redrive",
        ],
    ),
    (
        "colony.v1.Streams",
        &[
            "Define",
            "Get",
            "Append",
            "Read",
            "Subscribe",
            "SaveSnapshot",
            "GetSnapshot",
            "Truncate",
            "Delete",
            "GetProjection",
            "SetProjection",
        ],
    ),
    (
        "colony.v1.Topics",
        &["List", "Get", "Read", "GetGroup", "DefineGroup", "DeleteGroup", "Seek", "ListFailed", "Resolve"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Rng;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn play(target: &str, run: fn(&[u8])) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let entries =
            std::fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("an entry").path());
        let mut corpus: Vec<Vec<u8>> = entries.map(|path| std::fs::read(path).expect("readable")).collect();
        corpus.sort();
        corpus.iter().for_each(|bytes| run(bytes));
        let mut rng = Rng::new(0);
        for _ in 0..ROUNDS {
            let mut bytes = pick(&corpus, &mut rng).clone();
            for _ in 0..1 + rng.next_u64() % 4 {
                change(&mut bytes, pick(&corpus, &mut rng), &mut rng);
            }
            let held = catch_unwind(AssertUnwindSafe(|| run(&bytes)));
            assert!(held.is_ok(), "something does not hold of {}", bytes.escape_ascii());
        }
    }

    fn pick<'a>(corpus: &'a [Vec<u8>], rng: &mut Rng) -> &'a Vec<u8> {
        &corpus[(rng.next_u64() % corpus.len() as u64) as usize]
    }

    /// Changes, takes away or puts in something, of another input or such as often goes wrong.
    fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
        let mut below = |most: usize| (rng.next_u64() % (most as u64 + 1)) as usize;
        let (from, length) = (below(bytes.len()), below(8));
        let to = (from + length).min(bytes.len());
        match below(4) {
            0 => drop(bytes.drain(from..to)),
            1 => {
                let at = below(other.len());
                let end = (at + below(64)).min(other.len());
                drop(bytes.splice(from..to, other[at..end].iter().copied()));
            }
            2 => {
                let odd = ODD[below(ODD.len() - 1)];
                drop(bytes.splice(from..from, odd.iter().copied()));
            }
            3 => {
                let again = bytes[from..to].to_vec();
                drop(bytes.splice(from..from, again));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = below(255) as u8;
                }
            }
        }
    }

    #[test]
    fn requests_are_answered_whatever_they_are() {
        play("api_request", request);
    }

    #[test]
    fn calls_are_answered_whatever_they_are() {
        play("api_call", call);
    }

    #[test]
    fn events_are_wrapped_and_taken_apart_whatever_they_are() {
        play("api_event", event);
    }

    #[test]
    fn conditions_are_read_whatever_they_are() {
        play("api_condition", condition);
    }

    #[test]
    fn answers_of_applications_are_understood_whatever_they_are() {
        play("api_answer", answer);
    }

    /// How often chance changes an input.
    const ROUNDS: u64 = 300;
    const ODD: [&[u8]; 12] = [
        b"%00",
        b"\0",
        b"\n",
        b"%ff",
        b"\xff",
        b"null",
        b"-1",
        b"1e999",
        b"18446744073709551616",
        b"[[[[[[[[",
        b"\"\\ud800\"",
        b"||",
    ];
}
