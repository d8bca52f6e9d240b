//! nginx, as a proxy and as the backend of all.

use std::path::Path;
use std::process::Command;

use crate::harness::{Error, Result};

/// A backend that answers every request with `body`.
pub fn backend(binary: &Path, folder: &Path, port: u16, body: &str) -> Result<Command> {
    let server =
        format!("server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{body}'; }} }}");
    command(binary, folder, port, &server)
}

/// A proxy that keeps its connections to the backend.
pub fn proxy(binary: &Path, folder: &Path, port: u16, backend: u16) -> Result<Command> {
    let server = format!(
        "upstream backend {{ server 127.0.0.1:{backend}; keepalive 512; keepalive_requests {FOREVER}; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}"
    );
    command(binary, folder, port, &server)
}

fn command(binary: &Path, folder: &Path, port: u16, server: &str) -> Result<Command> {
    let own = folder.join(format!("nginx-{port}"));
    let fail = |error| Error::new("write nginx's configuration", error);
    std::fs::create_dir_all(&own).map_err(fail)?;
    let path = own.display();
    // Started by root, workers would change to a user who may not enter the folder.
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    let config = format!(
        "{user}
daemon off;
worker_processes 2;
pid {path}/pid;
error_log {path}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests {FOREVER};
    keepalive_timeout 1h;
    default_type text/plain;
    client_body_temp_path {path}/body;
    proxy_temp_path {path}/proxy;
    fastcgi_temp_path {path}/fastcgi;
    uwsgi_temp_path {path}/uwsgi;
    scgi_temp_path {path}/scgi;
    {server}
}}
"
    );
    let file = own.join("nginx.conf");
    std::fs::write(&file, config).map_err(fail)?;
    let mut command = Command::new(binary);
    command.arg("-e").arg(own.join("start.log")).arg("-p").arg(&own).arg("-c").arg(file);
    Ok(command)
}

/// More requests than a run can send over one connection.
const FOREVER: u32 = 1_000_000_000;
