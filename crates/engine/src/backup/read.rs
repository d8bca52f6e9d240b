//! Reading a backup: whatever the bytes are, what comes out of it is whole, in order and complete, or an error.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use machine::body::Kept;
use machine::{Shard, Shards, Table, Time};
use prost::Message;

use super::format::{
    FRAME_BYTES_MAX, FRAME_HEAD_BYTES, GivenUp, Header, Kind, MAGIC, Pairs, ShardIs, Trailer, VERSION,
    checksum,
};
use super::{At, Summary};
use crate::store::Pair;

/// Reads a backup, part by part.
pub struct Reader<R> {
    frames: Frames<R>,
    header: Header,
    /// How many shards have begun.
    begun: u32,
    /// The last key of the shard that comes.
    last_key: Bytes,
    pairs: u64,
}

/// What comes next in a backup.
#[derive(Debug)]
pub enum Part {
    /// A shard begins.
    Shard(At),
    /// Some of its pairs, with ascending keys.
    Pairs(Vec<Pair>),
    /// It is over, and nothing of it was missing.
    End(Summary),
}

/// Why a backup cannot be read.
#[derive(Clone, Debug)]
pub enum Unreadable {
    /// Reading failed.
    Failed(Arc<io::Error>),
    /// It is something else.
    Other,
    /// A newer program has made it.
    Version(u32),
    /// It is of so many shards, which cannot be.
    Shards(String),
    /// It ends before its end.
    CutOff {
        /// After how many bytes.
        offset: u64,
    },
    /// It is not what was written.
    Damaged {
        /// In the frame that begins at which byte.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Who made it could not go on.
    GivenUp(String),
}

impl<R: Read> Reader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    ///
    /// If it is no backup, or one that this program cannot read.
    pub fn new(read: R) -> Result<Reader<R>, Unreadable> {
        let mut frames = Frames::begin(read)?;
        let header: Header = match frames.next()? {
            (Kind::Header, payload) => frames.decode(payload)?,
            (Kind::GivenUp, payload) => return Err(frames.given_up(payload)),
            _ => return Err(frames.damaged("it does not begin with its header")),
        };
        Shards::new(header.shards).map_err(Unreadable::Shards)?;
        Ok(Reader { frames, header, begun: 0, last_key: Bytes::new(), pairs: 0 })
    }

    /// What it is of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many bytes have been read.
    pub fn bytes(&self) -> u64 {
        self.frames.offset
    }

    /// The next part; not to be called again after the end or an error.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not what was written.
    pub fn part(&mut self) -> Result<Part, Unreadable> {
        let so_far = self.frames.checksum;
        let (kind, payload) = self.frames.next()?;
        match kind {
            Kind::Shard => self.shard(payload),
            Kind::Pairs => self.pairs(payload),
            Kind::Trailer => self.end(payload, so_far),
            Kind::Header => Err(self.frames.damaged("a second header")),
            Kind::GivenUp => Err(self.frames.given_up(payload)),
        }
    }

    fn shard(&mut self, payload: Bytes) -> Result<Part, Unreadable> {
        let is: ShardIs = self.frames.decode(payload)?;
        if is.shard != self.begun || is.shard >= self.header.shards {
            return Err(self.frames.damaged("another shard comes than should"));
        }
        if is.sequence >= log::SEQUENCE_MAX {
            return Err(self.frames.damaged("a sequence that cannot be"));
        }
        self.begun += 1;
        self.last_key = Bytes::new();
        let time = Time::from_millis(is.time_ms);
        Ok(Part::Shard(At { shard: Shard(is.shard), sequence: is.sequence, time }))
    }

    fn pairs(&mut self, payload: Bytes) -> Result<Part, Unreadable> {
        let all: Pairs = self.frames.decode(payload)?;
        let mut pairs = Vec::with_capacity(all.pairs.len());
        for pair in all.pairs {
            let is_one = pair.key.first().is_some_and(|table| (1..u8::MAX).contains(table));
            if self.begun == 0 || !is_one || pair.key <= self.last_key {
                return Err(self.frames.damaged("a key that cannot be there"));
            }
            if pair.key[0] == Table::Kept as u8 && !is_whole(&pair.value) {
                return Err(self.frames.damaged("a payload is missing"));
            }
            self.last_key = pair.key;
            self.pairs += 1;
            pairs.push((self.last_key.to_vec(), pair.value));
        }
        Ok(Part::Pairs(pairs))
    }

