//! Envoy: a worker thread a core, no access log, no hot restart.

use std::path::Path;
use std::process::Command;

use super::{Certificate, Setup};
use crate::harness::{Error, Result};

/// One listener, one route, one static cluster without a bound on what is under way.
pub fn command(binary: &Path, folder: &Path, port: u16, backend: u16, setup: &Setup) -> Result<Command> {
    let codec = if setup.front.is_http2() { "HTTP2" } else { "HTTP1" };
    let tls = setup.certificate.map_or_else(String::new, |one| tls(one, setup.front.alpn()));
    let config = format!(
        "static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: {codec}
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes:
              - match: {{ prefix: / }}
                route: {{ cluster: backend }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{tls}  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {{ max_connections: {MANY}, max_pending_requests: {MANY}, max_requests: {MANY} }}
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {backend} }} }} }}
"
    );
    let file = folder.join(format!("envoy-{port}.yaml"));
    std::fs::write(&file, config).map_err(|error| Error::new("write Envoy's configuration", error))?;
    let mut command = Command::new(binary);
    command.args(["--concurrency", &setup.workers.to_string(), "--disable-hot-restart"]);
    command.args(["--log-level", "error", "-c"]).arg(file);
    Ok(command)
}

/// Of the listener's only chain of filters.
fn tls(certificate: &Certificate, alpn: &str) -> String {
    format!(
        "      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [{alpn}]
            tls_certificates:
            - certificate_chain: {{ filename: \"{cert}\" }}
              private_key: {{ filename: \"{key}\" }}
",
        cert = certificate.cert.display(),
        key = certificate.key.display()
    )
}

/// More than any case has under way; the default of 1,024 would refuse the rest.
const MANY: u32 = 1_000_000;
