//! Redis, with every write synced before it is acknowledged.

use std::path::Path;
use std::process::Command;

use super::Case;
use super::tcp::Work;
use crate::harness::{Error, Process, Result, free_port, listens};

/// Starts it on an empty folder.
pub fn start(program: &Path, folder: &Path) -> Result<(Process, u16)> {
    let port = free_port()?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder).args([
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
        "--auto-aof-rewrite-percentage",
        "0",
    ]);
    let mut server = Process::start("redis", command, folder)?;
    server.wait_until(|| listens(port))?;
    Ok((server, port))
}

/// What is the same there.
pub fn work(case: Case) -> Result<Work> {
    match case {
        Case::Publish1 | Case::Publish64 | Case::Publish1024 => Ok(Work::Xadd),
        Case::Put64 => Ok(Work::Set),
        Case::Get64 => Ok(Work::Get),
        Case::Append64 | Case::Consume => Err(Error::say("Redis has nothing of the kind")),
    }
}
