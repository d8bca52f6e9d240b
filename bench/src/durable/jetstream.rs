//! NATS JetStream, with every message synced before it is acknowledged.

use std::path::Path;
use std::process::Command;

use crate::harness::{Error, Process, Result, free_port, listens};

/// Starts it on an empty folder.
pub fn start(program: &Path, folder: &Path) -> Result<(Process, u16)> {
    let port = free_port()?;
    let config = folder.join("nats.conf");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
        folder.display()
    );
    std::fs::write(&config, text).map_err(|error| Error::new("write NATS' configuration", error))?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&config);
    let mut server = Process::start("jetstream", command, folder)?;
    server.wait_until(|| listens(port))?;
    Ok((server, port))
}
