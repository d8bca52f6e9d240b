//! Frames on disk, so that what was measured survives a restart.
//!
//! A folder of segments, each named for the time of its first frame and complete in itself: it begins with what all gauges say, and
//! names each series where it is first spoken of. A record is its length, its CRC-32C and one frame. A segment is read as far as
//! its records are whole: what a crash has torn off at the end is left out, and the next start begins another segment. Oldest
//! segments go when they are too old, or all together too big. Nothing is synced: after a power failure the last seconds are missing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Change, Frame, Key, Sparse, Window, foreign};
use crate::catalogue::{self, Kind};

/// How much is kept on disk.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For how long, in milliseconds. Default: a day.
    pub age_ms: u64,
    /// Most bytes. Default 64 MiB, the least 2 MiB: there are at least two segments.
    pub bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { age_ms: 24 * 60 * 60 * 1_000, bytes_max: 64 << 20 }
    }
}

/// A segment has a sixteenth of what there may be, and no more than this.
const SEGMENT_BYTES_MAX: u64 = 2 << 20;
/// A longer record is none of ours.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// Frames further apart than this: the node was not there in between.
const PAUSE_MS: u64 = 20_000;
const SUFFIX: &str = "series";

/// The folder. One process writes to it.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    bounds: Bounds,
    segment: Option<Segment>,
}

/// The segment that is written to.
#[derive(Debug)]
struct Segment {
    file: File,
    bytes: u64,
    names: HashMap<Arc<Key>, u64>,
}

impl Disk {
    /// What is in a folder, which is made if it is not there, is absorbed by `window`; what comes goes into a new segment.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or read. A damaged segment is no error: what is whole of it is taken.
    pub fn open(folder: &Path, bounds: Bounds, now_ms: u64, window: &mut Window) -> io::Result<Disk> {
        fs::create_dir_all(folder)?;
        let disk = Disk { folder: folder.to_owned(), bounds, segment: None };
        disk.tidy(now_ms)?;
        for (_, path, _) in disk.segments()? {
            // Gone or not to be read: the others may be.
            let Ok(bytes) = fs::read(&path) else { continue };
            for frame in frames(&bytes) {
                if frame.at_ms > window.newest_ms() + PAUSE_MS {
                    window.pause();
                }
                window.absorb(&frame);
            }
        }
        window.pause();
        Ok(disk)
    }

    /// Writes a frame that `window` has made.
    ///
    /// # Errors
    ///
    /// If it cannot be written. The next one begins a new segment, for this one may end in half a record.
    pub fn write(&mut self, frame: &Frame, window: &Window) -> io::Result<()> {
        let full = self.bounds.bytes_max.div_euclid(16).clamp(64 << 10, SEGMENT_BYTES_MAX);
        if self.segment.as_ref().is_some_and(|segment| segment.bytes >= full) {
            self.segment = None;
            self.tidy(frame.at_ms)?;
        }
        let mut segment = match self.segment.take() {
            Some(segment) => segment,
            None => {
                let mut segment = self.begin(frame.at_ms)?;
                // Just before: what the frame says comes after it.
                segment.write(&Frame { at_ms: frame.at_ms.saturating_sub(1), ..window.standing() })?;
                segment
            }
        };
        segment.write(frame)?;
        self.segment = Some(segment);
        Ok(())
    }

    fn begin(&self, at_ms: u64) -> io::Result<Segment> {
        let path = self.folder.join(format!("{at_ms:015}.{SUFFIX}"));
        let file = File::create(path)?;
        Ok(Segment { file, bytes: 0, names: HashMap::new() })
    }

    /// Segments by their times, with their sizes.
    fn segments(&self) -> io::Result<Vec<(u64, PathBuf, u64)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let path = entry.path();
            let is_ours = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            let at = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).filter(|_| is_ours);
            if let (Some(at), Ok(meta)) = (at, entry.metadata()) {
                all.push((at, path, meta.len()));
            }
        }
        all.sort();
        Ok(all)
    }

    /// Removes what is too old or too much.
    fn tidy(&self, now_ms: u64) -> io::Result<()> {
        let all = self.segments()?;
        let mut bytes: u64 = all.iter().map(|(_, _, bytes)| bytes).sum();
        let room = self.bounds.bytes_max.saturating_sub(SEGMENT_BYTES_MAX);
        for (at, (_, path, size)) in all.iter().enumerate() {
            // A segment is as old as what comes after it.
            let until = all.get(at + 1).map_or(u64::MAX, |next| next.0);
            let is_old = until < now_ms.saturating_sub(self.bounds.age_ms);
            if is_old || bytes > room {
                fs::remove_file(path)?;
                bytes -= size;
            }
        }
        Ok(())
    }
}

