//! What can be set of a queue, and what holds where nothing is set.

use super::{DEDUP_WINDOW_MS_MAX, VISIBILITY_MS_MAX, check_within};
use crate::refusal::{Code, Refusal};
use crate::time::backoff_ms;

/// A queue's settings: a value under [`Table::Queue`](crate::Table::Queue). A queue that nobody defined has
/// the defaults.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Settings {
    /// How often an item is handed out before it is dead. Default, and meaning of zero: 10. One: it is
    /// never tried again.
    #[prost(uint32, tag = "1")]
    pub attempts_max: u32,
    /// How long a lease is, in milliseconds, where `Receive` does not say. Default, and meaning of zero:
    /// 30 s. Most: 12 hours.
    #[prost(uint64, tag = "2")]
    pub visibility_ms: u64,
    /// How long an item is delayed after its first failure, in milliseconds; doubled after each further one.
    /// Default: 1 s. Zero: it is ready again at once.
    #[prost(uint64, optional, tag = "3")]
    pub backoff_ms: Option<u64>,
    /// The longest such delay, in milliseconds. Default, and meaning of zero: 15 minutes.
    #[prost(uint64, tag = "4")]
    pub backoff_ms_max: u64,
    /// Whether an item whose attempts are used up is kept as a dead letter. Default: yes. No: it is gone.
    #[prost(bool, optional, tag = "5")]
    pub dead_letters: Option<bool>,
    /// Whether an item that is too old by its time to live is kept as a dead letter, too. Default: no.
    #[prost(bool, tag = "6")]
    pub dead_letters_expired: bool,
    /// For how long a deduplication id is remembered after an item was sent with it, in milliseconds.
    /// Default: 5 minutes. Zero: not at all. Most: 7 days. Costs a record and an index entry an item.
    #[prost(uint64, optional, tag = "7")]
    pub dedup_window_ms: Option<u64>,
    /// Most items that are leased at a time. Default, and zero: no limit.
    #[prost(uint32, tag = "8")]
    pub concurrency: u32,
    /// Most items of one key that are leased at a time. Default, and zero: no limit. Costs a record a key
    /// of which items are leased or blocked.
    #[prost(uint32, tag = "9")]
    pub key_concurrency: u32,
    /// How many items are handed out in a time. Default: no limit.
    #[prost(message, optional, tag = "10")]
    pub rate: Option<Rate>,
    /// How many items of one key are handed out in a time. Default: no limit. Costs as `key_concurrency`.
    #[prost(message, optional, tag = "11")]
    pub key_rate: Option<Rate>,
    /// Most items in the queue, in whatever state, dead letters too: more are refused. Default, and meaning
    /// of zero: ten million.
    #[prost(uint64, tag = "12")]
    pub length_max: u64,
    /// Whether the queue lies in all shards, each with a share of its items and an order of its own, instead of in
    /// one. Items of a key are together. It cannot be taken back, for there may be items. Limits of the queue as a
    /// whole (`concurrency`, `rate`) are not to be had then, and `length_max` is that of each shard. Default: no.
    #[prost(bool, tag = "13")]
    pub spread: bool,
}

