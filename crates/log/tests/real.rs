//! The embedded log on a real disk, where that is not what a simulated one is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::conformance::{expect, fill};
use log::disk::RealDisk;
use log::{Config, Embedded, Log, OpenError};
use tempfile::TempDir;

fn open(directory: &TempDir, config: &Config) -> Result<Embedded<RealDisk>, OpenError> {
    Embedded::open(RealDisk::new(directory.path().join("data")).expect("it is made"), config.clone())
}

fn small() -> Config {
    Config { segment_bytes: 64 << 10, record_bytes_max: 8 << 10, ..Config::default() }
}

#[test]
fn one_process_at_a_time_and_the_other_is_named() {
    let directory = TempDir::new().expect("there is room");
    let log = open(&directory, &small()).expect("it opens");
    let error = open(&directory, &small()).expect_err("it is open");
    let said = error.to_string();
    assert!(matches!(error, OpenError::Locked { .. }), "{said}");
    assert!(
        said.contains(&format!("process {}", std::process::id())) && said.contains("data/lock"),
        "{said}"
    );
    drop(log);
    open(&directory, &small()).expect("it is closed");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let directory = TempDir::new().expect("there is room");
    for config in [
        Config { segment_bytes: 4 << 10, ..small() },
        Config { segment_bytes: 2 << 30, ..small() },
        Config { record_bytes_max: 62 << 10, ..small() },
    ] {
        assert!(matches!(open(&directory, &config), Err(OpenError::Config(_))), "{config:?}");
    }
}

/// Segments that are trimmed are written over rather than made anew, and no more of them are kept than was set.
#[test]
fn segments_are_recycled() {
    let directory = TempDir::new().expect("there is room");
    let log = open(&directory, &small()).expect("it opens");
    for round in 1..=200 {
        fill(&log, 0, 1, 4000);
        if round % 40 == 0 {
            log.trim(0, log.last(0)).expect("it trims");
        }
    }
    let files = |ending: &str| {
        let entries = std::fs::read_dir(directory.path().join("data")).expect("it is there");
        let names = entries
            .map(|entry| entry.expect("it is listed").file_name().into_string().expect("it is a name"));
        names.filter(|name| name.ends_with(ending)).count()
    };
    assert!(files(".segment") <= 4, "{} segments", files(".segment"));
    assert!((1..=2).contains(&files(".spare")), "{} spares", files(".spare"));
}

/// What is sealed in the background is found by its footer at the next opening.
#[test]
fn full_segments_are_sealed_in_the_background() {
    let directory = TempDir::new().expect("there is room");
    let log = Arc::new(open(&directory, &small()).expect("it opens"));
    (0..100).for_each(|_| fill(log.as_ref(), 0, 1, 4000));
    // A segment that is sealed is one that trimming could give back.
    let begun = Instant::now();
    while log.oldest().is_none_or(|oldest| oldest.up_to.is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is sealed");
        std::thread::yield_now();
    }
    Arc::into_inner(log).expect("nobody else has it").close().expect("it closes");
    let log = open(&directory, &small()).expect("it opens");
    assert_eq!((log.recovery().scanned, log.recovery().cut.len()), (0, 0));
    expect(&log, 0, 1, 100, 4000);
}

/// The first segments of a log are short, and a batch for which they are too short is taken all the same, also where the
/// next had been made in advance.
#[test]
fn the_first_segments_are_short() {
    let directory = TempDir::new().expect("there is room");
    let config = Config { segment_bytes: 16 << 20, ..Config::default() };
    let log = open(&directory, &config).expect("it opens");
    let lengths = || {
        let mut segments: Vec<_> = std::fs::read_dir(directory.path().join("data"))
            .expect("it is there")
            .map(|entry| entry.expect("it is listed"))
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".segment"))
            .map(|entry| (entry.file_name(), entry.metadata().expect("it is there").len() >> 10))
            .collect();
        segments.sort();
        segments.into_iter().map(|(_, kibibytes)| kibibytes).collect::<Vec<_>>()
    };
    fill(&log, 0, 1, 200_000);
    let begun = Instant::now();
    while lengths() != [1024, 2048] {
        assert!(begun.elapsed() < Duration::from_secs(20), "the next is not made: {:?}", lengths());
        std::thread::yield_now();
    }
    fill(&log, 0, 1, 3_000_000);
    assert_eq!(lengths()[..2], [1024, 16 << 10]);
    log.close().expect("it closes");
    let log = open(&directory, &config).expect("it opens");
    assert_eq!(log.last(0), 2);
    (0..40).for_each(|_| fill(&log, 0, 1, 1_000_000));
    assert_eq!(log.last(0), 42);
}
