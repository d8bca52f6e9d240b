//! A queue's settings as they are written and told.

use engine::blocks::queue;
use serde::{Deserialize, Serialize};

use crate::duration::Lasting;

/// What is not named is as by default; what is told is all named.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Settings {
    attempts_max: Option<u32>,
    lease: Option<Lasting>,
    backoff: Option<Lasting>,
    backoff_max: Option<Lasting>,
    dead_letters: Option<bool>,
    dead_letters_expired: Option<bool>,
    dedup_window: Option<Lasting>,
    concurrency: Option<u32>,
    key_concurrency: Option<u32>,
    rate: Option<Rate>,
    key_rate: Option<Rate>,
    length_max: Option<u64>,
    spread: Option<bool>,
}

/// So many in a time, and so many at once after a pause.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    count: u32,
    per: Lasting,
    burst: Option<u32>,
}

impl Settings {
    pub(super) fn lower(self) -> queue::Settings {
        queue::Settings {
            attempts_max: self.attempts_max.unwrap_or_default(),
            visibility_ms: self.lease.map_or(0, Lasting::millis),
            backoff_ms: self.backoff.map(Lasting::millis),
            backoff_ms_max: self.backoff_max.map_or(0, Lasting::millis),
            dead_letters: self.dead_letters,
            dead_letters_expired: self.dead_letters_expired.unwrap_or_default(),
            dedup_window_ms: self.dedup_window.map(Lasting::millis),
            concurrency: self.concurrency.unwrap_or_default(),
            key_concurrency: self.key_concurrency.unwrap_or_default(),
            rate: self.rate.map(Rate::lower),
            key_rate: self.key_rate.map(Rate::lower),
            length_max: self.length_max.unwrap_or_default(),
            spread: self.spread.unwrap_or_default(),
        }
    }

    pub(super) fn told(settings: &queue::Settings) -> Settings {
        let is = settings.with_defaults();
        Settings {
            attempts_max: Some(is.attempts_max),
            lease: Some(Lasting::of_millis(is.visibility_ms)),
            backoff: is.backoff_ms.map(Lasting::of_millis),
            backoff_max: Some(Lasting::of_millis(is.backoff_ms_max)),
            dead_letters: is.dead_letters,
            dead_letters_expired: Some(is.dead_letters_expired),
            dedup_window: is.dedup_window_ms.map(Lasting::of_millis),
            concurrency: Some(is.concurrency),
            key_concurrency: Some(is.key_concurrency),
            rate: is.rate.map(Rate::told),
            key_rate: is.key_rate.map(Rate::told),
            length_max: Some(is.length_max),
            spread: Some(is.spread),
        }
    }
}

impl Rate {
    fn lower(self) -> queue::Rate {
        queue::Rate { count: self.count, per_ms: self.per.millis(), burst: self.burst.unwrap_or_default() }
    }

    fn told(rate: queue::Rate) -> Rate {
        Rate { count: rate.count, per: Lasting::of_millis(rate.per_ms), burst: Some(rate.burst) }
    }
}
