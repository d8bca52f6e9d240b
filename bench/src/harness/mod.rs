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

/// A TCP port of the loopback that nobody listens on.
pub fn free_port() -> Result<u16> {
    let found = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    found.map(|address| address.port()).map_err(|error| Error::new("find a free port", error))
}

/// Whether somebody listens on a port of the loopback; why not.
pub fn listens(port: u16) -> std::result::Result<(), String> {
    std::net::TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| error.to_string())
}
