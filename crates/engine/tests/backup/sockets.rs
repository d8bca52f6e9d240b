//! A running engine is asked for a backup.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use engine::backup::{Part, Reader, SOCKET, Unreadable, ask};
use engine::{Config, Embedded};
use machine::Shard;

use crate::world::put;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_gets_one() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    // Deeper than the path of a socket may be long.
    let folder = folder.path().join("deep".repeat(40));
    fs::create_dir(&folder).expect("made");
    // What a process that was killed has left.
    fs::write(folder.join(SOCKET), "").expect("written");
    let engine = open(&folder);
    engine.propose(Shard(0), put("key", "value")).await.expect("it is taken");
    for _ in 0..3 {
        assert!(read(ask(&folder).expect("somebody listens")).is_ok());
    }
    let mode = fs::metadata(folder.join(SOCKET)).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    engine.close();
    assert!(ask(&folder).is_err() && !folder.join(SOCKET).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_made_at_a_time_and_none_is_finished_by_an_engine_that_ends() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let engine = open(folder.path());
    // More than fits on the way.
    for number in 0..20 {
        let key = number.to_string();
        engine.propose(Shard(0), put(&key, vec![7; 500 << 10])).await.expect("it is taken");
    }
    let mut slow = ask(folder.path()).expect("somebody listens");
    let mut first = [0; 100];
    slow.read_exact(&mut first).expect("it begins");
    let refused = read(ask(folder.path()).expect("somebody listens"));
    assert!(
        matches!(&refused, Err(Unreadable::GivenUp(why)) if why.contains("another backup")),
        "{refused:?}"
    );
    // Whoever goes away keeps nobody from another.
    drop(slow);
    assert!(read(ask(folder.path()).expect("somebody listens")).is_ok());
    let mut slow = ask(folder.path()).expect("somebody listens");
    slow.read_exact(&mut first).expect("it begins");
    drop(engine);
    let rest = read(first.as_slice().chain(slow));
    assert!(matches!(rest, Err(Unreadable::CutOff { .. })), "{rest:?}");
}

fn open(folder: &Path) -> Embedded {
    Embedded::open_in(folder, Config::default()).expect("it opens")
}

fn read(bytes: impl Read) -> Result<(), Unreadable> {
    let mut reader = Reader::new(bytes)?;
    while !matches!(reader.part()?, Part::End(_)) {}
    Ok(())
}
