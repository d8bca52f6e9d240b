//! What a server says ahead of its answer, through the built binary: hints on their way to the client, from a
//! server that fails behind them, and from one that never stops giving them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::world::{World, listening};

const HINT: &str = "HTTP/1.1 103 Early Hints\r\nconnection: x-own\r\nx-own: 1\r\nlink: </a.css>\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nreal";

/// Whether the client has the hint: until then there is no answer.
#[derive(Default)]
struct Seen(Mutex<bool>, Condvar);

impl Seen {
    fn tell(&self) {
        *self.0.lock().expect("sound") = true;
        self.1.notify_all();
    }

    fn wait(&self) {
        let seen = self.0.lock().expect("sound");
        drop(self.1.wait_while(seen, |seen| !*seen).expect("sound"));
    }
}

fn serve(answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let answer = Arc::new(answer);
    listening(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
        while let Some(path) = head(&mut reader) {
            if answer(&path, &mut stream).is_err() {
                return;
            }
        }
    })
}

/// The path of the next request.
fn head(reader: &mut impl BufRead) -> Option<String> {
    let (mut first, mut line) = (String::new(), String::new());
    reader.read_line(&mut first).ok()?;
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
    }
    first.split(' ').nth(1).map(str::to_owned)
}

/// Sends a request to `host` at this address.
fn ask(address: &str, host: &str, path: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("taken");
    BufReader::new(stream)
}

/// The lines of the next head.
fn lines(reader: &mut impl BufRead) -> Vec<String> {
    reader.lines().map(|line| line.expect("a line")).take_while(|line| !line.is_empty()).collect()
}

fn rest(mut reader: impl Read) -> String {
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("text");
    rest
}

#[test]
fn hints_come_first_and_bind_nobody() {
    let (seen, requests) = (Arc::new(Seen::default()), AtomicUsize::new(0));
    let told = seen.clone();
    let server = serve(move |path, stream| match path {
        "/once" => {
            stream.write_all(HINT.as_bytes())?;
            told.wait();
            stream.write_all(ANSWER.as_bytes())
        }
        // Fails the first time.
        "/twice" => {
            stream.write_all(HINT.as_bytes())?;
            match requests.fetch_add(1, Ordering::SeqCst) {
                0 => Err(std::io::ErrorKind::Other.into()),
                _ => stream.write_all(ANSWER.as_bytes()),
            }
        }
        _ => stream.write_all(HINT.repeat(100).as_bytes()),
    });
    let world = World::up(&format!(
        "name: hints
gateway:
  listen: 127.0.0.1:0
  routes:
    - {{ path: /**, to: server }}
services:
  caller: {{ run: sleep 1000, ready: none, calls: {{ server: {{}} }} }}
  server: {{ url: \"http://{server}\" }}
"
    ));
    let sidecar = world.status()["listeners"]
        .as_array()
        .and_then(|all| all.iter().find(|listener| listener["name"] == "caller sidecar"))
        .and_then(|listener| listener["address"].as_str())
        .expect("an address")
        .to_owned();
    for address in [&world.gateway(), &sidecar] {
        let mut reader = ask(address, "server", "/once");
        assert_eq!(lines(&mut reader), ["HTTP/1.1 103 Early Hints", "link: </a.css>"]);
        seen.tell();
        assert_eq!(lines(&mut reader)[0], "HTTP/1.1 200 OK");
        assert_eq!(rest(reader), "real");
    }

    let mut reader = ask(&world.gateway(), "server", "/twice");
    let firsts = [(); 3].map(|()| lines(&mut reader).swap_remove(0));
    assert_eq!(firsts, ["HTTP/1.1 103 Early Hints", "HTTP/1.1 103 Early Hints", "HTTP/1.1 200 OK"]);
    assert_eq!(world.call("gateway /**")["retries"], 1);

    let flood = rest(ask(&world.gateway(), "server", "/flood"));
    assert!(flood.contains("HTTP/1.1 502 Bad Gateway") && flood.contains("bad-answer"), "{flood}");
    assert!(flood.contains("announces answers without end"), "{flood}");
}
