//! HAProxy: one process with two threads.

use std::path::Path;
use std::process::Command;

use crate::harness::{Error, Result};

/// `maxconn` stays below the usual limit of descriptors, of which a connection takes two.
pub fn command(binary: &Path, folder: &Path, port: u16, backend: u16) -> Result<Command> {
    let config = format!(
        "global
    nbthread 2
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server backend 127.0.0.1:{backend}
"
    );
    let file = folder.join(format!("haproxy-{port}.cfg"));
    std::fs::write(&file, config).map_err(|error| Error::new("write HAProxy's configuration", error))?;
    let mut command = Command::new(binary);
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}
