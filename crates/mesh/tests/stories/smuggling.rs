//! Request smuggling and its relatives, as published: each vector goes through a real gateway to a server
//! that writes down what came. Whatever a client sends, no request may come out that it did not make,
//! and none whose end two servers could see in two places.

use std::sync::{Arc, Mutex};

use mesh::config::Protocol;

use crate::world::frames::*;
use crate::world::vectors::Vector;
use crate::world::{Answer, Server, Wire, World, call, ms, soon};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n";
/// The honest request that comes behind, over another connection.
const HONEST: &str = "GET /honest HTTP/1.1\r\nHost: shop\r\n\r\n";

/// What a server got: method, target and body of each request.
type Record = Arc<Mutex<Vec<String>>>;

/// A server that reads strictly and complains about what could be read otherwise.
async fn recording() -> (Server, Record) {
    let record = Record::default();
    let written = record.clone();
    let server = Server::scripted(move |mut served| {
        let record = written.clone();
        async move {
            while let Some(seen) = served.request().await {
                let all = |name: &str| {
                    let lines = seen.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
                    lines.map(|(_, value)| value.clone()).collect::<Vec<_>>()
                };
                let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
                let sound = lengths.len() + codings.len() <= 1
                    && lengths.iter().all(|length| length.bytes().all(|byte| byte.is_ascii_digit()))
                    && codings.iter().all(|coding| coding == "chunked")
                    && all("host").len() == 1
                    && all("expect").is_empty()
                    && all("upgrade").is_empty();
                let body = served.wire.body_of(&seen).await;
                let (whole, trailers) = body.unwrap_or_else(|| (b"(broken off)".to_vec(), Vec::new()));
                let framed = trailers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                let body = String::from_utf8_lossy(&whole).into_owned();
                let doubt = if sound && !framed { "" } else { "DOUBTFUL " };
                record.lock().unwrap().push(format!("{doubt}{} {} {body}", seen.method, seen.target));
                served.text("200 OK", &seen.target).await;
            }
        }
    })
    .await;
    (server, record)
}

/// What came, but for requests whose body broke off, which no server takes for whole.
fn came(record: &Record) -> Vec<String> {
    let all = std::mem::take(&mut *record.lock().unwrap());
    all.into_iter().filter(|request| !request.ends_with("(broken off)")).collect()
}

