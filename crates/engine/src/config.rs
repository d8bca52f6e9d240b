//! What can be set.

use std::time::Duration;

use machine::Shards;
use machine::limits::BODY_BYTES_MAX;

/// How an engine runs. Valid as it stands; [`Config::check`] refuses what cannot work.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many shards there are. Fixed when the data is created. Default 16.
    pub shards: u32,
    /// How many threads apply commands, each for its share of the shards. Zero for half as many as there are
    /// cores, but at least one, which leaves the others to those who ask. Default zero.
    pub workers: usize,
    /// Largest payload in bytes. Default 1 MiB. What is larger is refused.
    pub body_bytes_max: usize,
    /// Most commands that wait for a worker. What comes above is refused with [`crate::Error::Overloaded`].
    /// Default 16,384.
    pub waiting_max: usize,
    /// Most bytes of commands that wait for a worker. Default 64 MiB.
    pub waiting_bytes_max: usize,
    /// Most bytes of commands in one batch of a worker. Default 4 MiB: a larger one does not sync faster, and lets
    /// those who come after it wait longer.
    pub batch_bytes_max: usize,
    /// How many bytes of changed state in memory start a checkpoint. Default 40 MiB. At four times as many
    /// commands have to wait for it. More takes longer to apply again after a crash.
    pub checkpoint_bytes: usize,
    /// How many bytes of commands in the log start a checkpoint, however little has changed. Default 256 MiB. More takes longer
    /// to apply again after a crash, and keeps the log longer.
    pub checkpoint_log_bytes: u64,
    /// At the latest after how long changed state gets into a checkpoint. Default one minute.
    pub checkpoint_after: Duration,
    /// How many bytes the log may be larger than twice what is alive in it before its oldest part is taken
    /// apart: what is alive there moves into the store. Default 256 MiB.
    pub log_bytes_slack: u64,
    /// Most bytes that the store keeps in memory of what it read. Default 32 MiB.
    pub cache_bytes: u64,
    /// The log of a single node, if that is where the log is.
    pub log: log::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            shards: 16,
            workers: 0,
            body_bytes_max: BODY_BYTES_MAX,
            waiting_max: 16_384,
            waiting_bytes_max: 64 << 20,
            batch_bytes_max: 4 << 20,
            checkpoint_bytes: 40 << 20,
            checkpoint_log_bytes: 256 << 20,
            checkpoint_after: Duration::from_secs(60),
            log_bytes_slack: 256 << 20,
            cache_bytes: 32 << 20,
            log: log::Config::default(),
        }
    }
}

impl Config {
    /// The shards.
    ///
    /// # Errors
    ///
    /// A sentence about what cannot work.
    pub fn check(&self) -> Result<Shards, String> {
        let shards = Shards::new(self.shards)?;
        if self.waiting_max == 0 || self.waiting_bytes_max < self.body_bytes_max {
            return Err(format!(
                "commands that wait: {} with {} bytes together; there must be room for one of the largest payload, {} bytes",
                self.waiting_max, self.waiting_bytes_max, self.body_bytes_max
            ));
        }
        if self.checkpoint_bytes == 0 {
            return Err("a checkpoint after 0 bytes: it must be more than none".to_owned());
        }
        Ok(shards)
    }

    /// How many workers there are on a machine with `cores`.
    pub fn workers(&self, cores: usize) -> usize {
        let workers = if self.workers == 0 { cores / 2 } else { self.workers };
        workers.clamp(1, self.shards as usize)
    }
}
