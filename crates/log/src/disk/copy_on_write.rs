//! A disk that is looked at as if it could be written to, and stays as it is: what is written is kept in memory.
//!
//! Opening a log seals what was not sealed, and cuts off what a last write left. Whoever only looks at a log, or tries what a
//! repair would make of it, opens it on such a disk: all that opening does is done, by the same code, and nothing
//! gets to the disk. Files are opened for reading alone, so a folder that cannot be written to will do.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, File, LockError};

/// A disk that is looked at as if it could be written to, and stays as it is. A clone sees what was written by the other.
#[derive(Debug)]
pub struct CopyOnWrite<D: Disk> {
    under: Arc<D>,
    /// Files that were opened, or have another name now; nothing for those that were taken away.
    files: Arc<Mutex<Files<D::File>>>,
}

type Files<F> = BTreeMap<String, Option<CopyOnWriteFile<F>>>;

/// A file of such a disk.
#[derive(Debug)]
pub struct CopyOnWriteFile<F> {
    under: Arc<Option<F>>,
    over: Arc<Mutex<Over>>,
}

/// What was written to a file.
#[derive(Debug)]
struct Over {
    len: u64,
    /// Up to where the file underneath shows; beyond there are zeros.
    shows: u64,
    /// By number, what of the file differs.
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl<D: Disk> CopyOnWrite<D> {
    /// What is on `under`.
    pub fn new(under: D) -> CopyOnWrite<D> {
        CopyOnWrite { under: Arc::new(under), files: Arc::default() }
    }
}

impl<D: Disk> Disk for CopyOnWrite<D> {
    type File = CopyOnWriteFile<D::File>;
    type Lock = D::Lock;

    fn list(&self) -> io::Result<Vec<String>> {
        let files = lock(&self.files);
        let mut names = self.under.list()?;
        names.retain(|name| !files.contains_key(name));
        names.extend(files.iter().filter(|(_, file)| file.is_some()).map(|(name, _)| name.clone()));
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        let mut files = lock(&self.files);
        if let Some(known) = files.get(name) {
            return known.clone().ok_or(io::ErrorKind::NotFound.into());
        }
        let file = self.under.open_to_read(name)?;
        let len = file.len()?;
        let file = CopyOnWriteFile::new(Some(file), len);
        files.insert(name.to_owned(), Some(file.clone()));
        Ok(file)
    }

