//! HAProxy: one process with a thread a core.

use std::path::Path;
use std::process::Command;

use super::Setup;
use crate::harness::{Error, Result};

/// One frontend and one backend, whose connections all clients share.
///
/// For each of `maxconn` HAProxy wants two descriptors, and without `no strict-limits` does not start
/// when it gets fewer, although idle clients need only one.
pub fn command(binary: &Path, folder: &Path, port: u16, backend: u16, setup: &Setup) -> Result<Command> {
    let protocol = match setup.certificate {
        Some(certificate) => {
            format!(" ssl crt {} alpn {}", certificate.both.display(), setup.front.alpn())
        }
        None if setup.front.is_http2() => " proto h2".to_owned(),
        None => String::new(),
    };
    let (threads, connections) = (setup.workers, CONNECTIONS_MIN.max(setup.connections + 1000));
    let config = format!(
        "global
    nbthread {threads}
    maxconn {connections}
    no strict-limits
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 60s
    timeout http-keep-alive 1h
    http-reuse always
frontend front
    bind 127.0.0.1:{port} backlog 4096{protocol}
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

const CONNECTIONS_MIN: u32 = 4000;
