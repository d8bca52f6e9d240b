//! Who hands OTLP on: to a collector, whatever becomes of it meanwhile.
//!
//! A queue a signal (`queue.rs`) holds what is to be sent as requests that are ready, bounded in bytes: when there is no room the oldest
//! goes, counted. What became of a request and how long to wait for the next try is decided in `retry.rs`, by the tables of OTLP's
//! specification; `client.rs` carries it there. Each signal has its own sender, so that one the collector does not want holds
//! up no other.

mod client;
mod queue;
mod retry;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Signal;
use super::receive::Metrics;
use crate::{Inbox, Record};
use client::Client;
use queue::Queue;
use retry::{Backoff, Verdict};

/// Where to send, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where each signal goes: over HTTP the whole URL, over gRPC what stands before the method. One without is not sent.
    pub to: Vec<(Signal, Uri)>,
    /// gRPC, or else HTTP with protobuf.
    pub grpc: bool,
    /// Sent with each request: who asks, mostly.
    pub headers: HeaderMap,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// Longest wait for an answer. OpenTelemetry's default: 10 s.
    pub timeout: Duration,
    /// Most bytes of each signal that wait; what is older goes.
    pub queue_bytes: usize,
    /// How TLS is spoken with an `https` one.
    pub tls: rustls::ClientConfig,
    /// Makes the waits of one node unlike another's.
    pub seed: u64,
}

/// Hands on what is recorded.
pub struct Exporter {
    client: Client,
    signals: BTreeSet<Signal>,
    queues: [Mutex<Queue>; 3],
    seed: u64,
    started: Instant,
    is_ending: AtomicBool,
    ending: Notify,
    sent: [AtomicU64; 3],
    refused: AtomicU64,
    missed: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// What has been sent since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Spans that arrived.
    pub spans: u64,
    /// Records of logs that arrived.
    pub logs: u64,
    /// Points of metrics that arrived.
    pub points: u64,
    /// What the collector did not want.
    pub refused: u64,
    /// What was dropped, for there was no room to wait.
    pub dropped: u64,
    /// How many bytes wait.
    pub waiting_bytes: usize,
    /// Why nothing arrives, as long as nothing does.
    pub trouble: Option<String>,
}

impl Exporter {
    /// One that sends nothing before it [runs](Exporter::run). Within a runtime of tokio.
    pub fn new(config: Config) -> Exporter {
        let signals = config.to.iter().map(|(signal, _)| *signal).collect();
        let queue = || Mutex::new(Queue::new(config.queue_bytes));
        Exporter {
            signals,
            queues: [queue(), queue(), queue()],
            seed: config.seed,
            started: Instant::now(),
            is_ending: AtomicBool::new(false),
            ending: Notify::new(),
            sent: Default::default(),
            refused: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            trouble: Mutex::new(None),
            client: Client::new(config),
        }
    }

    /// Sends what comes by `inbox` until `stop`, and then what is left, for a moment.
    pub async fn run(self: &Arc<Self>, inbox: Inbox, stop: impl Future<Output = ()>) {
        let mut senders = JoinSet::new();
        for signal in &self.signals {
            senders.spawn(Arc::clone(self).send(*signal));
        }
        let mut stop = std::pin::pin!(stop);
        loop {
            self.gather(&inbox);
            tokio::select! {
                () = &mut stop => break,
                () = sleep(GATHER_EVERY) => {}
            }
        }
        self.gather(&inbox);
        self.is_ending.store(true, Relaxed);
        self.ending.notify_waiters();
        let _ = timeout(FLUSH_WITHIN, async { while senders.join_next().await.is_some() {} }).await;
        senders.shutdown().await;
    }

    /// What has been sent since the start.
    pub fn sent(&self) -> Sent {
        let arrived = |signal: Signal| self.sent[signal as usize].load(Relaxed);
        let (mut dropped, mut waiting_bytes) = (self.missed.load(Relaxed), 0);
        for queue in &self.queues {
            let queue = locked(queue);
            dropped += queue.dropped();
            waiting_bytes += queue.bytes();
        }
        Sent {
            spans: arrived(Signal::Traces),
            logs: arrived(Signal::Logs),
            points: arrived(Signal::Metrics),
            refused: self.refused.load(Relaxed),
            dropped,
            waiting_bytes,
            trouble: locked(&self.trouble).clone(),
        }
    }

    /// Takes all that was handed over.
    fn gather(&self, inbox: &Inbox) {
        let now_ms = self.now_ms();
        self.missed.store(inbox.dropped(), Relaxed);
        for record in inbox.take(GATHER_MAX) {
            match record {
                Record::Span(span) if self.signals.contains(&Signal::Traces) => {
                    self.queue(Signal::Traces).put(now_ms, |batch| batch.span(&span));
                }
                Record::Log(log) if self.signals.contains(&Signal::Logs) => {
                    self.queue(Signal::Logs).put(now_ms, |batch| batch.log(&log));
                }
                Record::Span(_) | Record::Log(_) => {}
            }
        }
    }

    /// Sends what waits of a signal, one request after the other, until the end.
    async fn send(self: Arc<Self>, signal: Signal) {
        let mut backoff = Backoff::new(self.seed ^ signal as u64);
        loop {
            let is_ending = self.is_ending.load(Relaxed);
            let next = self.queue(signal).next(self.now_ms(), is_ending);
            let Some(next) = next else {
                if is_ending {
                    return;
                }
                self.pause(LOOK_EVERY).await;
                continue;
            };
            let verdict = self.client.send(signal, next.request).await;
            let wait = match verdict {
                Verdict::Taken { rejected, why } => {
                    let rejected = rejected.min(next.count);
                    self.sent[signal as usize].fetch_add(next.count - rejected, Relaxed);
                    self.refused.fetch_add(rejected, Relaxed);
                    *locked(&self.trouble) = (rejected > 0).then_some(why);
                    None
                }
                Verdict::Never(why) => {
                    self.refused.fetch_add(next.count, Relaxed);
                    *locked(&self.trouble) = Some(why);
                    None
                }
                Verdict::Again { after, why } => {
                    *locked(&self.trouble) = Some(why);
                    Some(backoff.wait(after))
                }
            };
            match wait {
                None => {
                    self.queue(signal).done();
                    backoff.reset();
                }
                // There is no time to wait.
                Some(_) if is_ending => return,
                Some(wait) => {
                    self.queue(signal).again();
                    self.pause(wait).await;
                }
            }
        }
    }

    /// Waits, but not beyond the end.
    async fn pause(&self, wait: Duration) {
        let ending = self.ending.notified();
        if !self.is_ending.load(Relaxed) {
            let _ = timeout(wait, ending).await;
        }
    }

    fn queue(&self, signal: Signal) -> MutexGuard<'_, Queue> {
        locked(&self.queues[signal as usize])
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl Metrics for Exporter {
    fn take(&self, request: Bytes, points: u64) -> bool {
        if self.signals.contains(&Signal::Metrics) {
            self.queue(Signal::Metrics).whole(request, points);
        }
        true
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("sent", &self.sent()).finish_non_exhaustive()
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often what was handed over is taken: nobody is woken by handing over.
const GATHER_EVERY: Duration = Duration::from_millis(100);
/// Most that is taken at a time, which is more than there is room for in between.
const GATHER_MAX: usize = 1 << 16;
/// How often it is looked whether there is something to send.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for what is left at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
