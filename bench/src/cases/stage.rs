//! What all cases need: systems that can be started, the backend behind them, and a load in front.

use tempfile::TempDir;

use crate::harness::callgrind::Callgrind;
use crate::harness::load::{Load, Volume};
use crate::harness::{Error, Result, descriptors, h2load, interrupt, wrk};
use crate::peers::{self, Certificate, Front, Installed, Server, Setup, System, Tuning};
use crate::report::Sample;

/// Stands for as long as a run.
pub struct Stage {
    pub installed: Installed,
    certificate: Option<Certificate>,
    workers: usize,
    backend: Server,
    /// Goes last: what runs has its files in there.
    folder: TempDir,
}

/// A load by its kind and size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    pub front: Front,
    pub connections: u32,
}

impl Work {
    /// As in results: `http1-64`, `http2-16x32`.
    pub fn name(&self) -> String {
        let (front, connections) = (self.front.name(), self.connections);
        match self.front.is_http2() {
            true => format!("{front}-{connections}x{HTTP2_STREAMS}"),
            false => format!("{front}-{connections}"),
        }
    }
}

impl Stage {
    /// Starts the backend, for systems with a worker for each of `cores` and at most so many clients.
    pub fn new(installed: Installed, cores: usize, connections: u32, idle: bool) -> Result<Stage> {
        descriptors::allow(peers::descriptors(connections, idle))?;
        let folder = tempfile::tempdir().map_err(|error| Error::new("make a folder for the run", error))?;
        let certificate = installed.certificate(folder.path())?;
        let front = Front::Http1;
        let setup =
            Setup { front, certificate: None, connections, workers: cores, idle, tuning: Tuning::default() };
        let backend = installed.start_backend(folder.path(), &setup)?;
        Ok(Stage { installed, certificate, workers: cores, backend, folder })
    }

    /// Starts a system in front of the backend, anew for each measurement.
    pub fn start(&self, system: System, work: Work, idle: bool, tuning: Tuning) -> Result<Server> {
        interrupt::check()?;
        let Work { front, connections } = work;
        let certificate = self.certificate.as_ref().filter(|_| front.is_tls());
        let setup = Setup { front, certificate, connections, workers: self.workers, idle, tuning };
        self.installed.start(system, self.folder.path(), self.backend.port, &setup)
    }

    /// Instructions of Colony from its start to its end, with so many requests between.
    pub fn instructions(&self, tool: &Callgrind, work: Work, requests: u32, tuning: Tuning) -> Result<u64> {
        interrupt::check()?;
        let Work { front, connections } = work;
        let setup =
            Setup { front, certificate: None, connections, workers: self.workers, idle: false, tuning };
        let folder = self.folder.path();
        let mut server = self.installed.start_counted(tool, folder, self.backend.port, &setup)?;
        h2load::send(self.installed.h2load()?, &front.url(server.port), connections, requests)?;
        server.process.expect_alive()?;
        let process = server.process.id();
        drop(server);
        tool.total(process)
    }

    /// What a system does, and what it costs, while it has as much to do as it can.
    pub fn measure(&self, system: System, work: Work, seconds: u32, tuning: Tuning) -> Result<Sample> {
        self.measured(system, work, tuning, seconds, |server, seconds, watch| {
            self.load(work, server.port, seconds, watch)
        })
    }

    /// The same while it has so many requests a second to answer, over HTTP/1.1.
    pub fn measure_at(&self, work: Work, rate: u32, seconds: u32, tuning: Tuning) -> Result<Sample> {
        self.measured(System::Colony, work, tuning, seconds, |server, seconds, watch| {
            let volume = Volume { connections: work.connections, threads: 1, seconds };
            let url = work.front.url(server.port);
            h2load::steady(self.installed.h2load()?, self.folder.path(), &url, &volume, rate, watch)
        })
    }

    fn measured(
        &self,
        system: System,
        work: Work,
        tuning: Tuning,
        seconds: u32,
        send: impl Fn(&Server, u32, &mut dyn FnMut()) -> Result<Load>,
    ) -> Result<Sample> {
        let mut server = self.start(system, work, false, tuning)?;
        let idle = server.process.usage();
        send(&server, WARM_UP_S, &mut || ())?;
        let before = server.process.usage();
        let mut rss_kib = before.rss_kib;
        let load = send(&server, seconds, &mut || {
            rss_kib = rss_kib.max(server.process.usage().rss_kib);
        })?;
        let (user, kernel) = server.process.usage().cpu_since(&before);
        server.process.expect_alive()?;
        let requests = load.requests.max(1) as f64;
        Ok(Sample {
            case: work.name(),
            system: system.name().to_owned(),
            ops_per_s: load.ops_per_s(),
            p50_us: load.p50_us,
            p99_us: load.p99_us,
            user_us_per_op: user.as_secs_f64() * 1e6 / requests,
            kernel_us_per_op: kernel.as_secs_f64() * 1e6 / requests,
            rss_idle_mib: idle.rss_kib as f64 / 1024.0,
            rss_mib: rss_kib as f64 / 1024.0,
            errors: load.errors,
            ..Sample::default()
        })
    }

    fn load(&self, work: Work, port: u16, seconds: u32, watch: impl FnMut()) -> Result<Load> {
        let threads = u32::try_from(self.workers).unwrap_or(u32::MAX);
        let volume = Volume { connections: work.connections, threads, seconds };
        let (folder, url) = (self.folder.path(), work.front.url(port));
        if work.front.is_http2() {
            h2load::run(self.installed.h2load()?, folder, &url, &volume, HTTP2_STREAMS, watch)
        } else {
            wrk::run(self.installed.wrk()?, folder, &url, &volume, watch)
        }
    }
}

/// Over HTTP/2 there are few connections with many requests at a time on each.
pub const HTTP2_CONNECTIONS: u32 = 16;
const HTTP2_STREAMS: u32 = 32;
/// Load before the measured one: connections are opened and caches filled.
const WARM_UP_S: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_named_by_its_kind_and_size() {
        assert_eq!(Work { front: Front::Http1, connections: 64 }.name(), "http1-64");
        assert_eq!(Work { front: Front::Http2, connections: 16 }.name(), "http2-16x32");
        assert_eq!(Work { front: Front::Tls, connections: 64 }.name(), "tls-64");
        assert_eq!(Work { front: Front::Http2Tls, connections: 16 }.name(), "http2-tls-16x32");
    }
}
