//! Envoy: two worker threads, no access log, no hot restart.

use std::path::Path;
use std::process::Command;

use crate::harness::{Error, Result};

/// One listener, one route, one static cluster.
pub fn command(binary: &Path, folder: &Path, port: u16, backend: u16) -> Result<Command> {
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
          codec_type: HTTP1
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
  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 5s
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
    command.args(["--concurrency", "2", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(file);
    Ok(command)
}