impl Segment {
    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let mut body = Vec::new();
        put(&mut body, frame.at_ms);
        put(&mut body, frame.changes.len() as u64);
        for (key, change) in &frame.changes {
            self.name(&mut body, key);
            encode(&mut body, change);
        }
        let mut record = Vec::with_capacity(body.len() + 8);
        record.extend((body.len() as u32).to_le_bytes());
        record.extend(crc32c::crc32c(&body).to_le_bytes());
        record.extend(&body);
        self.bytes += record.len() as u64;
        self.file.write_all(&record)
    }

    /// A number for each series; where it is first spoken of, also what it is.
    fn name(&mut self, body: &mut Vec<u8>, key: &Arc<Key>) {
        let next = self.names.len() as u64;
        let number = *self.names.entry(Arc::clone(key)).or_insert(next);
        put(body, number);
        if number == next {
            let metric = key.metric;
            let is_foreign = foreign::is_foreign(metric);
            let labels = metric.labels.iter().zip(&key.labels);
            let (first, labels): (String, Vec<String>) = match is_foreign {
                false => (metric.name.to_owned(), key.labels.clone()),
                // What the catalogue would know of it is said. An earlier version takes it for a metric that there is no more.
                true => (
                    [FOREIGN, metric.kind.word(), metric.unit, metric.name, metric.help].join(BETWEEN),
                    labels.map(|(label, value)| [label, value.as_str()].join(BETWEEN)).collect(),
                ),
            };
            put(body, 1 + labels.len() as u64);
            for word in std::iter::once(&first).chain(&labels) {
                put(body, word.len() as u64);
                body.extend(word.as_bytes());
            }
        }
    }
}

/// The frames of a segment, as far as it is whole.
pub fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame> {
    // None for a series that there is no metric for any more.
    let mut names: Vec<Option<Arc<Key>>> = Vec::new();
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let body =
            rest.get(..length).filter(|body| length <= RECORD_BYTES_MAX && crc32c::crc32c(body) == sum)?;
        bytes = &rest[length..];
        decode_frame(body, &mut names)
    })
}

fn decode_frame(mut body: &[u8], names: &mut Vec<Option<Arc<Key>>>) -> Option<Frame> {
    let body = &mut body;
    let mut frame = Frame { at_ms: take(body)?, changes: Vec::new() };
    for _ in 0..take(body)? {
        let number = take(body)? as usize;
        if number == names.len() {
            names.push(decode_key(body)?);
        }
        let key = names.get(number)?.clone();
        let change = decode(body)?;
        frame.changes.extend(key.map(|key| (key, change)));
    }
    Some(frame)
}

/// None: it is broken. Some(None): it is nothing that we know.
fn decode_key(body: &mut &[u8]) -> Option<Option<Arc<Key>>> {
    let mut words = Vec::new();
    for _ in 0..take(body)? {
        let length = usize::try_from(take(body)?).ok()?;
        let (word, rest) = body.split_at_checked(length)?;
        words.push(String::from_utf8(word.to_vec()).ok()?);
        *body = rest;
    }
    let labels = words.split_off(1.min(words.len()));
    let parts: Vec<&str> = words.first()?.splitn(5, BETWEEN).collect();
    if let [FOREIGN, kind, unit, name, help] = parts[..] {
        return Some(foreign_key((kind, unit, name, help), &labels));
    }
    let metric = catalogue::find(words.first()?).filter(|metric| metric.labels.len() == labels.len());
    Some(metric.map(|metric| Arc::new(Key { metric, labels })))
}

fn foreign_key((kind, unit, name, help): (&str, &str, &str, &str), labels: &[String]) -> Option<Arc<Key>> {
    let kind =
        [Kind::Gauge, Kind::Counter, Kind::Histogram].into_iter().find(|known| known.word() == kind)?;
    let pairs: Vec<(&str, &str)> =
        labels.iter().map(|label| label.split_once(BETWEEN)).collect::<Option<_>>()?;
    let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    let metric = foreign::metric(name, kind, unit, &names, help)?;
    Some(Arc::new(Key { metric, labels: pairs.into_iter().map(|(_, value)| value.to_owned()).collect() }))
}

/// Begins what is told of a metric that a service has sent, whose parts have this between them: nothing that a name has.
const FOREIGN: &str = "";
const BETWEEN: &str = "\u{1}";
const NUMBER: u64 = 0;
const GONE: u64 = 1;
/// And how many buckets there are above it.
const HISTOGRAM: u64 = 2;

fn encode(body: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Number(value) => {
            put(body, NUMBER);
            body.extend(value.to_le_bytes());
        }
        Change::Gone => put(body, GONE),
        Change::Histogram(sparse) => {
            put(body, HISTOGRAM + sparse.buckets.len() as u64);
            put(body, sparse.sum_micros);
            for (at, count) in &sparse.buckets {
                put(body, u64::from(*at));
                put(body, *count);
            }
        }
    }
}

fn decode(body: &mut &[u8]) -> Option<Change> {
    match take(body)? {
        NUMBER => {
            let (bytes, rest) = body.split_first_chunk::<8>()?;
            *body = rest;
            Some(Change::Number(f64::from_le_bytes(*bytes)))
        }
        GONE => Some(Change::Gone),
        more => {
            let sum_micros = take(body)?;
            let mut buckets = Vec::new();
            for _ in HISTOGRAM..more {
                buckets.push((u16::try_from(take(body)?).ok()?, take(body)?));
            }
            Some(Change::Histogram(Sparse { buckets: buckets.into(), sum_micros }))
        }
    }
}

/// A number in as few bytes as it needs, seven bits in each (LEB128).
fn put(body: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        body.push(value as u8 | 0x80);
        value >>= 7;
    }
    body.push(value as u8);
}

fn take(body: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (byte, rest) = body.split_first()?;
        *body = rest;
        value |= u64::from(byte & 0x7f).checked_shl(7 * at)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
