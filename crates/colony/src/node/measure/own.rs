//! What the node itself uses.

use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statvfs::statvfs;
use nix::sys::time::TimeValLike;
use telemetry::catalogue as names;
use telemetry::exposition::Sample;

use super::services::{descriptors, threads};
use crate::node::rss_kib;

pub(super) fn gather(data: &Path, uptime: Duration, out: &mut Vec<Sample>) {
    let cpu = getrusage(UsageWho::RUSAGE_SELF).ok();
    let cpu = cpu.map(|used| (used.user_time() + used.system_time()).num_microseconds() as f64 / 1e6);
    let (free, size) = disk(data).unzip();
    let values = [
        (&names::NODE_CPU, cpu),
        (&names::NODE_MEMORY, rss_kib().map(|kib| (kib << 10) as f64)),
        (&names::NODE_DESCRIPTORS, descriptors("self")),
        (&names::NODE_THREADS, threads("self")),
        (&names::NODE_UPTIME, Some(uptime.as_secs_f64())),
        (&names::NODE_DISK_FREE, free),
        (&names::NODE_DISK_SIZE, size),
    ];
    for (metric, value) in values {
        out.extend(value.map(|value| Sample::number(metric, &[], value)));
    }
}

/// What is free where a folder lies, for who is not root, and all that there is.
fn disk(folder: &Path) -> Option<(f64, f64)> {
    let disk = statvfs(folder).ok()?;
    let block = disk.fragment_size() as f64;
    Some((disk.blocks_available() as f64 * block, disk.blocks() as f64 * block))
}
