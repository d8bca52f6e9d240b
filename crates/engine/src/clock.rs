//! The clock that commands are stamped with.

use std::time::SystemTime;

use machine::Time;

/// A clock. It may jump: a shard's time stands still until a clock that jumped back has caught up.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Time;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Time {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Time::ZERO + since_epoch
    }
}