/// What should come of a vector.
fn wanted(want: &str) -> Vec<String> {
    match want.strip_prefix("forwarded ") {
        Some(requests) => requests.split(" + ").map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

/// Checks what came, and that an honest client's request is answered by its own answer.
async fn check(world: &World, record: &Record, vector: &Vector, answered: &str) -> Result<(), String> {
    let (came, wanted) = (came(record), wanted(&vector.text("want")));
    let honest = world.ask(HONEST).await.text();
    record.lock().unwrap().clear();
    match came == wanted && honest == "/honest" {
        true => Ok(()),
        false => Err(format!(
            "{} (from: {})\n  came {came:?}\n  not  {wanted:?}\n  answered {answered:?}\n  then {honest}",
            vector.text("name"),
            vector.text("from")
        )),
    }
}

fn report(failed: Vec<String>) {
    assert!(failed.is_empty(), "{} vectors failed:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test]
async fn requests_of_http1() {
    let (server, record) = recording().await;
    let world = World::of(&server).await;
    let mut failed = Vec::new();
    for vector in Vector::all("requests.txt") {
        let want = vector.text("want");
        let mut wire = world.wire().await;
        wire.send(vector.bytes("send").expect("bytes")).await;
        if !want.starts_with("forwarded") {
            wire.try_send(SMUGGLED).await;
        }
        let answered = match wanted(&want).len() {
            0 => wire.rest_or(ms(2000)).await,
            count => until_answers(&mut wire, count).await,
        };
        let status = want.split(' ').nth(1).unwrap_or("400");
        let refused = answered.starts_with(&format!("HTTP/1.1 {status} ")) && !answered.contains("smuggled");
        if !want.starts_with("forwarded") && !refused {
            failed.push(format!("{}: {answered:?}", vector.text("name")));
        }
        if let Err(why) = check(&world, &record, &vector, &answered).await {
            failed.push(why);
        }
    }
    report(failed);
}

/// Reads so many successes, and what comes behind them.
async fn until_answers(wire: &mut Wire, count: usize) -> String {
    let mut all = String::new();
    for _ in 0..100 {
        all += &wire.rest_or(ms(20)).await;
        if all.matches("HTTP/1.1 200 ").count() >= count {
            break;
        }
    }
    all
}

#[tokio::test]
async fn requests_of_http2_to_a_server_of_http1() {
    let (server, record) = recording().await;
    let world = World::of(&server).await;
    let mut failed = Vec::new();
    for vector in Vector::all("http2.txt") {
        let mut wire = world.wire().await;
        wire.greet(&[]).await;
        let (data, trailers) = (vector.bytes("data"), vector.pairs("trailer"));
        let block = |pairs: Vec<(&[u8], &[u8])>| -> Vec<u8> {
            pairs.into_iter().flat_map(|(name, value)| literal(name, value)).collect()
        };
        let end = |last: bool| if last { END_STREAM } else { 0 };
        let mut frames = frame(HEADERS, END_HEADERS | end(data.is_none()), 1, &block(vector.pairs("field")));
        if let Some(data) = data {
            frames.extend(frame(DATA, end(trailers.is_empty()), 1, data));
        }
        if !trailers.is_empty() {
            frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers)));
        }
        wire.send(frames).await;
        let answered = outcome(&mut wire).await;
        let want = vector.text("want");
        let right = match want.starts_with("forwarded") {
            true => answered == "200",
            false => matches!(answered.as_str(), "400" | "reset" | "ended") || want.ends_with(&answered),
        };
        if !right {
            failed.push(format!("{}: {answered}", vector.text("name")));
        }
        if let Err(why) = check(&world, &record, &vector, &answered).await {
            failed.push(why);
        }
    }
    report(failed);
}

/// The status of the answer on stream 1, or how it ended without.
async fn outcome(wire: &mut Wire) -> String {
    soon("an outcome", async {
        while let Some(frame) = wire.frame().await {
            match (frame.kind, frame.stream) {
                (HEADERS, 1) => return status(&frame.payload),
                (RST_STREAM, 1) => return "reset".to_owned(),
                (GOAWAY, _) => return "ended".to_owned(),
                _ => {}
            }
        }
        "ended".to_owned()
    })
    .await
}

/// `:status`, which comes first: by the static table, or as a literal whose name is in it.
fn status(block: &[u8]) -> String {
    let table = ["200", "204", "206", "304", "400", "404", "500"];
    let first = block.iter().position(|byte| !(0x20..0x40).contains(byte)).expect("a field");
    match block[first] {
        indexed @ 0x88..=0x8e => table[usize::from(indexed - 0x88)].to_owned(),
        _ => format!("a literal {:?}", &block[first..first + 6]),
    }
}

#[tokio::test]
async fn answers_of_http1() {
    let mut failed = Vec::new();
    for vector in Vector::all("answers.txt") {
        let times = vector.text("times").parse().unwrap_or(1);
        let bytes = vector.bytes("send").expect("bytes").repeat(times);
        let ends = vector.text("want").starts_with("broken") || !bytes.ends_with(b"\n") && bytes.len() < 40;
        let server = Server::scripted(move |mut served| {
            let bytes = bytes.clone();
            async move {
                while let Some(seen) = served.request().await {
                    if seen.target == "/honest" {
                        served.text("200 OK", "/honest").await;
                        continue;
                    }
                    served.wire.try_send(&bytes).await;
                    if ends {
                        return;
                    }
                }
            }
        })
        .await;
        let mut world = World::new();
        world.upstream("shop", Protocol::Http1, &[]);
        world.route("/**", call("shop"));
        world.edge().limits.body_idle = ms(2000);
        let world = world.start(&[&server]).await;
        let mut wire = world.wire().await;
        let method = if vector.text("to").is_empty() { "GET".to_owned() } else { vector.text("to") };
        wire.send(format!("{method} / HTTP/1.1\r\nHost: shop\r\n\r\n")).await;
        let outcome = read(&mut wire, &method).await;
        if outcome != vector.text("want") {
            failed.push(format!("{}: {outcome:?}", vector.text("name")));
        }
        // Nobody gets what was left behind.
        for _ in 0..2 {
            let honest = world.ask(HONEST).await.text();
            if honest != "/honest" {
                failed.push(format!("{}: then {honest:?}", vector.text("name")));
            }
        }
    }
    report(failed);
}

/// An answer as `answer STATUS BODY`, `problem STATUS NAME`, or `broken STATUS`.
async fn read(wire: &mut Wire, method: &str) -> String {
    let mut head = wire.head().await;
    let lengths = |head: &Answer| {
        let framing = |name: &String| ["content-length", "transfer-encoding"].contains(&name.as_str());
        head.headers.iter().filter(|(name, _)| framing(&name.to_ascii_lowercase())).count()
    };
    while (100..200).contains(&head.status) {
        if lengths(&head) > 0 {
            return format!("doubtful: {:?}", head.headers);
        }
        head = wire.head().await;
    }
    let status = head.status;
    if method == "HEAD" || matches!(status, 204 | 304) {
        return format!("answer {status} ");
    }
    if lengths(&head) > 1 {
        return format!("doubtful: {:?}", head.headers);
    }
    let body = soon("a body", async {
        match head.header("content-length") {
            Some(length) => wire.take(length.parse().expect("a length")).await,
            None => wire.chunks().await.map(|(body, trailers)| {
                assert!(trailers.is_empty(), "{trailers:?}");
                body
            }),
        }
    })
    .await;
    let Some(body) = body else { return format!("broken {status}") };
    let text = String::from_utf8_lossy(&body).into_owned();
    match text.split_once("urn:colony:problem:") {
        Some((_, rest)) => format!("problem {status} {}", rest.split('"').next().unwrap_or_default()),
        None => format!("answer {status} {text}"),
    }
}
