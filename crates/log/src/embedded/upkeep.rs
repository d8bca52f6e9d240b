//! What is to be done besides appending: making the next segment before it is needed, and sealing those that are full.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::fresh::Blank;
use super::segment::{FILL_AHEAD, LARGE_BYTES, Segment};
use super::{Inner, Upkeep, lock};
use crate::AppendError;
use crate::disk::{Disk, File, is_full};
use crate::format::{Footer, Header, TRAILER_BYTES, segment_name, spare_name};

/// Where the next segment comes from.
#[derive(Debug)]
pub(crate) struct Pool<F> {
    /// One that is ready.
    pub ready: Option<Arc<Segment<F>>>,
    /// The number of the next that is made.
    pub next: u64,
}

/// What the thread is to do.
#[derive(Debug)]
pub(crate) struct Duties<F> {
    state: Mutex<State<F>>,
    changed: Condvar,
    /// Whether groups are large at present, so that they fill segments themselves.
    are_large: AtomicBool,
}

#[derive(Debug)]
struct State<F> {
    /// What is written to at the moment, and not filled far enough ahead.
    fill: Option<Arc<Segment<F>>>,
    /// What will be written to next, and is not filled.
    fill_next: Option<Arc<Segment<F>>>,
    prepare: bool,
    /// There was no room for a segment.
    starved: bool,
    seal: VecDeque<u64>,
    stop: bool,
}

/// In the order in which they are seen to.
enum Duty<F> {
    Stop,
    Fill(Arc<Segment<F>>),
    Prepare,
    Seal(u64),
    FillNext(Arc<Segment<F>>),
}

impl<F> Default for Duties<F> {
    fn default() -> Duties<F> {
        let state = State {
            fill: None,
            fill_next: None,
            prepare: false,
            starved: false,
            seal: VecDeque::new(),
            stop: false,
        };
        Duties { state: Mutex::new(state), changed: Condvar::new(), are_large: AtomicBool::new(false) }
    }
}

impl<F: File> Duties<F> {
    /// The segment is being written to, and should be filled further ahead.
    pub fn fill(&self, segment: Arc<Segment<F>>) {
        lock(&self.state).fill = Some(segment);
        self.changed.notify_one();
    }

    /// A group of so many bytes has been written.
    pub fn note_group(&self, bytes: usize) {
        self.are_large.store(bytes >= LARGE_BYTES, Ordering::Relaxed);
    }

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

    fn wait(&self) -> Duty<F> {
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return Duty::Stop;
            }
            if let Some(segment) = state.fill.take() {
                return Duty::Fill(segment);
            }
            if std::mem::take(&mut state.prepare) {
                return Duty::Prepare;
            }
            if let Some(number) = state.seal.pop_front() {
                return Duty::Seal(number);
            }
            if let Some(segment) = state.fill_next.take() {
                return Duty::FillNext(segment);
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
                Duty::Fill(segment) => inner.fill_ahead(&segment),
                Duty::Prepare => inner.prepare(),
                // That it failed is noted where appending sees it.
                Duty::Seal(number) => drop(inner.seal(number)),
                Duty::FillNext(segment) => inner.fill_next(segment),
            }
        }
    })
}

impl<D: Disk> Inner<D> {
    /// A segment to go on in, so long at least. Whoever appends does not wait for one that is still being made.
    pub(super) fn next_segment(&self, least: usize) -> Result<Arc<Segment<D::File>>, AppendError> {
        let mut pool = lock(&self.pool);
        let made = self.ready(&mut pool, least).and_then(|ready| match ready {
            Some(ready) => Ok(ready),
            None => {
                let number = pool.next;
                let blank = self.blank(number, self.config.length_of(number, least))?;
                self.dedicate(blank, &mut pool)
            }
        });
        made.map_err(|error| match is_full(&error) {
            true => AppendError::Full(Arc::new(error)),
            false => AppendError::Failed(self.fail(error)),
        })
    }

    /// What was made before it was needed, if it is long enough. If not, it is as if it had not been made.
    fn ready(&self, pool: &mut Pool<D::File>, least: usize) -> io::Result<Option<Arc<Segment<D::File>>>> {
        let Some(ready) = pool.ready.take() else { return Ok(None) };
        if ready.length as usize >= least {
            return Ok(Some(ready));
        }
        lock(&self.duties.state).fill_next = None;
        self.disk.remove(&segment_name(ready.number()))?;
        pool.next = ready.number();
        Ok(None)
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
        let number = ready.number();
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
        if lock(&self.pool).ready.is_some() || self.failed.get().is_some() {
            return;
        }
        let length = self.config.length_of(lock(&self.pool).next, 0);
        let made = self.blank(PREPARED, length).and_then(|blank| {
            // Only now its number: segments are numbered in the order in which they are used.
            let mut pool = lock(&self.pool);
            let segment = self.dedicate(blank, &mut pool)?;
            pool.ready = Some(Arc::clone(&segment));
            Ok(segment)
        });
        match made {
            Ok(segment) => lock(&self.duties.state).fill_next = Some(segment),
            // Whoever needs it tries again, and tells.
            Err(error) if is_full(&error) => lock(&self.duties.state).starved = true,
            Err(error) => drop(self.fail(error)),
        }
    }

    /// Fills a piece of a segment that is not written to yet, all of which is to be filled by the time it is: what is filled while
    /// it is being written to has its syncs wait for the file system's journal.
    fn fill_next(&self, segment: Arc<Segment<D::File>>) {
        if self.duties.are_large.load(Ordering::Relaxed) {
            return;
        }
        match segment.fill_ahead(u32::MAX) {
            Ok(true) => lock(&self.duties.state).fill_next = Some(segment),
            Ok(false) => {}
            Err(error) => drop(self.fail(error)),
        }
    }

    /// Fills the segment as far ahead as it should be now.
    fn fill_ahead(&self, segment: &Segment<D::File>) {
        loop {
            match segment.fill_ahead(FILL_AHEAD) {
                Ok(true) if !lock(&self.duties.state).stop => {}
                Ok(_) => return,
                Err(error) => return drop(self.fail(error)),
            }
        }
    }

    /// A file that can become a segment: one that is written over, or else a new one of this length.
    fn blank(&self, number: u64, length: u32) -> io::Result<Blank<D::File>> {
        let spare = lock(&self.spares).pop();
        spare.map_or_else(
            || Blank::reserved(&self.disk, number, length),
            |spare| Blank::spare(&self.disk, spare, self.config.segment_bytes),
        )
    }

    fn dedicate(&self, blank: Blank<D::File>, pool: &mut Pool<D::File>) -> io::Result<Arc<Segment<D::File>>> {
        let number = pool.next;
        pool.next += 1;
        blank.dedicate(&self.disk, Header { log: self.log, number, salt: self.disk.random() })
    }
}

/// What stands for the number of a segment that is made before its number is known.
const PREPARED: u64 = 0;

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
