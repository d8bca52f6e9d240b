//! One half of the window, spans or records: a tail that is written every second, and files of large blocks that the tail's rows go
//! to when there are enough of them.
//!
//! Small blocks pack badly and large ones are lost when the process is killed before they are full, hence both: each second's rows
//! are appended to the tail, which costs little, and are held in memory besides. When there are enough they are packed into one
//! block of a file; that block names the tail that it took the place of, and the tail is removed. After a crash in between the tail
//! is known by that to be in the files already.
//!
//! Nothing is synced to the disk: a process that is killed loses what it had not written, a second of what was decided on, and a machine that
//! loses its power what the kernel had not. A file is never appended to by another process than the one that began it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{Block, MARK, appended, pack, scan};
use super::row::{Row, lots};

/// Where a half is, and how its files are cut.
pub(super) struct Half<R> {
    dir: PathBuf,
    name: &'static str,
    /// From so many bytes on, or so old, a file is not appended to.
    file_bytes_max: u64,
    file_ms_max: u64,
    /// The oldest first.
    files: VecDeque<BlockFile>,
    open: Option<File>,
    next_file: u64,
    tail: Option<File>,
    tail_number: u64,
    tail_bytes: u64,
    rows: PhantomData<R>,
}

struct BlockFile {
    path: PathBuf,
    bytes: u64,
    begun_ms: u64,
    /// When something was written to it last.
    written_ms: u64,
}

/// What was found.
pub(super) struct Found<R> {
    /// Blocks that are whole as far as their heads tell.
    pub(super) blocks: Vec<Arc<Block>>,
    /// What was in tails.
    pub(super) rows: Vec<R>,
    /// How many places were not whole.
    pub(super) damaged: u64,
}

impl<R: Row> Half<R> {
    /// What is there of it; nothing is changed.
    pub(super) fn find(dir: &Path, name: &'static str) -> io::Result<(Half<R>, Found<R>)> {
        let mut half = Half {
            dir: dir.to_owned(),
            name,
            file_bytes_max: 8 << 20,
            file_ms_max: 3_600_000,
            files: VecDeque::new(),
            open: None,
            next_file: 1,
            tail: None,
            tail_number: 1,
            tail_bytes: 0,
            rows: PhantomData,
        };
        let mut found = Found { blocks: Vec::new(), rows: Vec::new(), damaged: 0 };
        let mut covered = 0;
        for (number, path) in numbered(dir, name)? {
            let (blocks, damaged) = scan(&path)?;
            found.damaged += damaged;
            half.next_file = number + 1;
            let written_ms = blocks.iter().map(|block| block.zone.written_ms).max().unwrap_or(0);
            covered = blocks.iter().map(|block| block.zone.tail).max().unwrap_or(0).max(covered);
            found.blocks.extend(blocks.into_iter().filter(|block| block.kind == R::KIND));
            half.files.push_back(BlockFile {
                bytes: fs::metadata(&path)?.len(),
                path,
                begun_ms: 0,
                written_ms,
            });
        }
        half.tail_number = covered + 1;
        for (number, path) in numbered(dir, &tail_name(name))? {
            half.tail_number = half.tail_number.max(number + 1);
            if number <= covered {
                continue;
            }
            let (blocks, damaged) = scan(&path)?;
            found.damaged += damaged;
            for block in blocks {
                match block.rows::<R>() {
                    Some(rows) => found.rows.extend(rows),
                    None => found.damaged += 1,
                }
            }
        }
        Ok((half, found))
    }

    /// Begins to write: what is in tails goes to a block, so that there is but one tail.
    pub(super) fn begin(
        &mut self,
        file_bytes_max: u64,
        file_ms_max: u64,
        rows: &[R],
        now_ms: u64,
    ) -> io::Result<Option<Arc<Block>>> {
        (self.file_bytes_max, self.file_ms_max) = (file_bytes_max, file_ms_max);
        let tails = numbered(&self.dir, &tail_name(self.name))?;
        // The highest there is: this one's number has to cover them all.
        self.tail_number = tails.last().map_or(self.tail_number, |(number, _)| *number);
        let block = if rows.is_empty() { None } else { Some(self.seal(rows, now_ms)?.0) };
        for (number, path) in tails {
            fs::remove_file(path)?;
            self.tail_number = self.tail_number.max(number + 1);
        }
        Ok(block)
    }

