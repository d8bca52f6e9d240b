//! How each system is configured for the same work. A worker a core, access logs off, keep-alive on
//! both sides: what someone who cares for speed would write, and no more.

mod colony;
mod envoy;
mod haproxy;
mod install;
mod nginx;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::harness::{Error, Process, Result, free_port, h2load, http};

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

/// What clients speak to a system. Behind it is always HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Front {
    /// HTTP/1.1 with keep-alive.
    Http1,
    /// Cleartext HTTP/2 with prior knowledge.
    Http2,
}

impl Front {
    /// As in results.
    pub fn name(self) -> &'static str {
        match self {
            Front::Http1 => "http1",
            Front::Http2 => "http2",
        }
    }

    /// Which of the two load generators speaks it.
    pub fn is_http2(self) -> bool {
        self == Front::Http2
    }

    /// Where a server on this port is asked.
    pub fn url(self, port: u16) -> String {
        format!("http://127.0.0.1:{port}/")
    }
}

/// What a system is set up for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub front: Front,
    /// Of clients, at a time.
    pub connections: u32,
    /// Threads or processes, one a core.
    pub workers: usize,
    /// Whether connections stay without a request for the length of a measurement.
    pub idle: bool,
    /// Keys for Colony's route, such as `breaker: none`; the others have nothing of the kind.
    pub policies: &'a str,
}

/// Descriptors that a system needs for so many clients: each may have a connection to the backend,
/// unless it is idle.
pub fn descriptors(clients: u32, idle: bool) -> u64 {
    u64::from(clients) * if idle { 1 } else { 2 } + SPARE_DESCRIPTORS
}

/// Binaries that were named on the command line.
pub struct Binaries {
    pub colony: Option<PathBuf>,
    pub envoy: Option<PathBuf>,
}

/// Binaries that are there.
pub struct Installed {
    nginx: PathBuf,
    wrk: Option<PathBuf>,
    h2load: Option<PathBuf>,
    systems: BTreeMap<System, PathBuf>,
}

impl Binaries {
    /// Finds what the systems and the load for these fronts need and installs what is missing, by
    /// package name.
    pub fn resolve(self, systems: &[System], fronts: &[Front]) -> Result<Installed> {
        let nginx = install::package("nginx", "nginx")?;
        let needed = |tool, package, http2: bool| {
            let used = fronts.iter().any(|front| front.is_http2() == http2);
            used.then(|| install::package(tool, package)).transpose()
        };
        let (wrk, h2load) = (needed("wrk", "wrk", false)?, needed("h2load", "nghttp2-client", true)?);
        let mut found = BTreeMap::new();
        for system in systems {
            let path = match system {
                System::Colony => install::colony(self.colony.as_deref())?,
                System::Envoy => install::envoy(self.envoy.as_deref())?,
                System::Haproxy => install::package("haproxy", "haproxy")?,
                System::Nginx | System::Direct => nginx.clone(),
            };
            found.insert(*system, path);
        }
        Ok(Installed { nginx, wrk, h2load, systems: found })
    }
}

impl Installed {
    /// The load generator for HTTP/1.1.
    pub fn wrk(&self) -> Result<&Path> {
        self.wrk.as_deref().ok_or_else(|| Error::say("wrk was not looked for"))
    }

    /// The load generator for HTTP/2.
    pub fn h2load(&self) -> Result<&Path> {
        self.h2load.as_deref().ok_or_else(|| Error::say("h2load was not looked for"))
    }

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

    /// Why a system cannot be measured with this front, if so.
    pub fn lacks(&self, system: System, front: Front) -> Option<&'static str> {
        let is_nginx = matches!(system, System::Nginx | System::Direct);
        let built_with = |module| says(&self.systems[&system], "-V").contains(module);
        match front {
            Front::Http2 if is_nginx && !built_with("http_v2_module") => Some("built without HTTP/2"),
            _ => None,
        }
    }

    /// Starts the backend that all systems share.
    pub fn start_backend(&self, folder: &Path, setup: &Setup) -> Result<Server> {
        let setup = Setup { front: Front::Http1, ..*setup };
        let command = |port| nginx::backend(&self.nginx, folder, port, &body(), &setup);
        self.started("backend", folder, &setup, command)
    }

    /// Starts a proxy in front of the backend. The backend alone is a second backend.
    pub fn start(&self, system: System, folder: &Path, backend: u16, setup: &Setup) -> Result<Server> {
        let binary = &self.systems[&system];
        self.started(system.name(), folder, setup, |port| match system {
            System::Colony => colony::command(binary, folder, port, backend, setup),
            System::Envoy => envoy::command(binary, folder, port, backend, setup),
            System::Nginx => nginx::proxy(binary, folder, port, backend, setup),
            System::Haproxy => haproxy::command(binary, folder, port, backend, setup),
            System::Direct => nginx::backend(binary, folder, port, &body(), setup),
        })
    }

    fn started(
        &self,
        name: &str,
        folder: &Path,
        setup: &Setup,
        command: impl FnOnce(u16) -> Result<Command>,
    ) -> Result<Server> {
        let port = free_port()?;
        let mut process = Process::start(name, command(port)?, folder)?;
        process.wait_until(|| self.ask(setup.front, port))?;
        Ok(Server { process, port })
    }

    /// Whether the answer is the backend's.
    fn ask(&self, front: Front, port: u16) -> std::result::Result<(), String> {
        let bytes = if front.is_http2() {
            let ask = self.h2load().and_then(|h2load| h2load::ask(h2load, &front.url(port)));
            ask.map_err(|error| error.with_causes())?
        } else {
            let answer = http::get(port).map_err(|error| error.to_string())?;
            (answer.status == 200).then_some(answer.body.len() as u64)
        };
        match bytes {
            Some(bytes) if bytes == BODY_BYTES as u64 => Ok(()),
            Some(bytes) => Err(format!("it answers with {bytes} bytes")),
            None => Err("it does not answer as the backend does".to_owned()),
        }
    }
}

/// A process that answers on a port of the loopback.
pub struct Server {
    pub process: Process,
    pub port: u16,
}

fn version(binary: &Path, flag: &str) -> String {
    let text = says(binary, flag);
    let words = text.split([' ', '/', '\n']);
    let number = words
        .map(str::trim)
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    number.unwrap_or("unknown").to_owned()
}

fn says(binary: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(binary).arg(flag).output() else { return String::new() };
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn body() -> String {
    "x".repeat(BODY_BYTES)
}

/// For files, listeners, and a few connections to the backend.
const SPARE_DESCRIPTORS: u64 = 1024;
/// The size of every answer.
pub const BODY_BYTES: usize = 1024;
