//! A backlog that nobody consumes: whether publishing stays as fast and memory as small, what is written for
//! each byte that is published, and how soon a start after a crash takes the next message.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::{Config, Embedded};
use serde::Serialize;

use super::PAYLOAD_BYTES;
use super::colony::publish;
use crate::harness::machine::Machine;
use crate::harness::{Error, Result, interrupt, usage};
use crate::report::store::today;

/// What it came to.
#[derive(Serialize)]
pub struct Backlog {
    pub date: String,
    pub machine: Machine,
    pub messages: u64,
    pub gib: f64,
    /// Equal parts of the backlog, in order.
    pub parts: Vec<Part>,
    /// Bytes that were written to the device for each byte of payload, the file system's own, checkpoints and the store's
    /// compaction included; nothing where there is no telling.
    pub write_amplification: Option<f64>,
    pub log_gib: f64,
    pub store_gib: f64,
    /// From opening the folder, after the engine was dropped in the middle of publishing, to the first
    /// acknowledgement.
    pub start_s: f64,
}

/// A part of the backlog.
#[derive(Serialize)]
pub struct Part {
    pub ops_per_s: f64,
    pub cpu_us_per_op: f64,
    pub rss_mib: f64,
}

/// Publishes `gib` GiB and starts anew.
pub fn run(gib: u32, data: &Path, machine: Machine) -> Result<Backlog> {
    std::fs::create_dir_all(data).map_err(|error| Error::new(format!("make {}", data.display()), error))?;
    let folder =
        tempfile::tempdir_in(data).map_err(|error| Error::new("make a folder for the data", error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Error::new("start a runtime", error))?;
    let messages = u64::from(gib) * (1 << 30) / PAYLOAD_BYTES as u64;
    nix::unistd::sync();
    let written_before = written_bytes(folder.path());
    let engine = Arc::new(open(folder.path())?);
    let mut parts = Vec::new();
    for part in 1..=PARTS {
        parts.push(runtime.block_on(fill(&engine, messages / PARTS))?);
        let last = &parts[parts.len() - 1];
        eprintln!("part {part} of {PARTS}: {:.0}/s, {:.0} MiB", last.ops_per_s, last.rss_mib);
    }
    nix::unistd::sync();
    let written = written_bytes(folder.path()).zip(written_before).map(|(after, before)| after - before);
    let log = engine.log_bytes();
    let store = engine.store().disk_bytes();
    drop(engine);
    let begun = Instant::now();
    let engine = open(folder.path())?;
    runtime.block_on(publish(&engine, 0, Bytes::from(vec![b'x'; PAYLOAD_BYTES])));
    let gib_of = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Ok(Backlog {
        date: today(),
        machine,
        messages,
        gib: f64::from(gib),
        parts,
        write_amplification: written.map(|written| written as f64 / (messages * PAYLOAD_BYTES as u64) as f64),
        log_gib: gib_of(log),
        store_gib: gib_of(store),
        start_s: begun.elapsed().as_secs_f64(),
    })
}

impl Backlog {
    /// For who reads it.
    pub fn text(&self) -> String {
        let Machine { cpu, cores, kernel, .. } = &self.machine;
        let mut out = format!(
            "A backlog of {:.0} GiB: {} messages of 1 KiB that nobody consumes, from {TASKS} who each wait. {cpu} with \
             {cores} cores, {kernel}.\n\n  part      op/s  CPU µs/op  MiB\n",
            self.gib, self.messages
        );
        for (number, part) in self.parts.iter().enumerate() {
            let Part { ops_per_s, cpu_us_per_op, rss_mib } = part;
            out.push_str(&format!(
                "  {:>4}  {ops_per_s:>8.0}  {cpu_us_per_op:>9.1}  {rss_mib:>3.0}\n",
                number + 1
            ));
        }
        out.push_str(&format!(
            "\n  {} bytes written to the device for each byte of payload; log {:.1} GiB, store {:.2} GiB\n  \
             {:.2} s from opening the folder, as after a crash, to the first acknowledgement\n",
            self.write_amplification.map_or("an unknown number of".to_owned(), |bytes| format!("{bytes:.2}")),
            self.log_gib,
            self.store_gib,
            self.start_s
        ));
        out
    }
}

fn open(folder: &Path) -> Result<Embedded> {
    Embedded::open_in(folder, Config::default()).map_err(|error| Error::new("open Colony's engine", error))
}

async fn fill(engine: &Arc<Embedded>, messages: u64) -> Result<Part> {
    let before = usage::of_tree(std::process::id());
    let (begun, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let fillers: Vec<_> = (0..TASKS)
        .map(|_| {
            let (engine, next) = (Arc::clone(engine), Arc::clone(&next));
            let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= messages || interrupt::check().is_err() {
                        return;
                    }
                    publish(&engine, number, payload.clone()).await;
                }
            })
        })
        .collect();
    for filler in fillers {
        filler.await.expect("what is published is taken");
    }
    interrupt::check()?;
    let (took, after): (Duration, _) = (begun.elapsed(), usage::of_tree(std::process::id()));
    let (user, kernel) = after.cpu_since(&before);
    Ok(Part {
        ops_per_s: messages as f64 / took.as_secs_f64(),
        cpu_us_per_op: (user + kernel).as_secs_f64() * 1e6 / messages as f64,
        rss_mib: after.rss_kib as f64 / 1024.0,
    })
}

/// Bytes that were written to the device on which `folder` lies, by whomever. What a process is told to have written is no
/// measure of it: the kernel counts all of a large folio of its page cache when a part of it is written.
fn written_bytes(folder: &Path) -> Option<u64> {
    let device = std::fs::metadata(folder).ok()?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(SECTORS_WRITTEN)?.parse().ok()?;
    Some(sectors * SECTOR_BYTES)
}

/// Which number of a device's statistics it is, and what it counts: Linux, Documentation/block/stat.rst.
const SECTORS_WRITTEN: usize = 6;
const SECTOR_BYTES: u64 = 512;
const PARTS: u64 = 10;
const TASKS: u32 = 256;
