//! What a load generator is told, what it counted, and how it is run.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::{Error, Result, interrupt};

/// How much is sent, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    pub connections: u32,
    /// Of the generator: one for each core that it shares with what is measured.
    pub threads: u32,
    pub seconds: u32,
}

/// What one run of a generator counted.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Load {
    pub requests: u64,
    pub duration_us: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Statuses from 400 on, and connections that failed in any way.
    pub errors: u64,
}

impl Load {
    pub fn ops_per_s(&self) -> f64 {
        self.requests as f64 * 1e6 / self.duration_us
    }
}

/// Runs a generator to its end and returns what it wrote to standard output. `watch` is called
/// several times a second meanwhile.
pub fn run(name: &str, mut command: Command, mut watch: impl FnMut()) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| Error::new(format!("start {name}"), error))?;
    let waited = loop {
        match child.try_wait() {
            Ok(Some(_)) => break Ok(()),
            Err(error) => break Err(Error::new(format!("wait for {name}"), error)),
            Ok(None) => {}
        }
        watch();
        if let Err(asked) = interrupt::check() {
            break Err(asked);
        }
        std::thread::sleep(LOOK);
    };
    if let Err(error) = waited {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    let output =
        child.wait_with_output().map_err(|error| Error::new(format!("read what {name} says"), error))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Between two looks at the server. What a generator writes in one such time fits into a pipe.
const LOOK: Duration = Duration::from_millis(200);
