//! Writing a backup, from whatever holds the state of all shards still.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use log::ReadError;
use machine::body::{self, Body, Kept};
use machine::{Shard, Table, Time, entry};
use prost::Message;

use super::format::{self, Encoder, GivenUp, Header, Kind, PAIRS_BYTES, Pairs, ShardIs};
use super::{At, Progress, Summary};
use crate::error::{Failure, with_causes};
use crate::store::{Pair, StoreError};

/// What all shards are at one moment.
pub(crate) trait Source {
    /// Where they are, in the order of their numbers.
    fn at(&self) -> &[At];

    /// The pairs of `shard` from `from` on, in order: some [`CHUNK_BYTES`] of them, and none if there are no more.
    fn chunk(&self, shard: Shard, from: &[u8]) -> Result<Vec<Pair>, Failure>;

    /// An entry of the log, of which a payload is pointed to.
    fn record(&self, shard: Shard, sequence: u64) -> Result<Bytes, ReadError>;
}

/// Why a backup was not made.
#[derive(Clone, Debug)]
pub enum BackupError {
    /// Log or store cannot be read, or what has changed cannot get into the store.
    Data(Arc<Failure>),
    /// A payload cannot be read.
    Payload {
        /// Whose it is.
        shard: u32,
        /// The entry that brought it.
        sequence: u64,
        /// Why not.
        failure: Arc<Failure>,
    },
    /// It cannot be written to where it should go.
    Write(Arc<io::Error>),
}

/// Writes what `hold` holds to `out`.
pub(crate) fn write<H: Source>(
    hold: impl FnOnce() -> Result<H, Failure>,
    created: Time,
    out: &mut dyn io::Write,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary, BackupError> {
    let mut backup = Backup { encoder: Encoder::begin(out)?, progress, pairs: 0 };
    let held = hold().map_err(|failure| BackupError::Data(Arc::new(failure)));
    let written = held.and_then(|source| backup.all(&source, created));
    written.inspect_err(|error| {
        // Whoever reads it shall know, if anything can still be written there.
        let _ = backup.encoder.frame(Kind::GivenUp, &GivenUp { why: with_causes(error) });
    })
}

struct Backup<'a> {
    encoder: Encoder<'a>,
    progress: &'a mut dyn FnMut(&Progress),
    pairs: u64,
}

/// Where the payloads are that a shard's state points to.
struct Payloads<'a> {
    shard: Shard,
    record: &'a dyn Fn(u64) -> Result<Bytes, ReadError>,
    /// The entry that was read last: payloads that came together are side by side.
    last: Option<(u64, Bytes)>,
}

impl Backup<'_> {
    fn all(&mut self, source: &impl Source, created: Time) -> Result<Summary, BackupError> {
        let shards = source.at().len() as u32;
        let created_ms = created.as_millis();
        self.encoder.frame(Kind::Header, &Header { shards, machine: machine::VERSION, created_ms })?;
        for At { shard, sequence, time } in source.at() {
            let is = ShardIs { shard: shard.0, sequence: *sequence, time_ms: time.as_millis() };
            self.encoder.frame(Kind::Shard, &is)?;
            self.shard(source, *shard)?;
        }
        self.encoder.end(self.pairs)?;
        Ok(Summary { shards, pairs: self.pairs, bytes: self.encoder.bytes(), created_ms })
    }

    fn shard(&mut self, source: &impl Source, shard: Shard) -> Result<(), BackupError> {
        let shards = source.at().len() as u32;
        let mut from = vec![1];
        let mut next = Pairs::default();
        let record = |sequence| source.record(shard, sequence);
        let mut payloads = Payloads { shard, record: &record, last: None };
        loop {
            let chunk = source.chunk(shard, &from).map_err(|failure| BackupError::Data(Arc::new(failure)))?;
            let Some((last, _)) = chunk.last() else { break };
            from.clone_from(last);
            from.push(0);
            let mut bytes = 0;
            for (key, value) in chunk {
                let value = payloads.put_in(&key, value)?;
                bytes += key.len() + value.len();
                next.pairs.push(format::Pair { key: key.into(), value });
                // Payloads are much larger than what points to them.
                if bytes >= PAIRS_BYTES {
                    self.pairs(&mut next)?;
                    bytes = 0;
                }
            }
            self.pairs(&mut next)?;
            (self.progress)(&Progress { shard: shard.0, shards, bytes: self.encoder.bytes() });
        }
        Ok(())
    }

    fn pairs(&mut self, pairs: &mut Pairs) -> Result<(), BackupError> {
        if !pairs.pairs.is_empty() {
            self.pairs += pairs.pairs.len() as u64;
            self.encoder.frame(Kind::Pairs, pairs)?;
            pairs.pairs.clear();
        }
        Ok(())
    }
}

impl Payloads<'_> {
    /// The value with the payload in it, if it speaks of one.
    fn put_in(&mut self, key: &[u8], value: Bytes) -> Result<Bytes, BackupError> {
        if key.first() != Some(&(Table::Kept as u8)) {
            return Ok(value);
        }
        let found = body::of_key(key).zip(Kept::decode(value.clone()).ok());
        let ((sequence, index), mut kept) = found.ok_or_else(|| {
            BackupError::Data(Arc::new(Failure::Store(StoreError::new("understand", "a payload's count"))))
        })?;
        let shard = self.shard.0;
        let unreadable = |error| {
            let failure = Arc::new(Failure::Read(error));
            BackupError::Payload { shard, sequence, failure }
        };
        if kept.lost {
            return Ok(value);
        }
        let payload = match kept.moved.take() {
            Some(moved) => moved,
            None => match self.payload(sequence, index) {
                // What a repair has given up need not be given up again.
                Err(ReadError::Lost { .. }) => {
                    kept.lost = true;
                    return Ok(kept.encode_to_vec().into());
                }
                payload => payload.map_err(unreadable)?,
            },
        };
        if payload.len() != kept.length as usize {
            let what = format!("a payload of {} bytes has {}", kept.length, payload.len());
            return Err(unreadable(self.damaged(sequence, what)));
        }
        kept.moved = Some(payload);
        Ok(kept.encode_to_vec().into())
    }

    fn payload(&mut self, sequence: u64, index: Body) -> Result<Bytes, ReadError> {
        let record = match &self.last {
            Some((last, record)) if *last == sequence => record.clone(),
            _ => (self.record)(sequence)?,
        };
        self.last = Some((sequence, record.clone()));
        entry::body(record, index).map_err(|odd| self.damaged(sequence, odd.to_string()))
    }

    fn damaged(&self, sequence: u64, what: String) -> ReadError {
        ReadError::Damaged { place: format!("the log of shard {}", self.shard.0), offset: sequence, what }
    }
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> BackupError {
        BackupError::Write(Arc::new(error))
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Data(_) => f.write_str("the data cannot be read"),
            BackupError::Payload { shard, sequence, .. } => {
                write!(f, "a payload of entry {sequence} of shard {shard} cannot be read")
            }
            BackupError::Write(_) => f.write_str("cannot write the backup"),
        }
    }
}

impl std::error::Error for BackupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BackupError::Data(failure) | BackupError::Payload { failure, .. } => Some(failure.as_ref()),
            BackupError::Write(error) => Some(error.as_ref()),
        }
    }
}

/// About how many bytes of pairs are held at a time.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
