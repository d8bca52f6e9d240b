//! What every case needs: processes that never outlive a run, their cost, and a load.

pub mod callgrind;
pub mod crowd;
pub mod descriptors;
mod error;
pub mod h2load;
pub mod http;
pub mod interrupt;
pub mod load;
pub mod machine;
pub mod process;
pub mod usage;
pub mod wrk;

pub use error::{Error, Result};
pub use process::Process;

use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// A TCP port of the loopback that nobody listens on.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Another run beside this one begins elsewhere.
    let own = (std::process::id() % u32::from(span)) as u16;
    let mut offered = (0..span).map(|_| {
        let step = NEXT.fetch_add(1, Relaxed) % span;
        PORTS.start + (own + step) % span
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    offered.find(is_free).ok_or_else(|| Error::say("no port of the loopback is free"))
}

/// Below those that Linux gives to connections: what is free stays so until it is listened on.
const PORTS: Range<u16> = 12_000..30_000;

/// Whether somebody listens on a port of the loopback; why not.
pub fn listens(port: u16) -> std::result::Result<(), String> {
    std::net::TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| error.to_string())
}
