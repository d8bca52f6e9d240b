//! nginx, as a proxy and as the backend of all.

use std::path::Path;
use std::process::Command;

use super::Setup;
use crate::harness::{Error, Result};

/// A backend that answers every request with `body`.
pub fn backend(binary: &Path, folder: &Path, port: u16, body: &str, setup: &Setup) -> Result<Command> {
    let listen = listen(port, setup);
    let server = format!("server {{ {listen} location / {{ return 200 '{body}'; }} }}");
    command(binary, folder, port, &server, setup)
}

/// A proxy that keeps its connections to the backend.
pub fn proxy(binary: &Path, folder: &Path, port: u16, backend: u16, setup: &Setup) -> Result<Command> {
    let (listen, kept) = (listen(port, setup), UPSTREAM_KEPT_MIN.max(setup.connections));
    let server = format!(
        "upstream backend {{ server 127.0.0.1:{backend}; keepalive {kept}; keepalive_requests {FOREVER}; }}
    server {{
        {listen}
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}"
    );
    command(binary, folder, port, &server, setup)
}

/// A socket for each worker, so that the kernel spreads connections over them.
fn listen(port: u16, setup: &Setup) -> String {
    let http2 = if setup.front.is_http2() { " http2" } else { "" };
    let plain = format!("listen 127.0.0.1:{port}{http2} reuseport backlog=4096");
    match setup.certificate {
        None => format!("{plain};"),
        Some(certificate) => format!(
            "{plain} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;",
            cert = certificate.cert.display(),
            key = certificate.key.display()
        ),
    }
}

fn command(binary: &Path, folder: &Path, port: u16, server: &str, setup: &Setup) -> Result<Command> {
    let own = folder.join(format!("nginx-{port}"));
    let fail = |error| Error::new("write nginx's configuration", error);
    std::fs::create_dir_all(&own).map_err(fail)?;
    let path = own.display();
    let (workers, connections) = (setup.workers, CONNECTIONS_MIN.max(setup.connections + 2048));
    // Started by root, workers would change to a user who may not enter the folder.
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    let config = format!(
        "{user}
daemon off;
worker_processes {workers};
pid {path}/pid;
error_log {path}/error.log warn;
events {{ worker_connections {connections}; }}
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

/// Of a worker, which in the worst case gets all clients and has as many connections to the backend.
const CONNECTIONS_MIN: u32 = 8192;
/// As many as there are requests at a time over HTTP/2.
const UPSTREAM_KEPT_MIN: u32 = 512;
/// More requests than a run can send over one connection.
const FOREVER: u32 = 1_000_000_000;
