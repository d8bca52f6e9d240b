//! How each system is configured for the same work. Two workers each, access logs off, keep-alive
//! on both sides: what someone who cares for speed would write, and no more.

mod colony;
mod envoy;
mod haproxy;
mod install;
mod nginx;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::harness::{Process, Result, free_port};

/// Something that stands between the load and the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum System {
    /// Colony's gateway with the default policies on.
    Colony,
    Envoy,
    Nginx,
    Haproxy,
    /// The backend alone: what the load costs without a proxy.
    Direct,
}

impl System {
    /// As in results.
    pub fn name(self) -> &'static str {
        match self {
            System::Colony => "colony",
            System::Envoy => "envoy",
            System::Nginx => "nginx",
            System::Haproxy => "haproxy",
            System::Direct => "direct",
        }
    }
}

/// Binaries that were named on the command line.
pub struct Binaries {
    pub colony: Option<PathBuf>,
    pub envoy: Option<PathBuf>,
}

/// Binaries that are there.
pub struct Installed {
    pub wrk: PathBuf,
    nginx: PathBuf,
    systems: BTreeMap<System, PathBuf>,
}

impl Binaries {
    /// Finds what the systems need and installs what is missing, by package name.
    pub fn resolve(self, systems: &[System]) -> Result<Installed> {
        let nginx = install::package("nginx")?;
        let wrk = install::package("wrk")?;
        let mut found = BTreeMap::new();
        for system in systems {
            let path = match system {
                System::Colony => install::colony(self.colony.as_deref())?,
                System::Envoy => install::envoy(self.envoy.as_deref())?,
                System::Haproxy => install::package("haproxy")?,
                System::Nginx | System::Direct => nginx.clone(),
            };
            found.insert(*system, path);
        }
        Ok(Installed { wrk, nginx, systems: found })
    }
}

impl Installed {
    /// What each system says its version is.
    pub fn versions(&self) -> BTreeMap<String, String> {
        let flags = |system| match system {
            System::Nginx | System::Direct | System::Haproxy => "-v",
            System::Colony | System::Envoy => "--version",
        };
        let say =
            |(system, path): (&System, &PathBuf)| (system.name().to_owned(), version(path, flags(*system)));
        self.systems.iter().map(say).collect()
    }

    /// Starts the backend that all systems share.
    pub fn start_backend(&self, folder: &Path) -> Result<Server> {
        start("backend", folder, |port| nginx::backend(&self.nginx, folder, port, &body()))
    }

    /// Starts a proxy in front of the backend. The backend alone is a second backend.
    pub fn start(&self, system: System, folder: &Path, backend: u16) -> Result<Server> {
        let binary = &self.systems[&system];
        start(system.name(), folder, |port| match system {
            System::Colony => colony::command(binary, folder, port, backend),
            System::Envoy => envoy::command(binary, folder, port, backend),
            System::Nginx => nginx::proxy(binary, folder, port, backend),
            System::Haproxy => haproxy::command(binary, folder, port, backend),
            System::Direct => nginx::backend(binary, folder, port, &body()),
        })
    }
}

/// A process that answers on a port of the loopback.
pub struct Server {
    pub process: Process,
    pub port: u16,
}

fn start(name: &str, folder: &Path, command: impl FnOnce(u16) -> Result<Command>) -> Result<Server> {
    let port = free_port()?;
    let mut process = Process::start(name, command(port)?, folder)?;
    process.wait_for(port, BODY_BYTES)?;
    Ok(Server { process, port })
}

fn version(binary: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(binary).arg(flag).output() else { return "unknown".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let words = text.split([' ', '/', '\n']);
    let number = words
        .map(str::trim)
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    number.unwrap_or("unknown").to_owned()
}

fn body() -> String {
    "x".repeat(BODY_BYTES)
}

/// The size of every answer.
const BODY_BYTES: usize = 1024;
