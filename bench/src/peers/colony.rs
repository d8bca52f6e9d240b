//! Colony as a user starts it: the shortest manifest, every default policy on.

use std::path::Path;
use std::process::Command;

use super::{Certificate, Setup};
use crate::harness::{Error, Result};

/// `colony up` on a gateway in front of a service that already runs.
pub fn command(binary: &Path, folder: &Path, port: u16, backend: u16, setup: &Setup) -> Result<Command> {
    let own = folder.join(format!("colony-{port}"));
    let fail = |error| Error::new("write Colony's manifest", error);
    std::fs::create_dir_all(&own).map_err(fail)?;
    let file = own.join("colony.yaml");
    std::fs::write(&file, manifest(port, backend, setup)).map_err(fail)?;
    let mut command = Command::new(binary);
    command.arg("up").arg(file).args(setup.tuning.flags).current_dir(own);
    Ok(command)
}

fn manifest(port: u16, backend: u16, setup: &Setup) -> String {
    let mut gateway = format!("listen: 127.0.0.1:{port}");
    if let Some(Certificate { cert, key, .. }) = setup.certificate {
        let (cert, key) = (cert.display(), key.display());
        gateway.push_str(&format!(", tls: {{ cert: \"{cert}\", key: \"{key}\" }}"));
    }
    if setup.idle {
        let connections = setup.connections + SPARE_CONNECTIONS;
        gateway.push_str(&format!(", limits: {{ header-timeout: 1h, connections: {connections} }}"));
    }
    if !setup.tuning.route.is_empty() {
        gateway.push_str(&format!(", routes: [{{ to: backend, {} }}]", setup.tuning.route));
    }
    format!(
        "name: bench
gateway: {{ {gateway} }}
services: {{ backend: {{ url: \"http://127.0.0.1:{backend}\" }} }}
{}",
        setup.tuning.manifest
    )
}

/// Beside those that are counted: the question whether it is ready.
const SPARE_CONNECTIONS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Front, Tuning};

    #[test]
    fn only_what_a_case_needs_is_in_the_manifest() {
        let plain = Setup {
            front: Front::Http1,
            certificate: None,
            connections: 64,
            workers: 2,
            idle: false,
            tuning: Tuning::default(),
        };
        let shortest = "name: bench\ngateway: { listen: 127.0.0.1:1 }\n\
                        services: { backend: { url: \"http://127.0.0.1:2\" } }\n";
        assert_eq!(manifest(1, 2, &plain), shortest);
        let tuning = Tuning { route: "breaker: none", manifest: "telemetry: { traces: none }\n", flags: &[] };
        let text = manifest(1, 2, &Setup { idle: true, tuning, ..plain });
        assert!(text.contains("limits: { header-timeout: 1h, connections: 1064 }"), "{text}");
        assert!(text.contains("routes: [{ to: backend, breaker: none }] }"), "{text}");
        assert!(text.ends_with("} }\ntelemetry: { traces: none }\n"), "{text}");
    }
}
