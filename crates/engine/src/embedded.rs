//! The engine of a single node: log and store in one folder, or both in memory.

use std::path::Path;
use std::sync::Arc;

use log::disk::RealDisk;

use crate::backup::check_finished;
use crate::blocks::config::Changes;
use crate::clock::System;
use crate::config::Config;
use crate::consume::Consumer;
use crate::engine::Engine;
use crate::error::OpenError;
use crate::feed::Feed;
use crate::store::{Fjall, Memory};

/// An engine whose log and store lie in one folder of this machine.
pub type Embedded = Engine<EmbeddedLog, Fjall>;

/// Its log.
pub type EmbeddedLog = log::Embedded<RealDisk>;

/// An engine that keeps all in memory, and forgets it at its end.
pub type InMemory = Engine<log::Memory, Memory>;

/// What happens to configuration of an [`Embedded`] engine.
pub type EmbeddedChanges = Feed<EmbeddedLog, Fjall, Changes>;

/// What happens to configuration of an [`InMemory`] engine.
pub type InMemoryChanges = Feed<log::Memory, Memory, Changes>;

/// One of a group's consumers of an [`Embedded`] engine's topic.
pub type EmbeddedConsumer = Consumer<log::Embedded<RealDisk>, Fjall>;

/// One of a group's consumers of an [`InMemory`] engine's topic.
pub type InMemoryConsumer = Consumer<log::Memory, Memory>;

impl InMemory {
    /// Begins with nothing.
    ///
    /// # Errors
    ///
    /// If the configuration cannot work.
    pub fn open_empty(config: Config) -> Result<InMemory, OpenError> {
        Engine::open(config, Arc::new(log::Memory::new()), Arc::new(Memory::new()), System)
    }
}

impl Embedded {
    /// Opens what is in `folder`, or creates it. Whoever may connects to a socket in the folder and gets a backup.
    ///
    /// # Errors
    ///
    /// If another process has it open, or it is damaged, cannot be read, or was created with another number of
    /// shards.
    pub fn open_in(folder: &Path, config: Config) -> Result<Embedded, OpenError> {
        check_finished(folder)?;
        let disk = RealDisk::new(folder.join(LOG_FOLDER)).map_err(|error| OpenError::Folder(error.into()))?;
        // The log first: its lock says that nobody else has the store.
        let log = log::Embedded::open(disk, config.log.clone()).map_err(OpenError::Open)?;
        let store = Fjall::open(&folder.join(STORE_FOLDER), config.cache_bytes)?;
        let mut engine = Engine::open(config, Arc::new(log), Arc::new(store), System)?;
        engine.serve_backups(folder);
        Ok(engine)
    }
}

/// Where the log lies in a node's folder.
pub const LOG_FOLDER: &str = "log";
/// Where the store lies in a node's folder.
pub const STORE_FOLDER: &str = "store";
