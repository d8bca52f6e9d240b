//! What is read of an engine: what has been applied, without a write to the log.

use std::sync::Arc;

use bytes::Bytes;
use log::{Log, ReadError};
use machine::{Shard, Stored, Time};

use super::{Engine, Inner};
use crate::error::{Error, Failure};
use crate::overlay::Overlay;
use crate::store::Store;
use crate::worker::{LastRecord, payload_beside};

impl<L: Log, S: Store> Engine<L, S> {
    /// Looks at what has been applied in `shard`: everything that was acknowledged before, without a write to the log.
    /// `look` gets the state and the time, and must be quick, for the shard waits.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn read<R>(&self, shard: Shard, look: impl FnOnce(&Overlay<S>, Time) -> R) -> Result<R, Error> {
        self.inner.read(shard, look)
    }

    /// As [`Engine::read`], with the payloads that `look` found: it returns where they are, in order.
    ///
    /// # Errors
    ///
    /// If log or store cannot be read; [`Error::Lost`] if one of the payloads is damaged, [`Error::Unreadable`] if the disk cannot
    /// read it at present.
    pub fn read_with_payloads<R>(
        &self,
        shard: Shard,
        look: impl Fn(&Overlay<S>, Time) -> (R, Vec<Stored>),
    ) -> Result<(R, Vec<Bytes>), Error> {
        loop {
            let (looked, stored) = self.read(shard, &look)?;
            if let Some(payloads) = self.inner.payloads(shard, &stored)? {
                return Ok((looked, payloads));
            }
        }
    }
}

impl<L: Log, S: Store> Inner<L, S> {
    pub(crate) fn read<R>(
        &self,
        shard: Shard,
        look: impl FnOnce(&Overlay<S>, Time) -> R,
    ) -> Result<R, Error> {
        self.check_shard(shard)?;
        let applied = self.shared[shard.0 as usize].read();
        let now = self.clock.now().max(applied.time);
        let looked = look(&applied.state, now);
        match applied.state.failure() {
            Some(failure) => Err(Error::Failed(Arc::new(Failure::Store(failure.clone())))),
            None => Ok(looked),
        }
    }

    /// Nothing if one of them has been let go since the state was looked at.
    pub(crate) fn payloads(&self, shard: Shard, stored: &[Stored]) -> Result<Option<Vec<Bytes>>, Error> {
        let mut payloads = Vec::with_capacity(stored.len());
        let mut last = None;
        for stored in stored {
            match self.payload_beside(shard, stored, &mut last)? {
                Some(bytes) => payloads.push(bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(payloads))
    }

    /// Nothing if it has been let go since the state was looked at.
    pub(crate) fn payload(&self, shard: Shard, stored: &Stored) -> Result<Option<Bytes>, Error> {
        self.payload_beside(shard, stored, &mut None)
    }

    /// The same, for payloads that may lie together.
    pub(crate) fn payload_beside(
        &self,
        shard: Shard,
        stored: &Stored,
        last: &mut Option<LastRecord>,
    ) -> Result<Option<Bytes>, Error> {
        let log = self.log.as_ref();
        let found = match payload_beside(log, &machine::Memory::new(), shard, stored, last) {
            Err(Failure::Read(ReadError::Trimmed { .. })) => {
                self.read(shard, |state, _| payload_beside(log, state, shard, stored, last))?
            }
            found => found,
        };
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Failure::Read(ReadError::Trimmed { .. })) => Ok(None),
            Err(failure) => Err(self.not_read(failure)),
        }
    }

    fn not_read(&self, failure: Failure) -> Error {
        if let Some(lost) = failure.lost() {
            self.metrics.lost(1);
            return Error::Lost(lost.clone());
        }
        if let Some(unreadable) = failure.unreadable() {
            self.metrics.unreadable(1);
            return Error::Unreadable(unreadable.clone());
        }
        Error::Failed(Arc::new(failure))
    }
}
