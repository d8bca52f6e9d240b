//! OTLP of a node: who sends is handed on to what keeps telemetry, and what is recorded goes to a collector, if there is one.
//!
//! All of it is on a thread of its own: a megabyte that is read there is nobody else's wait.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Uri;
use manifest::valid::OtlpListeners;
use serde::Serialize;
use telemetry::exposition::Sample;
use telemetry::otlp::export::{Exporter, Sent};
use telemetry::otlp::receive::{self, Metrics, Received, Receiver};
use telemetry::otlp::{Point, Signal, measured};
use telemetry::series::foreign::Board;
use telemetry::telemetry::{Tap, Telemetry};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::lower::telemetry::{Collector, SaidIn, exporter};
use crate::process;

/// OTLP in and out.
pub(super) struct Otlp {
    telemetry: Telemetry,
    runtime: Handle,
    listening: Option<Listening>,
    outlet: Arc<Outlet>,
    /// Ends the thread when it is dropped.
    thread: Mutex<Option<oneshot::Sender<()>>>,
}

struct Listening {
    receiver: Arc<Receiver>,
    grpc: SocketAddr,
    http: SocketAddr,
}

/// Where everything is sent at the moment, and where metrics are kept.
struct Outlet {
    running: Mutex<Option<Running>>,
    board: Board,
    began_ns: u64,
}

