//! Every version of the format that ever was on somebody's disk is read.
//!
//! `LOG_FIXTURE=write cargo test -p log --test formats` writes the directory of the newest version anew; that is for
//! a version that nobody has yet.

use std::fs;
use std::path::{Path, PathBuf};

use log::conformance::{expect, fill};
use log::disk::RealDisk;
use log::{Config, Embedded, Log, Upkeep, verify};
use tempfile::TempDir;

#[test]
fn version_1() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1");
    if std::env::var("LOG_FIXTURE").is_ok_and(|what| what == "write") {
        write(&fixture);
    }
    let directory = TempDir::new().expect("there is room");
    for file in files(&fixture) {
        let name = file.file_name().expect("it has a name");
        fs::copy(&file, directory.path().join(name)).expect("it is copied");
    }
    let disk = RealDisk::new(directory.path()).expect("it is there");
    assert_eq!(verify(&disk).expect("it verifies").damages, []);
    let log = open(&disk);
    assert_eq!((log.recovery().segments, log.recovery().scanned), (4, 1));
    is_as_it_was(&log);
    // And it goes on.
    fill(&log, 2, 3, 1000);
    log.close().expect("it closes");
    expect(&open(&disk), 2, 1, 6, 1000);
}

/// A log with sealed segments, one that is not, one that was given back, and shards that were trimmed in part and as a whole.
fn write(directory: &Path) {
    let _ = fs::remove_dir_all(directory);
    let disk = RealDisk::new(directory).expect("it is made");
    let log = open(&disk);
    (0..30).for_each(|_| fill(&log, 0, 1, 700));
    fill(&log, 7, 5, 20);
    log.close().expect("it closes");
    let log = open(&disk);
    (0..30).for_each(|_| fill(&log, 0, 1, 700));
    fill(&log, 2, 3, 1000);
    fill(&log, 3, 4, 0);
    log.trim(0, 24).expect("it trims");
    log.trim(7, 100).expect("it trims");
    is_as_it_was(&log);
    drop(log);
    fs::remove_file(directory.join("lock")).expect("it is there");
}

fn is_as_it_was(log: &impl Log) {
    assert!(log.first(0) > 1 && log.first(0) <= 24);
    expect(log, 0, log.first(0), 60, 700);
    expect(log, 2, 1, 3, 1000);
    expect(log, 3, 1, 4, 0);
    assert_eq!((log.last(7), log.last(1)), (5, 0));
}

fn open(disk: &RealDisk) -> Embedded<RealDisk> {
    let config = Config {
        segment_bytes: 16 << 10,
        record_bytes_max: 4 << 10,
        upkeep: Upkeep::Inline,
        ..Config::default()
    };
    Embedded::open(disk.clone(), config).expect("it opens")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the fixture is there");
    entries.map(|entry| entry.expect("it is listed").path()).collect()
}
