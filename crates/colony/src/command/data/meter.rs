//! How far something is that takes a while.

use std::time::{Duration, Instant};

use engine::backup::Progress;

use super::bytes;
use crate::terminal;

/// Says on standard error how far something is, once it has taken a second.
pub(super) struct Meter {
    what: &'static str,
    begun: Instant,
    said: Option<Instant>,
}

impl Meter {
    pub(super) fn new(what: &'static str) -> Meter {
        Meter { what, begun: Instant::now(), said: None }
    }

    /// What comes before anything is written.
    pub(super) fn opening(&mut self, shard: u32, shards: u32) {
        self.say(|_| format!("opening: shard {shard} of {shards}"));
    }

    pub(super) fn at(&mut self, progress: &Progress) {
        let Progress { shard, shards, bytes: done } = *progress;
        let what = self.what;
        self.say(|seconds| {
            let rate = bytes((done as f64 / seconds) as u64);
            format!("{what}: shard {shard} of {shards}, {}, {rate}/s", bytes(done))
        });
    }

    pub(super) fn verifying(&mut self, what: &str) {
        self.say(|_| format!("reading it again: {what}"));
    }

    pub(super) fn end(&self) {
        terminal::end_progress();
    }

    fn say(&mut self, text: impl FnOnce(f64) -> String) {
        let since = self.begun.elapsed();
        if since >= QUIET && self.said.is_none_or(|said| said.elapsed() >= AGAIN) {
            self.said = Some(Instant::now());
            terminal::progress(&text(since.as_secs_f64()));
        }
    }
}

/// What is over sooner needs no word.
const QUIET: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(100);
