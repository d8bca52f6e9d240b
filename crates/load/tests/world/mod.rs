//! A small HTTP/1.1 server with a thread a connection, whose every answer a test decides.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What came.
pub struct Request {
    /// From 0, over all connections.
    pub number: u64,
    /// From 1.
    pub on_connection: u64,
    pub path: String,
    pub head: String,
    pub body: String,
}

/// What goes back.
pub struct Reply {
    bytes: Vec<u8>,
    delay: Duration,
    close: bool,
}

impl Reply {
    pub fn ok(body: impl Into<String>) -> Reply {
        Reply::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<String>) -> Reply {
        let body = body.into();
        Reply::raw(format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n\r\n{body}", body.len())).kept()
    }

    /// Sent as it is; the connection is closed behind it.
    pub fn raw(text: impl Into<String>) -> Reply {
        Reply { bytes: text.into().into_bytes(), delay: Duration::ZERO, close: true }
    }

    /// No answer at all.
    pub fn hang_up() -> Reply {
        Reply::raw("")
    }

    pub fn after(self, delay: Duration) -> Reply {
        Reply { delay, ..self }
    }

    /// Closes behind a whole answer that doesn't announce it.
    pub fn then_hang_up_silently(self) -> Reply {
        Reply { close: true, ..self }
    }

    /// Leaves the last byte out and closes.
    pub fn cut_short(mut self) -> Reply {
        self.bytes.pop();
        Reply { close: true, ..self }
    }

    fn kept(self) -> Reply {
        Reply { close: false, ..self }
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: AtomicU64,
    closing: AtomicBool,
    stall: Mutex<Option<(Instant, Instant)>>,
}

/// The server; it stops listening when dropped.
pub struct World {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<std::thread::JoinHandle<()>>,
}

impl World {
    pub fn new(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            requests: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            stall: Mutex::new(None),
        });
        let serving = shared.clone();
        let listener = std::thread::spawn(move || accept(&listener, &serving));
        World { address, shared, listener: Some(listener) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests that were read whole.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// From `start` on, for `length`, nothing is answered.
    pub fn stall(&self, start: Duration, length: Duration) {
        let from = Instant::now() + start;
        *self.shared.stall.lock().unwrap() = Some((from, from + length));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let shared = shared.clone();
        std::thread::spawn(move || drop(serve(&stream, &shared)));
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for on_connection in 1.. {
        let Some(request) = read(&mut reader, on_connection, shared)? else { break };
        let reply = (shared.handler)(&request);
        std::thread::sleep(reply.delay.max(stalled(shared)));
        (&*stream).write_all(&reply.bytes)?;
        if reply.close {
            stream.shutdown(Shutdown::Both)?;
            break;
        }
    }
    Ok(())
}

fn stalled(shared: &Shared) -> Duration {
    let now = Instant::now();
    match *shared.stall.lock().unwrap() {
        Some((from, to)) if now >= from => to.saturating_duration_since(now),
        _ => Duration::ZERO,
    }
}

fn read(
    reader: &mut BufReader<TcpStream>,
    on_connection: u64,
    shared: &Shared,
) -> std::io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let number = shared.requests.fetch_add(1, Ordering::SeqCst);
    Ok(Some(Request { number, on_connection, path, head, body: String::from_utf8_lossy(&body).into_owned() }))
}