    fn open_to_read(&self, name: &str) -> io::Result<Self::File> {
        self.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Self::File> {
        let file = CopyOnWriteFile::new(None, 0);
        lock(&self.files).insert(name.to_owned(), Some(file.clone()));
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.open(from)?;
        let mut files = lock(&self.files);
        files.insert(from.to_owned(), None);
        files.insert(to.to_owned(), Some(file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.open(name)?;
        lock(&self.files).insert(name.to_owned(), None);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<D::Lock, LockError> {
        self.under.share(name)
    }

    fn share(&self, name: &str) -> Result<D::Lock, LockError> {
        self.under.share(name)
    }

    fn random(&self) -> u64 {
        self.under.random()
    }

    fn path(&self, name: &str) -> String {
        self.under.path(name)
    }
}

impl<F: File> CopyOnWriteFile<F> {
    fn new(under: Option<F>, len: u64) -> CopyOnWriteFile<F> {
        let over = Over { len, shows: len, pages: BTreeMap::new() };
        CopyOnWriteFile { under: Arc::new(under), over: Arc::new(Mutex::new(over)) }
    }

    /// What is underneath, which must not be read beyond its end, with zeros behind.
    fn read_under(&self, over: &Over, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let there = over.shows.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let (shown, zeros) = buffer.split_at_mut(there);
        zeros.fill(0);
        match self.under.as_ref() {
            Some(under) if there > 0 => under.read_at(shown, offset),
            _ => Ok(()),
        }
    }
}

impl<F: File> File for CopyOnWriteFile<F> {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.over).len)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let over = lock(&self.over);
        let end = offset + buffer.len() as u64;
        if end > over.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_under(&over, buffer, offset)?;
        for (number, page) in over.pages.range(offset / PAGE as u64..=end / PAGE as u64) {
            let begin = number * PAGE as u64;
            let (from, to) = (offset.max(begin), end.min(begin + PAGE as u64));
            if from < to {
                let piece = &page[(from - begin) as usize..(to - begin) as usize];
                buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(piece);
            }
        }
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut over = lock(&self.over);
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        while at < end {
            let number = at / PAGE as u64;
            let begin = number * PAGE as u64;
            let to = end.min(begin + PAGE as u64);
            if !over.pages.contains_key(&number) {
                let mut page = Box::new([0; PAGE]);
                self.read_under(&over, page.as_mut_slice(), begin)?;
                over.pages.insert(number, page);
            }
            if let Some(page) = over.pages.get_mut(&number) {
                let piece = &bytes[(at - offset) as usize..(to - offset) as usize];
                page[(at - begin) as usize..(to - begin) as usize].copy_from_slice(piece);
            }
            at = to;
        }
        over.len = over.len.max(end);
        Ok(())
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let mut over = lock(&self.over);
        over.len = over.len.max(len);
        Ok(())
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        let mut over = lock(&self.over);
        over.len = over.len.min(len);
        over.shows = over.shows.min(len);
        let pages = len.div_ceil(PAGE as u64);
        over.pages.retain(|number, _| *number < pages);
        if let Some(page) = over.pages.get_mut(&(len / PAGE as u64)) {
            page[(len % PAGE as u64) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl<D: Disk> Clone for CopyOnWrite<D> {
    fn clone(&self) -> CopyOnWrite<D> {
        CopyOnWrite { under: Arc::clone(&self.under), files: Arc::clone(&self.files) }
    }
}

impl<F> Clone for CopyOnWriteFile<F> {
    fn clone(&self) -> CopyOnWriteFile<F> {
        CopyOnWriteFile { under: Arc::clone(&self.under), over: Arc::clone(&self.over) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Simulated;

    /// What is written, cut, renamed and removed reads as on a disk of its own, and the one underneath is as it was.
    #[test]
    fn it_reads_as_if_it_were_written() {
        let (under, own) = (Simulated::new(1), Simulated::new(1));
        let content: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
        for disk in [&under, &own] {
            disk.set_content("a", &content);
            disk.set_content("b", b"b");
        }
        let over = CopyOnWrite::new(under.clone());
        let mut seed = 7_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..2000 {
            let (offset, length, how) = (next(22_000), next(9_000) as usize, next(12));
            let (ours, theirs) = (over.open("a").expect("there"), own.open("a").expect("there"));
            let bytes = vec![round as u8; length];
            let both: [&dyn File; 2] = [&ours, &theirs];
            let _: [(); 2] = both.map(|file| match how {
                0 => file.cut(offset).expect("cut"),
                1 => file.reserve(offset).expect("reserved"),
                _ => file.write_at(&bytes, offset).expect("written"),
            });
            let len = theirs.len().expect("its length");
            assert_eq!(ours.len().expect("its length"), len, "round {round}");
            let from = next(len + 1);
            let mut read = [vec![1; (len - from) as usize], vec![2; (len - from) as usize]];
            for (file, read) in both.iter().zip(&mut read) {
                file.read_at(read, from).expect("read");
            }
            assert!(read[0] == read[1], "round {round}: {how} at {offset} for {length}");
            assert!(ours.read_at(&mut [0; 2], len - 1).is_err(), "beyond the end");
        }
        over.rename("a", "c").expect("renamed");
        over.remove("b").expect("removed");
        over.create("d").expect("made");
        assert_eq!(over.list().expect("listed"), ["c", "d"]);
        assert!(over.open("a").is_err() && over.open("b").is_err() && over.rename("a", "e").is_err());
        assert_eq!(under.list().expect("listed"), ["a", "b"]);
        assert_eq!(under.content("a"), Some(content));
    }
}
