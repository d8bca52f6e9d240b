//! A backup of a folder that no process has open.

use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use log::{Log as _, ReadError};
use machine::{Order, Read as _, Shard};

use super::{At, BackupError, CHUNK_BYTES, Progress, Source, Summary, write};
use crate::clock::{Clock, System};
use crate::error::Failure;
use crate::inspection::Inspection;
use crate::store::Pair;

struct Still<'a> {
    inspection: &'a Inspection,
    at: Vec<At>,
}

impl Inspection {
    /// Writes what the folder holds to `out`, as a backup. `progress` is told now and then.
    ///
    /// # Errors
    ///
    /// If log or store cannot be read, or `out` cannot be written.
    pub fn backup(
        &self,
        out: &mut dyn io::Write,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Summary, BackupError> {
        let hold = || Ok(Still { at: self.at(), inspection: self });
        write(hold, System.now(), out, progress)
    }

    fn at(&self) -> Vec<At> {
        let at = self.shards().iter().map(|shared| {
            let applied = shared.read();
            At { shard: shared.shard(), sequence: applied.sequence, time: applied.time }
        });
        at.collect()
    }
}

impl Source for Still<'_> {
    fn at(&self) -> &[At] {
        &self.at
    }

    fn chunk(&self, shard: Shard, from: &[u8]) -> Result<Vec<Pair>, Failure> {
        let applied = self.inspection.shards()[shard.0 as usize].read();
        let (mut pairs, mut bytes) = (Vec::new(), 0);
        applied.state.scan(from, &[u8::MAX], Order::Forwards, &mut |key, value| {
            bytes += key.len() + value.len();
            pairs.push((key.to_vec(), value.clone()));
            if bytes >= CHUNK_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match applied.state.failure() {
            Some(failure) => Err(Failure::Store(failure.clone())),
            None => Ok(pairs),
        }
    }

    fn record(&self, shard: Shard, sequence: u64) -> Result<Bytes, ReadError> {
        self.inspection.log().get(shard.0, sequence)
    }
}