    /// Appends rows to the tail. What it took on the disk.
    pub(super) fn append(&mut self, rows: &[R], now_ms: u64) -> io::Result<u64> {
        lots(rows).map(|lot| self.append_lot(lot, now_ms)).sum()
    }

    fn append_lot(&mut self, rows: &[R], now_ms: u64) -> io::Result<u64> {
        let mut zone = R::zone(rows);
        zone.written_ms = now_ms;
        let block = pack(rows, &zone);
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => {
                let path = path(&self.dir, &tail_name(self.name), self.tail_number);
                self.tail_bytes = MARK.len() as u64;
                self.tail.insert(create(&path)?)
            }
        };
        tail.write_all(&block)?;
        self.tail_bytes += block.len() as u64;
        Ok(block.len() as u64)
    }

    /// Packs rows, all of those in the tail, into a block of a file, and what it took there. The tail is over.
    pub(super) fn seal(&mut self, rows: &[R], now_ms: u64) -> io::Result<(Arc<Block>, u64)> {
        let mut zone = R::zone(rows);
        (zone.written_ms, zone.tail) = (now_ms, self.tail_number);
        let packed = pack(rows, &zone);
        self.rotate(now_ms)?;
        let (Some(open), Some(file)) = (&mut self.open, self.files.back_mut()) else {
            return Err(io::Error::other("no file is open"));
        };
        let at = file.bytes;
        if let Err(error) = open.write_all(&packed) {
            // What was written of it is passed over by who reads; the next block begins in a file of its own.
            self.open = None;
            return Err(error);
        }
        file.bytes += packed.len() as u64;
        file.written_ms = now_ms;
        let block = appended(&file.path, at)?
            .ok_or_else(|| io::Error::other("a block is not where it was written"))?;
        if self.tail.take().is_some() {
            let _ = fs::remove_file(path(&self.dir, &tail_name(self.name), self.tail_number));
        }
        self.tail_bytes = 0;
        self.tail_number += 1;
        Ok((block, packed.len() as u64))
    }

    /// What it takes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.tail_bytes + self.files.iter().map(|file| file.bytes).sum::<u64>()
    }

    /// Removes the oldest file; which one.
    pub(super) fn remove_oldest(&mut self) -> Option<PathBuf> {
        let file = self.files.pop_front()?;
        if self.files.is_empty() {
            self.open = None;
        }
        let _ = fs::remove_file(&file.path);
        Some(file.path)
    }

    /// Whether the oldest file has nothing that was written after this.
    pub(super) fn oldest_is_before(&self, ms: u64) -> bool {
        self.files.front().is_some_and(|file| file.written_ms < ms)
    }

    fn rotate(&mut self, now_ms: u64) -> io::Result<()> {
        let is_full = self.files.back().is_none_or(|file| {
            file.bytes >= self.file_bytes_max || now_ms.saturating_sub(file.begun_ms) >= self.file_ms_max
        });
        if self.open.is_none() || is_full {
            let path = path(&self.dir, self.name, self.next_file);
            self.next_file += 1;
            self.open = Some(create(&path)?);
            let bytes = MARK.len() as u64;
            self.files.push_back(BlockFile { path, bytes, begun_ms: now_ms, written_ms: now_ms });
        }
        Ok(())
    }
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().append(true).create_new(true).open(path)?;
    file.write_all(MARK)?;
    Ok(file)
}

fn tail_name(name: &str) -> String {
    format!("{name}-tail")
}

pub(super) fn path(dir: &Path, name: &str, number: u64) -> PathBuf {
    dir.join(format!("{name}-{number:08}"))
}

/// Files of a name by their numbers.
pub(super) fn numbered(dir: &Path, name: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_prefix(name));
        if let Some(number) = number.and_then(|rest| rest.strip_prefix('-')?.parse().ok()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}