/// A rate: `count` in every `per_ms`, and up to `burst` at once after a pause.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Rate {
    /// How many; at least one.
    #[prost(uint32, tag = "1")]
    pub count: u32,
    /// In how many milliseconds; 1 to a day.
    #[prost(uint64, tag = "2")]
    pub per_ms: u64,
    /// How many at once after a pause. Zero counts as one.
    #[prost(uint32, tag = "3")]
    pub burst: u32,
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_within("a lease", self.visibility_ms, VISIBILITY_MS_MAX)?;
        check_within("a backoff", self.backoff_ms.unwrap_or(0), super::DELAY_MS_MAX)?;
        check_within("a longest backoff", self.backoff_ms_max, super::DELAY_MS_MAX)?;
        check_within("a deduplication window", self.dedup_window_ms.unwrap_or(0), DEDUP_WINDOW_MS_MAX)?;
        if self.length_max > LENGTH_MAX {
            let long = format!("a queue of {} items; {LENGTH_MAX} are the most", self.length_max);
            return Err(Refusal::new(Code::Invalid, long));
        }
        if self.spread && (self.concurrency > 0 || self.rate.is_some()) {
            let no = "a queue that is spread over all shards has no limit of its own for concurrency or rate: limit \
                      its keys, or do not spread it";
            return Err(Refusal::new(Code::Invalid, no));
        }
        self.rate.iter().chain(&self.key_rate).try_for_each(Rate::check_range)
    }

    /// The same, with the defaults where nothing is set.
    #[must_use]
    pub fn with_defaults(&self) -> Settings {
        Settings {
            attempts_max: self.attempts_max(),
            visibility_ms: self.visibility_ms(),
            backoff_ms: self.backoff_ms.or(Some(BACKOFF_MS_DEFAULT)),
            backoff_ms_max: if self.backoff_ms_max == 0 {
                BACKOFF_MS_MAX_DEFAULT
            } else {
                self.backoff_ms_max
            },
            dead_letters: Some(self.keeps_dead_letters()),
            dedup_window_ms: Some(self.window_ms()),
            length_max: self.length_max(),
            ..self.clone()
        }
    }

    pub(super) fn attempts_max(&self) -> u32 {
        if self.attempts_max == 0 { ATTEMPTS_DEFAULT } else { self.attempts_max }
    }

    pub(super) fn visibility_ms(&self) -> u64 {
        if self.visibility_ms == 0 { VISIBILITY_MS_DEFAULT } else { self.visibility_ms }
    }

    /// The delay after the `failed`th failure. No jitter: what comes back is handed out as fast as
    /// consumers ask, so there is no crowd to spread.
    pub(super) fn wait_ms(&self, failed: u32) -> u64 {
        let first = self.backoff_ms.unwrap_or(BACKOFF_MS_DEFAULT);
        let max = if self.backoff_ms_max == 0 { BACKOFF_MS_MAX_DEFAULT } else { self.backoff_ms_max };
        backoff_ms(first, failed, max)
    }

    pub(super) fn keeps_dead_letters(&self) -> bool {
        self.dead_letters.unwrap_or(true)
    }

    pub(super) fn window_ms(&self) -> u64 {
        self.dedup_window_ms.unwrap_or(DEDUP_WINDOW_MS_DEFAULT)
    }

    pub(super) fn length_max(&self) -> u64 {
        if self.length_max == 0 { LENGTH_DEFAULT } else { self.length_max }
    }

    /// Whether keys have limits, so that how many of each are leased is counted.
    pub(super) fn limits_keys(&self) -> bool {
        self.key_concurrency > 0 || self.key_rate.is_some()
    }
}

impl Rate {
    fn check_range(&self) -> Result<(), Refusal> {
        if self.count == 0 || self.per_ms == 0 || self.per_ms > RATE_PER_MS_MAX || self.burst > RATE_BURST_MAX
        {
            let odd = format!(
                "a rate of {} in {} ms with a burst of {}: at least one in 1 to {RATE_PER_MS_MAX} ms with a burst \
                 of {RATE_BURST_MAX} at most; to hand nothing out, pause the queue",
                self.count, self.per_ms, self.burst
            );
            return Err(Refusal::new(Code::Invalid, odd));
        }
        Ok(())
    }
}

const ATTEMPTS_DEFAULT: u32 = 10;
const VISIBILITY_MS_DEFAULT: u64 = 30_000;
const BACKOFF_MS_DEFAULT: u64 = 1_000;
const BACKOFF_MS_MAX_DEFAULT: u64 = 15 * 60_000;
const DEDUP_WINDOW_MS_DEFAULT: u64 = 5 * 60_000;
const LENGTH_DEFAULT: u64 = 10_000_000;
const LENGTH_MAX: u64 = 1_000_000_000;
const RATE_PER_MS_MAX: u64 = 86_400_000;
const RATE_BURST_MAX: u32 = 100_000;
const _: () =
    assert!(VISIBILITY_MS_DEFAULT <= VISIBILITY_MS_MAX && DEDUP_WINDOW_MS_DEFAULT <= DEDUP_WINDOW_MS_MAX);
const _: () = assert!((RATE_PER_MS_MAX * 1_000_000).checked_mul(RATE_BURST_MAX as u64).is_some());
