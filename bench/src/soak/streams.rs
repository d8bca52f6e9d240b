//! Long streams of server-sent events through the gateway, each event with its number: a stream that
//! ends, or an event that is missing, is a loss.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::harness::{Error, Result};

/// Streams that are open all the time.
const STREAMS: usize = 8;
/// Between two events.
const TICK: Duration = Duration::from_millis(100);
/// Longest silence before a stream is given up: longer than a shared machine stands still.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A server of such streams.
pub struct Clock {
    pub port: u16,
}

impl Clock {
    /// Serves until the program ends.
    pub fn start() -> Result<Clock> {
        let listener =
            TcpListener::bind("127.0.0.1:0").map_err(|error| Error::new("listen for the streams", error))?;
        let port = listener.local_addr().map_err(|error| Error::new("ask for a port", error))?.port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || tick(stream));
            }
        });
        Ok(Clock { port })
    }
}

/// Answers one request with events until its reader goes. A connection that asks for nothing is a probe.
fn tick(mut stream: TcpStream) -> Option<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    for number in 0_u64.. {
        let event = format!("data: {number}\n\n");
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).ok()?;
        std::thread::sleep(TICK);
    }
    None
}

/// What came of the streams.
#[derive(Debug, Default, PartialEq)]
pub struct Streamed {
    pub streams: usize,
    pub events: u64,
    /// A sentence for each that ended early or lost an event.
    pub broken: Vec<String>,
}

/// Their readers.
pub struct Streams {
    over: Arc<AtomicBool>,
    readers: Vec<JoinHandle<std::result::Result<u64, String>>>,
}

impl Streams {
    pub fn open(gateway: u16) -> Result<Streams> {
        let over = Arc::new(AtomicBool::new(false));
        let readers = (0..STREAMS).map(|_| {
            let over = over.clone();
            let address = SocketAddr::from(([127, 0, 0, 1], gateway));
            let stream = TcpStream::connect(address).map_err(|error| Error::new("open a stream", error))?;
            Ok(std::thread::spawn(move || read(stream, &over)))
        });
        Ok(Streams { readers: readers.collect::<Result<_>>()?, over })
    }

    pub fn end(self) -> Streamed {
        self.over.store(true, Ordering::Relaxed);
        let mut streamed = Streamed { streams: self.readers.len(), ..Streamed::default() };
        for reader in self.readers {
            match reader.join() {
                Ok(Ok(events)) => streamed.events += events,
                Ok(Err(why)) => streamed.broken.push(why),
                Err(_) => streamed.broken.push("a reader ended".to_owned()),
            }
        }
        streamed
    }
}

/// Reads events until it is over; returns how many.
fn read(mut stream: TcpStream, over: &AtomicBool) -> std::result::Result<u64, String> {
    let broken = |why: String, events: u64| format!("after {events} events: {why}");
    stream.set_read_timeout(Some(SILENCE_MAX)).map_err(|error| error.to_string())?;
    stream.write_all(b"GET /ticks HTTP/1.1\r\nhost: soak\r\n\r\n").map_err(|error| error.to_string())?;
    let (mut reader, mut line, mut events) = (BufReader::new(stream), String::new(), 0);
    while !over.load(Ordering::Relaxed) {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) => return Err(broken("the stream ended".to_owned(), events)),
            Ok(_) => {}
            Err(error) => return Err(broken(error.to_string(), events)),
        }
        if let Some(number) = line.strip_prefix("data: ") {
            if number.trim() != events.to_string() {
                return Err(broken(format!("then came number {}", number.trim()), events));
            }
            events += 1;
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_and_a_stream_that_ends_is_a_loss() {
        let clock = Clock::start().expect("a port is free");
        let streams = Streams::open(clock.port).expect("it listens");
        std::thread::sleep(3 * TICK);
        let streamed = streams.end();
        assert_eq!((streamed.streams, streamed.broken.as_slice()), (STREAMS, &[][..]));
        assert!(streamed.events >= STREAMS as u64, "{streamed:?}");

        let ends = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = ends.local_addr().expect("bound").port();
        let server = std::thread::spawn(move || {
            for mut stream in ends.incoming().flatten().take(STREAMS) {
                let _ = stream.write_all(b"data: 0\ndata: 2\n");
            }
        });
        let streams = Streams::open(port).expect("it listens");
        server.join().expect("ended");
        std::thread::sleep(3 * TICK);
        assert_eq!(streams.end().broken, vec!["after 1 events: then came number 2"; STREAMS]);
    }
}
