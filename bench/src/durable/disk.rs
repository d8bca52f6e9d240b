//! The disk itself: one writer, 4 KiB at a time, each synced, in a file that was written before.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Measured;
use super::tasks::Load;
use crate::harness::{Error, Result, interrupt};

/// Writes for `seconds`.
pub fn load(folder: &Path, seconds: u32) -> Result<Measured> {
    let writing = |error: std::io::Error| Error::new("write to the disk", error);
    let file = File::create(folder.join("file")).map_err(writing)?;
    for block in 0..FILE_BYTES / MIB {
        file.write_all_at(&vec![1; MIB as usize], block * MIB).map_err(writing)?;
    }
    file.sync_all().map_err(writing)?;
    let block = [7; 4096];
    let (mut each_ns, mut offset) = (Vec::new(), 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(u64::from(seconds)) {
        interrupt::check()?;
        let asked = Instant::now();
        file.write_all_at(&block, offset).and_then(|()| file.sync_data()).map_err(writing)?;
        each_ns.push(asked.elapsed().as_nanos() as u64);
        offset = (offset + block.len() as u64) % FILE_BYTES;
    }
    Ok(Load { count: each_ns.len() as u64, took: begun.elapsed(), each_ns }.measured())
}

const MIB: u64 = 1 << 20;
const FILE_BYTES: u64 = 64 * MIB;
