//! What is to be done besides appending: making the next segment before it is needed, and sealing those that are full.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::segment::Segment;
use super::{Inner, Upkeep, lock};
use crate::AppendError;
use crate::disk::{Disk, File, is_full};
use crate::format::{Footer, HEADER_BYTES, Header, TRAILER_BYTES, new_name, segment_name, spare_name};

/// Where the next segment comes from.
#[derive(Debug)]
pub(crate) struct Pool<F> {
    /// One that is ready.
    pub ready: Option<Fresh<F>>,
    /// The number of the next that is made.
    pub next: u64,
}

/// A segment with nothing in it.
#[derive(Debug)]
pub(crate) struct Fresh<F> {
    pub segment: Arc<Segment<F>>,
    /// Up to where the file has been written once.
    pub filled: u32,
}

/// What the thread is to do.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    prepare: bool,
    /// There was no room for a segment.
    starved: bool,
    seal: VecDeque<u64>,
    stop: bool,
}

enum Duty {
    Prepare,
    Seal(u64),
    Stop,
}

impl Duties {
    /// A segment will be needed soon.
    pub fn prepare(&self) {
        lock(&self.state).prepare = true;
        self.changed.notify_one();
    }

    /// There may be room again for a segment that could not be made.
    pub fn prepare_if_starved(&self) {
        let mut state = lock(&self.state);
        if std::mem::take(&mut state.starved) {
            state.prepare = true;
            self.changed.notify_one();
        }
    }

    pub fn stop(&self) {
        lock(&self.state).stop = true;
        self.changed.notify_one();
    }

    fn seal(&self, number: u64) {
        lock(&self.state).seal.push_back(number);
        self.changed.notify_one();
    }

    fn wait(&self) -> Duty {
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return Duty::Stop;
            }
            if std::mem::take(&mut state.prepare) {
                return Duty::Prepare;
            }
            if let Some(number) = state.seal.pop_front() {
                return Duty::Seal(number);
            }
            state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

/// Starts the thread.
pub(super) fn start<D: Disk>(inner: &Arc<Inner<D>>) -> io::Result<thread::JoinHandle<()>> {
    let inner = Arc::clone(inner);
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        loop {
            match inner.duties.wait() {
                Duty::Stop => return,
                Duty::Prepare => inner.prepare(),
                // That it failed is noted where appending sees it.
                Duty::Seal(number) => drop(inner.seal(number)),
            }
        }
    })
}

impl<D: Disk> Inner<D> {
    /// A segment to go on in.
    pub(super) fn next_segment(&self) -> Result<Fresh<D::File>, AppendError> {
        let mut pool = lock(&self.pool);
        if let Some(ready) = pool.ready.take() {
            return Ok(ready);
        }
        self.make(&mut pool, false).map_err(|error| match is_full(&error) {
            true => AppendError::Full(Arc::new(error)),
            false => AppendError::Failed(self.fail(error)),
        })
    }

    /// Sees to a segment that is full.
    pub(super) fn full(&self, number: u64) -> Result<(), Arc<io::Error>> {
        match self.config.upkeep {
            Upkeep::Inline => self.seal(number),
            Upkeep::Background => {
                self.duties.seal(number);
                Ok(())
            }
        }
    }

    /// Seals what is not, as far as anything is in it; the last one is cut off behind its end.
    pub(super) fn seal_all(&self) -> Result<(), Arc<io::Error>> {
        let mut unsealed = self.directory().unsealed();
        let last = unsealed.pop();
        unsealed.into_iter().try_for_each(|number| self.seal(number))?;
        let last = last.and_then(|number| self.directory().footer(number));
        let sealed = last.map_or(Ok(()), |(segment, footer)| seal_short(&segment.file, &footer));
        sealed.and_then(|()| self.put_back()).map_err(|error| self.fail(error))
    }

    /// Makes a spare of a segment that was made before it was needed, so that the next opening need not look into it.
    fn put_back(&self) -> io::Result<()> {
        let Some(ready) = lock(&self.pool).ready.take() else { return Ok(()) };
        let number = ready.segment.number();
        self.disk.rename(&segment_name(number), &spare_name(number))?;
        self.disk.sync()
    }

