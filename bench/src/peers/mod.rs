//! How each system is configured for the same work. A worker a core, access logs off, keep-alive on
//! both sides: what someone who cares for speed would write, and no more.

mod certificate;
mod colony;
mod envoy;
mod haproxy;
pub mod install;
mod nginx;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

pub use certificate::Certificate;

use crate::harness::callgrind::Callgrind;
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
    /// HTTP/1.1 with keep-alive over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2Tls,
}

impl Front {
    /// As in results.
    pub fn name(self) -> &'static str {
        match self {
            Front::Http1 => "http1",
            Front::Http2 => "http2",
            Front::Tls => "tls",
            Front::Http2Tls => "http2-tls",
        }
    }

    /// Which of the two load generators speaks it.
    pub fn is_http2(self) -> bool {
        matches!(self, Front::Http2 | Front::Http2Tls)
    }

    /// Whether it takes a certificate.
    pub fn is_tls(self) -> bool {
        matches!(self, Front::Tls | Front::Http2Tls)
    }

    /// As clients and servers agree on it in a TLS handshake.
    fn alpn(self) -> &'static str {
        if self.is_http2() { "h2" } else { "http/1.1" }
    }

    /// Where a server on this port is asked.
    pub fn url(self, port: u16) -> String {
        let scheme = if self.is_tls() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{port}/")
    }
}

/// What a system is set up for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub front: Front,
    /// What TLS is spoken with, if it is.
    pub certificate: Option<&'a Certificate>,
    /// Of clients, at a time.
    pub connections: u32,
    /// Threads or processes, one a core.
    pub workers: usize,
    /// Whether connections stay without a request for the length of a measurement.
    pub idle: bool,
    /// For Colony; the others have nothing of the kind.
    pub tuning: Tuning<'a>,
}

/// In what Colony is not as it is by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tuning<'a> {
    /// Keys of the route, such as `breaker: none`.
    pub route: &'a str,
    /// Lines of the manifest, each with its end.
    pub manifest: &'a str,
    /// Flags of `colony up`.
    pub flags: &'a [&'a str],
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
    openssl: Option<PathBuf>,
    systems: BTreeMap<System, PathBuf>,
}

impl Binaries {
    /// Finds what the systems and the load for these fronts need and installs what is missing, by
    /// package name.
    pub fn resolve(self, systems: &[System], fronts: &[Front]) -> Result<Installed> {
        let nginx = install::package("nginx", "nginx")?;
        let needed = |tool, package, of: fn(&Front) -> bool| {
            fronts.iter().any(of).then(|| install::package(tool, package)).transpose()
        };
        let wrk = needed("wrk", "wrk", |front| !front.is_http2())?;
        // It also asks whether a server with TLS is there, and sends a number of requests that is told.
        let h2load = needed("h2load", "nghttp2-client", |front| *front != Front::Http1)?;
        let openssl = needed("openssl", "openssl", |front| front.is_tls())?;
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
        Ok(Installed { nginx, wrk, h2load, openssl, systems: found })
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

    /// A certificate for this run, if one was asked for.
    pub fn certificate(&self, folder: &Path) -> Result<Option<Certificate>> {
        self.openssl.as_deref().map(|openssl| Certificate::make(openssl, folder)).transpose()
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
        lacks(system, front, |flag| says(&self.systems[&system], flag))
    }

    /// Starts the backend that all systems share.
    pub fn start_backend(&self, folder: &Path, setup: &Setup) -> Result<Server> {
        let setup = Setup { front: Front::Http1, certificate: None, ..*setup };
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

    /// Starts Colony under a tool that counts.
    pub fn start_counted(
        &self,
        tool: &Callgrind,
        folder: &Path,
        backend: u16,
        setup: &Setup,
    ) -> Result<Server> {
        let binary = &self.systems[&System::Colony];
        self.started("colony", folder, setup, |port| {
            Ok(tool.around(&colony::command(binary, folder, port, backend, setup)?))
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
        let bytes = if front == Front::Http1 {
            let answer = http::get(port).map_err(|error| error.to_string())?;
            (answer.status == 200).then_some(answer.body.len() as u64)
        } else {
            let ask = |h2load| h2load::ask(h2load, &front.url(port), front.is_http2());
            self.h2load().and_then(ask).map_err(|error| error.with_causes())?
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

/// `says` is what the system answers to an argument.
fn lacks(system: System, front: Front, says: impl Fn(&str) -> String) -> Option<&'static str> {
    let http2 = || match system {
        System::Nginx | System::Direct => says("-V").contains("http_v2_module"),
        System::Haproxy | System::Colony | System::Envoy => true,
    };
    let tls = || match system {
        System::Nginx | System::Direct => says("-V").contains("http_ssl_module"),
        System::Haproxy => says("-vv").contains("+OPENSSL"),
        System::Colony => says("schema").contains("\"tls\""),
        System::Envoy => true,
    };
    match front {
        front if front.is_http2() && !http2() => Some("built without HTTP/2"),
        front if front.is_tls() && !tls() => Some("this version has no TLS"),
        _ => None,
    }
}

/// The number that a program tells of itself.
pub fn version(binary: &Path, flag: &str) -> String {
    let text = says(binary, flag);
    let words = text.split([' ', '/', '\n']);
    let number = words
        .map(|word| word.trim().trim_start_matches("valgrind-"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_built_without_a_protocol_is_told_from_the_others() {
        let bare = |_: &str| "nginx version: nginx/1.22.1".to_owned();
        assert_eq!(lacks(System::Nginx, Front::Http1, bare), None);
        assert_eq!(lacks(System::Nginx, Front::Http2, bare), Some("built without HTTP/2"));
        assert_eq!(lacks(System::Direct, Front::Tls, bare), Some("this version has no TLS"));
        let full = |flag: &str| match flag {
            "-V" => "configure arguments: --with-http_v2_module --with-http_ssl_module".to_owned(),
            "-vv" => "Feature list : +OPENSSL -WURFL".to_owned(),
            "schema" => "{ \"properties\": { \"tls\": {} } }".to_owned(),
            other => panic!("{other}"),
        };
        for system in [System::Nginx, System::Haproxy, System::Colony, System::Envoy] {
            assert_eq!(lacks(system, Front::Http2Tls, full), None, "{system:?}");
        }
    }
}
