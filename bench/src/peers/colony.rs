//! Colony as a user starts it: the shortest manifest, every default policy on.

use std::path::Path;
use std::process::Command;

use crate::harness::{Error, Result};

/// `colony up` on a gateway in front of a service that already runs.
pub fn command(binary: &Path, folder: &Path, port: u16, backend: u16) -> Result<Command> {
    let own = folder.join(format!("colony-{port}"));
    let fail = |error| Error::new("write Colony's manifest", error);
    std::fs::create_dir_all(&own).map_err(fail)?;
    let file = own.join("colony.yaml");
    let manifest = format!(
        "name: bench
gateway: {{ listen: 127.0.0.1:{port} }}
services: {{ backend: {{ url: \"http://127.0.0.1:{backend}\" }} }}
"
    );
    std::fs::write(&file, manifest).map_err(fail)?;
    let mut command = Command::new(binary);
    command.arg("up").arg(file).current_dir(own);
    Ok(command)
}