    /// Writes the footer of the segment `number`.
    fn seal(&self, number: u64) -> Result<(), Arc<io::Error>> {
        let Some((segment, footer)) = self.directory().footer(number) else { return Ok(()) };
        let sealed = write_footer(&segment.file, &footer, u64::from(segment.length) - TRAILER_BYTES as u64);
        sealed.map_err(|error| self.fail(error))?;
        self.directory_mut().sealed(number, footer.table);
        Ok(())
    }

    fn prepare(&self) {
        let mut pool = lock(&self.pool);
        if pool.ready.is_some() || self.failed.get().is_some() {
            return;
        }
        match self.make(&mut pool, true) {
            Ok(ready) => pool.ready = Some(ready),
            // Whoever needs it tries again, and tells.
            Err(error) if is_full(&error) => lock(&self.duties.state).starved = true,
            Err(error) => drop(self.fail(error)),
        }
    }

    /// Makes a segment, of a spare file if there is one. A new one is filled with zeros if there is time for that.
    fn make(&self, pool: &mut Pool<D::File>, has_time: bool) -> io::Result<Fresh<D::File>> {
        let number = pool.next;
        pool.next += 1;
        let spare = lock(&self.spares).pop();
        let log = lock(&self.head).head().log;
        make(&self.disk, number, log, self.config.segment_bytes, spare, has_time)
    }
}

/// Seals a segment with the file cut off behind its footer: the room that was reserved is given back.
pub(super) fn seal_short(file: &impl File, footer: &Footer) -> io::Result<()> {
    let trailer = u64::from(footer.table.end) + footer.footer.len() as u64;
    file.cut(trailer + TRAILER_BYTES as u64)?;
    write_footer(file, footer, trailer)
}

/// Writes a footer, and its trailer at `trailer`: not before the footer is durable, since opening looks no further than
/// to the trailer and the table.
pub(super) fn write_footer(file: &impl File, footer: &Footer, trailer: u64) -> io::Result<()> {
    file.write_at(&footer.footer, u64::from(footer.table.end))?;
    file.sync()?;
    file.write_at(&footer.trailer, trailer)?;
    file.sync()
}

/// Makes the segment `number` of a spare file or a new one.
pub(super) fn make<D: Disk>(
    disk: &D,
    number: u64,
    log: u64,
    length: u32,
    spare: Option<String>,
    has_time: bool,
) -> io::Result<Fresh<D::File>> {
    let is_new = spare.is_none();
    let name = spare.unwrap_or_else(|| new_name(number));
    let header = Header { log, number, salt: disk.random() };
    let made = build(disk, &name, &header, length, is_new, has_time);
    if made.is_err() && is_new {
        // So that what little room there is is not taken by half a file.
        let _ = disk.remove(&name).or_else(|_| disk.remove(&segment_name(number)));
    }
    let (file, filled) = made?;
    let segment = Segment::new(header, file, length, disk.path(&segment_name(number)));
    Ok(Fresh { segment: Arc::new(segment), filled })
}

fn build<D: Disk>(
    disk: &D,
    name: &str,
    header: &Header,
    length: u32,
    is_new: bool,
    has_time: bool,
) -> io::Result<(D::File, u32)> {
    let file = if is_new { disk.create(name)? } else { disk.open(name)? };
    let mut filled = length;
    if is_new {
        file.reserve(u64::from(length))?;
        filled = if has_time { fill(&file, length)? } else { HEADER_BYTES };
    }
    file.write_at(&header.encode(), 0)?;
    file.sync()?;
    disk.rename(name, &segment_name(header.number))?;
    disk.sync()?;
    Ok((file, filled))
}

/// Writes zeros all over a file, in pieces that are synced one by one: a sync of another file waits for one of them at
/// most.
fn fill(file: &impl File, length: u32) -> io::Result<u32> {
    let zeros = vec![0; PIECE_BYTES.min(length as usize)];
    let mut offset = 0;
    while offset < length {
        let piece = zeros.len().min((length - offset) as usize);
        file.write_at(&zeros[..piece], u64::from(offset))?;
        file.sync()?;
        offset += piece as u32;
    }
    Ok(length)
}

const PIECE_BYTES: usize = 1 << 20;
