//! A full disk: what does not fit is refused, what is there is read, and it goes on when there is room again.

use bytes::Bytes;
use log::conformance::{batch, expect, payload};
use log::disk::{Faults, Simulated};
use log::{AppendError, Embedded, Log};

use crate::world::{ROOM_BYTES, config};

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = Simulated::new(1);
    disk.set_faults(Faults { room_bytes: ROOM_BYTES, ..Faults::default() });
    let log = Embedded::open(disk.clone(), config()).expect("it opens");
    let mut last = 0;
    let refused = loop {
        let results = log.append(&[batch(0, last, [payload(0, last + 1, 4000)])]);
        match &results[0] {
            Ok(()) => last += 1,
            Err(error) => break error.clone(),
        }
    };
    assert!(matches!(refused, AppendError::Full(_)), "{refused}");
    expect(&log, 0, 1, last, 4000);
    // What still fits into the segment is still taken.
    assert!(log.append(&[batch(1, 0, [Bytes::from_static(b"small")])])[0].is_ok());
    assert!(matches!(
        log.append(&[batch(0, last, [payload(0, last + 1, 4000)])])[0],
        Err(AppendError::Full(_))
    ));

    disk.set_faults(Faults::default());
    assert!(log.append(&[batch(0, last, [payload(0, last + 1, 4000)])])[0].is_ok());
    expect(&log, 0, 1, last + 1, 4000);
}

#[test]
fn trimming_makes_room_on_a_full_disk() {
    let disk = Simulated::new(2);
    disk.set_faults(Faults { room_bytes: ROOM_BYTES, ..Faults::default() });
    let log = Embedded::open(disk, config()).expect("it opens");
    for next in 1..=500 {
        let append = || log.append(&[batch(0, next - 1, [payload(0, next, 4000)])]).remove(0);
        if append().is_err() {
            for (shard, up_to) in log.oldest().expect("there is something to give back").up_to {
                log.trim(shard, up_to + 1).expect("it trims");
            }
            append().expect("there is room again");
        }
    }
    expect(&log, 0, log.first(0), 500, 4000);
    assert!(log.first(0) > 400);
}