    fn end(&mut self, payload: Bytes, checksum: u32) -> Result<Part, Unreadable> {
        let is: Trailer = self.frames.decode(payload)?;
        let should = Trailer { frames: self.frames.count - 1, pairs: self.pairs, checksum };
        if is != should || self.begun != self.header.shards {
            return Err(self.frames.damaged("not all of it is there, or it is from another"));
        }
        if self.frames.read(&mut [0])? > 0 {
            return Err(self.frames.damaged("something follows its end"));
        }
        let Header { shards, created_ms, .. } = self.header;
        Ok(Part::End(Summary { shards, pairs: self.pairs, bytes: self.frames.offset, created_ms }))
    }
}

/// A payload is there, and as long as it says; or known to be lost.
fn is_whole(value: &Bytes) -> bool {
    let kept = Kept::decode(value.clone());
    kept.is_ok_and(|kept| match &kept.moved {
        Some(moved) => moved.len() == kept.length as usize,
        None => kept.lost,
    })
}

/// Reads frames.
struct Frames<R> {
    read: R,
    count: u64,
    offset: u64,
    /// Where the frame began that was read last.
    at: u64,
    /// Of all that was read.
    checksum: u32,
}

impl<R: Read> Frames<R> {
    fn begin(read: R) -> Result<Frames<R>, Unreadable> {
        let mut frames = Frames { read, count: 0, offset: 0, at: 0, checksum: 0 };
        let mut prologue = [0; MAGIC.len() + 4];
        let length = frames.read(&mut prologue)?;
        let (magic, version) = prologue.split_at(MAGIC.len());
        if !MAGIC.starts_with(&magic[..length.min(magic.len())]) {
            return Err(Unreadable::Other);
        }
        if length < prologue.len() {
            return Err(Unreadable::CutOff { offset: frames.offset });
        }
        match u32::from_le_bytes(version.try_into().expect("four bytes")) {
            VERSION => Ok(frames),
            version => Err(Unreadable::Version(version)),
        }
    }

    fn next(&mut self) -> Result<(Kind, Bytes), Unreadable> {
        self.at = self.offset;
        let mut head = [0; FRAME_HEAD_BYTES];
        self.read_all(&mut head)?;
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let (length, sum) = (number(&head[1..5]) as usize, number(&head[5..]));
        let kind = Kind::of(head[0]).ok_or_else(|| self.damaged("a frame of a kind that is not known"))?;
        if length > FRAME_BYTES_MAX {
            return Err(self.damaged("a frame is longer than any"));
        }
        let mut payload = vec![0; length];
        self.read_all(&mut payload)?;
        if checksum(self.count, kind, &payload) != sum {
            return Err(self.damaged("a checksum does not fit"));
        }
        self.count += 1;
        Ok((kind, payload.into()))
    }

    fn decode<M: Message + Default>(&self, payload: Bytes) -> Result<M, Unreadable> {
        M::decode(payload).map_err(|_| self.damaged("a frame cannot be understood"))
    }

    fn given_up(&self, payload: Bytes) -> Unreadable {
        self.decode(payload).map_or_else(|odd| odd, |given_up: GivenUp| Unreadable::GivenUp(given_up.why))
    }

    fn damaged(&self, what: &'static str) -> Unreadable {
        Unreadable::Damaged { offset: self.at, what }
    }

    fn read_all(&mut self, buffer: &mut [u8]) -> Result<(), Unreadable> {
        match self.read(buffer)? == buffer.len() {
            true => Ok(()),
            false => Err(Unreadable::CutOff { offset: self.offset }),
        }
    }

    /// Fills `buffer` as far as there is something.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        let mut length = 0;
        while length < buffer.len() {
            match self.read.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Unreadable::Failed(Arc::new(error))),
            }
        }
        self.offset += length as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, &buffer[..length]);
        Ok(length)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Failed(_) => f.write_str("cannot read the backup"),
            Unreadable::Other => f.write_str("this is no backup"),
            Unreadable::Version(version) => {
                write!(f, "the backup has version {version} of the format, and this program knows {VERSION}")
            }
            Unreadable::Shards(odd) => write!(f, "the backup cannot be: {odd}"),
            Unreadable::CutOff { offset } => {
                write!(f, "the backup is cut off: it ends after {offset} bytes, before its end")
            }
            Unreadable::Damaged { offset, what } => {
                write!(f, "the backup is damaged at byte {offset}: {what}")
            }
            Unreadable::GivenUp(why) => write!(f, "the backup was not finished: {why}"),
        }
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Unreadable::Failed(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}
