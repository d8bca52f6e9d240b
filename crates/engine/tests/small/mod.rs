//! An engine in which little is much, and what is written to it: for stories of damage and of disks that fail.

use std::time::Duration;

use bytes::Bytes;
use engine::Config;
use machine::{Entry, kv};

/// Small, so that segments are filled and checkpoints written within a test; and all reads are of the disk.
pub fn config() -> Config {
    let log = log::Config {
        segment_bytes: 64 << 10,
        record_bytes_max: 16 << 10,
        cache_bytes: 0,
        ..log::Config::default()
    };
    Config {
        body_bytes_max: 8 << 10,
        checkpoint_log_bytes: 64 << 10,
        log_bytes_slack: 128 << 10,
        checkpoint_after: Duration::from_secs(3600),
        log,
        ..Config::default()
    }
}

pub fn key(number: u32) -> Bytes {
    Bytes::from(format!("key {number}"))
}

/// Too long to lie beside its pointer.
pub fn value(number: u32) -> Bytes {
    Bytes::from((number | 0xA5A5_0000).to_le_bytes().repeat(256))
}

pub fn put(number: u32) -> Entry {
    let put = kv::Put { store: "store".to_owned(), key: key(number), ..kv::Put::default() };
    Entry::new(put).with_body(value(number))
}