struct Running {
    collector: Collector,
    exporter: Arc<Exporter>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// What `colony status` shows.
#[derive(Serialize)]
pub(super) struct OtlpStatus {
    /// Where services send theirs over gRPC.
    grpc: Option<SocketAddr>,
    /// And over HTTP.
    http: Option<SocketAddr>,
    /// What came.
    received: Option<Received>,
    /// Where it is sent, each signal.
    to: Vec<String>,
    /// What went there.
    sent: Option<Sent>,
}

impl Otlp {
    /// Listens, if that is wanted; nothing is sent yet.
    pub(super) fn start(wanted: Option<&OtlpListeners>, telemetry: &Telemetry) -> Result<Otlp, Failure> {
        let cannot = |error: io::Error| Failure::new(format!("cannot take OTLP in: {error}"));
        let listeners = wanted.map(bind).transpose()?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let handle = runtime.handle().clone();
        let (thread, ended) = oneshot::channel::<()>();
        // Nobody waits for it but who has something to be sent, in `end`.
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || drop(runtime.block_on(ended)))
            .map_err(cannot)?;
        let began_ns = now_ns();
        let outlet = Arc::new(Outlet { running: Mutex::default(), board: Board::new(began_ns), began_ns });
        let listening = listeners.map(|[grpc, http]| {
            let metrics = Arc::clone(&outlet);
            let receiver = Arc::new(Receiver::new(telemetry.recorder(), metrics, now_ns));
            let places = (grpc.local_addr(), http.local_addr());
            let serving = Arc::clone(&receiver);
            handle.spawn(async move { serving.serve(vec![grpc, http]).await });
            let (grpc, http) = places;
            Ok::<_, Failure>(Listening { receiver, grpc: grpc.map_err(cannot)?, http: http.map_err(cannot)? })
        });
        Ok(Otlp {
            telemetry: telemetry.clone(),
            runtime: handle,
            listening: listening.transpose()?,
            outlet,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// What services are told to send theirs to.
    pub(super) fn endpoint(&self) -> Option<SocketAddr> {
        let mut at = self.listening.as_ref()?.http;
        if at.ip().is_unspecified() {
            at.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        Some(at)
    }

    /// Sends everything to `wanted` from now on, or nowhere; what waits for the one before is sent there first, for a moment. Why it is not sent, if it
    /// is not.
    pub(super) async fn send_to(&self, wanted: Option<Collector>) -> Result<(), Failure> {
        let wanted = match wanted {
            // What a shell says for its programs is meant for those, too: `colony up` may be what it means.
            Some(collector) if collector.said_in == SaidIn::Environment && self.is_own(&collector) => None,
            Some(collector) if self.is_own(&collector) => {
                return Err(Failure::new("`telemetry.export` names the node's own listener").hint(
                    "what is sent there would come back to be sent again; name another, or leave it out",
                ));
            }
            wanted => wanted,
        };
        if self.outlet.running().as_ref().map(|running| &running.collector) == wanted.as_ref() {
            return Ok(());
        }
        let next = wanted
            .map(|collector| Ok::<_, Failure>((exporter(&collector, super::seed())?, collector)))
            .transpose()?;
        self.stop_sending().await;
        if let Some((config, collector)) = next {
            let inbox = self.telemetry.tap(Tap::All, TAP_ROOM);
            let (stop, stopped) = oneshot::channel::<()>();
            let exporter = {
                let _within = self.runtime.enter();
                Arc::new(Exporter::new(config))
            };
            let runs = Arc::clone(&exporter);
            let ended =
                self.runtime.spawn(async move { runs.run(inbox, async { drop(stopped.await) }).await });
            *self.outlet.running() = Some(Running { collector, exporter, stop, ended });
        }
        Ok(())
    }

    /// What services say of themselves.
    pub(super) fn board(&self) -> &Board {
        &self.outlet.board
    }

    /// Sends what the node itself has measured, as that of `service`, if metrics are sent anywhere.
    pub(super) fn send_own(&self, samples: &[Sample], service: &str) {
        if let Some(running) = &*self.outlet.running()
            && running.collector.to.iter().any(|(signal, _)| *signal == Signal::Metrics)
        {
            let (request, points) = measured(samples, service, self.outlet.began_ns, now_ns());
            // What there is no room for is counted there.
            let _ = running.exporter.take(request.into(), points);
        }
    }

    /// Sends what is left, and ends.
    pub(super) async fn end(&self) {
        self.stop_sending().await;
        drop(self.thread.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    async fn stop_sending(&self) {
        let running = self.outlet.running().take();
        if let Some(Running { stop, ended, .. }) = running {
            drop(stop);
            let _ = ended.await;
        }
    }

    /// Whether a collector is this node itself.
    fn is_own(&self, collector: &Collector) -> bool {
        let Some(listening) = &self.listening else { return false };
        let own = [listening.grpc.port(), listening.http.port()];
        collector.to.iter().filter_map(|(_, to)| to.parse::<Uri>().ok()).any(|to| {
            let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
            let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
            is_local && to.port_u16().is_some_and(|port| own.contains(&port))
        })
    }

    pub(super) fn status(&self) -> OtlpStatus {
        let listening = self.listening.as_ref();
        let running = self.outlet.running();
        let to = running.iter().flat_map(|running| &running.collector.to);
        OtlpStatus {
            grpc: listening.map(|listening| listening.grpc),
            http: listening.map(|listening| listening.http),
            received: listening.map(|listening| listening.receiver.received()),
            to: to.map(|(_, to)| to.clone()).collect(),
            sent: running.as_ref().map(|running| running.exporter.sent()),
        }
    }
}

impl Outlet {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics for Outlet {
    fn take(&self, request: Bytes, points: u64) -> bool {
        self.running().as_ref().is_none_or(|running| running.exporter.take(request, points))
    }

    fn point(&self, point: &Point) {
        self.board.take(super::unix_ms(), point);
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlet")
    }
}

/// A place that is said is that one or none; of those that are not, the standard one goes before any other.
fn bind(wanted: &OtlpListeners) -> Result<[TcpListener; 2], Failure> {
    let one = |wanted: Option<SocketAddr>, port: u16, key: &str| match wanted {
        Some(at) => receive::bind(at).map_err(|error| {
            let failure = match error.kind() {
                io::ErrorKind::AddrInUse => process::port_in_use(at.port()),
                _ => Failure::new(format!("cannot listen on {at} for OTLP: {error}")),
            };
            failure.hint(format!(
                "change `telemetry.otlp.{key}` in the manifest, or leave it out for another port"
            ))
        }),
        None => {
            let on = |port| receive::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            on(port)
                .or_else(|_| on(0))
                .map_err(|error| Failure::new(format!("cannot listen on 127.0.0.1 for OTLP: {error}")))
        }
    };
    Ok([one(wanted.grpc, GRPC_PORT, "grpc")?, one(wanted.http, HTTP_PORT, "http")?])
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The ports that OTLP has.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;
/// Records that are recorded and not yet put into requests, for which there is room.
const TAP_ROOM: usize = 16_384;
