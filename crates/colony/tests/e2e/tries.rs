//! What happens with time and tries on a call, against servers that take their time on purpose.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::world::{World, listening, request};

/// A server that answers with the `x-request-deadline` that it got, after a while, and counts.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn after(wait: Duration) -> Server {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        Server { address: listening(move |stream| answer_all(stream, wait, &counted)), requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer_all(mut stream: TcpStream, wait: Duration, requests: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
    loop {
        let (mut line, mut told) = (String::new(), String::from("none"));
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("x-request-deadline:") {
                told = value.trim().to_owned();
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(wait);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{told}", told.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn left(told: &str) -> u64 {
    told.split(';').next().and_then(|left| left.parse().ok()).unwrap_or_else(|| panic!("told {told}"))
}

/// Where a listener is.
fn address(world: &World, name: &str) -> String {
    let status = world.status();
    let listeners = status["listeners"].as_array().expect("listeners");
    let found = listeners.iter().find(|listener| listener["name"] == name);
    found.and_then(|listener| listener["address"].as_str()).expect("an address").to_owned()
}

#[test]
fn a_deadline_shrinks_from_the_gateway_through_a_sidecar_to_whom_it_may_concern() {
    let (quick, slow) = (Server::after(Duration::ZERO), Server::after(Duration::from_secs(5)));
    let world = World::up(&format!(
        "name: time
gateway:
  listen: 127.0.0.1:0
  routes:
    - {{ path: /slow, to: slow }}
    - {{ path: /untold, to: quick, deadline-header: false }}
    - {{ path: /**, to: quick, timeout: 3s }}
services:
  caller: {{ run: sleep 1000, ready: none, calls: {{ quick: {{ timeout: 30s }}, out: {{ timeout: 30s }} }} }}
  quick: {{ url: \"http://{}\" }}
  slow: {{ url: \"http://{}\" }}
externals:
  out: \"http://{}\"
",
        quick.address, slow.address, quick.address
    ));
    let told = world.get("/").body;
    assert!(left(&told) <= 3000 && left(&told) > 1000, "{told}");
    assert_eq!(world.get("/untold").body, "none");

    // The caller takes its time before it makes its own call, and copies what it was told.
    std::thread::sleep(Duration::from_millis(120));
    let copied = [("x-request-deadline", told.as_str())];
    let next = request(&address(&world, "caller -> quick"), "GET", "/", &copied, None).body;
    assert!(left(&next) <= left(&told) - 120, "{told} became {next}");
    let outside = request(&address(&world, "caller -> out"), "GET", "/", &copied, None).body;
    assert_eq!(outside, "none", "an external is not told");

    let begun = Instant::now();
    let hurried = request(&world.gateway(), "GET", "/slow", &[("x-request-deadline", "200")], None);
    assert_eq!((hurried.status, begun.elapsed() < Duration::from_secs(4)), (504, true), "{hurried:?}");
    assert_eq!(hurried.json()["type"], "urn:colony:problem:timeout");
    assert_eq!(slow.requests(), 1);
    let late = request(&world.gateway(), "GET", "/slow", &[("x-request-deadline", "0")], None);
    assert_eq!((late.status, slow.requests()), (504, 1), "{late:?}");
    let call = world.call("gateway /slow");
    assert_eq!((&call["timeouts"], &call["expired"]), (&2.into(), &1.into()), "{call}");
    let shown = String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned();
    assert!(shown.contains("gateway /slow: 1 not sent, for their caller's deadline was over"), "{shown}");
}

#[test]
fn a_client_of_grpc_is_answered_in_its_own_words() {
    let server = Server::after(Duration::ZERO);
    let world = World::up(&format!(
        "name: grpc
gateway:
  listen: 127.0.0.1:0
  routes:
    - {{ path: /shop.Away/**, to: away, retries: none, breaker: {{ failures: 1, rate: 0% }} }}
    - {{ path: /shop.Cart/**, to: cart, limit: 1/m }}
services:
  cart: {{ url: \"http://{}\" }}
  away: {{ run: sleep 1000, ready: none, calls: {{ cart: {{}} }} }}
",
        server.address
    ));
    let grpc = [("content-type", "application/grpc")];
    let ask = |at: &str, path, more: &[(&str, &str)]| {
        let answer = request(at, "POST", path, &[&grpc, more].concat(), None);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{answer:?}");
        let status = answer.header("grpc-status").expect("a status").to_owned();
        (status, answer.header("grpc-message").unwrap_or("").to_owned(), answer)
    };
    let gateway = world.gateway();
    let (status, message, _) = ask(&gateway, "/shop.Nothing/Do", &[]);
    assert_eq!((status.as_str(), message.starts_with("no-route: ")), ("12", true), "{message}");
    let (status, message, _) = ask(&gateway, "/shop.Cart/Add", &[("grpc-timeout", "0n")]);
    assert_eq!((status.as_str(), message.starts_with("timeout: ")), ("4", true), "{message}");
    let (status, message, limited) = ask(&gateway, "/shop.Cart/Add", &[]);
    assert_eq!((status.as_str(), message.starts_with("rate-limited: ")), ("8", true), "{message}");
    assert!(limited.header("grpc-retry-pushback-ms").is_some(), "{limited:?}");
    let (status, message, _) = ask(&gateway, "/shop.Away/Go", &[]);
    assert_eq!((status.as_str(), message.starts_with("connect-failed: ")), ("14", true), "{message}");
    let (status, message, _) = ask(&gateway, "/shop.Away/Go", &[]);
    assert_eq!((status.as_str(), message.starts_with("circuit-open: ")), ("14", true), "{message}");
    let sidecar = address(&world, "away sidecar");
    let (status, message, _) = ask(&sidecar, "/shop.Other/Go", &[("host", "other")]);
    assert_eq!((status.as_str(), message.starts_with("unknown-service: ")), ("12", true), "{message}");
}

#[test]
fn a_slow_instance_costs_no_more_than_the_wait_for_a_hedge() {
    let (quick, slow) = (Server::after(Duration::ZERO), Server::after(Duration::from_secs(4)));
    let world = World::up(&format!(
        "name: hedge
gateway: {{ listen: 127.0.0.1:0, routes: [{{ to: app, hedge: 100ms, breaker: {{ failures: 1, rate: 0% }} }}] }}
services:
  app: {{ url: [\"http://{}\", \"http://{}\"], ready: none }}
",
        quick.address, slow.address
    ));
    while slow.requests() == 0 {
        let begun = Instant::now();
        assert_eq!(world.get("/").status, 200);
        assert!(begun.elapsed() < Duration::from_millis(3900), "{:?}", begun.elapsed());
    }
    let before = slow.requests() + quick.requests();
    assert_eq!(request(&world.gateway(), "POST", "/", &[], None).status, 200, "a POST waits");
    assert_eq!(slow.requests() + quick.requests(), before + 1, "and is not sent twice");
    let call = world.call("gateway /**");
    assert_eq!(
        (&call["hedges"], &call["hedges_won"], &call["retries"]),
        (&1.into(), &1.into(), &0.into()),
        "{call}"
    );
    assert_eq!((&call["breaker"], &call["failures"]), (&"closed".into(), &0.into()), "{call}");
    let shown = String::from_utf8_lossy(&world.run(&["status"]).stdout).into_owned();
    assert!(shown.contains("gateway /**: 1 hedges, 1 of them answered first"), "{shown}");
    let explained = String::from_utf8_lossy(&world.run(&["explain", "GET", "/"]).stdout).into_owned();
    assert!(explained.contains("after 100ms, 1 at most"), "{explained}");
}
