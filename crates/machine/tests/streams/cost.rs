//! What an append costs: how often the state is read and written.

use machine::Entry;
use machine::stream::{Define, Settings};

use super::{STORE, append, version};
use crate::world::counting::Counting;

/// Appends a thousand events with payloads in the log: reads and writes for each.
fn cost(batch: usize, settings: Settings) -> (f64, f64) {
    const EVENTS: usize = 1_000;
    let mut state = Counting::default();
    state.run(Entry::new(Define { store: STORE.to_owned(), settings }));
    let (reads, writes) = (state.reads(), state.writes());
    for done in (0..EVENTS).step_by(batch) {
        state.run(append("a", version(done as u64), &vec!["made"; batch]));
    }
    let each = |count: usize| count as f64 / EVENTS as f64;
    (each(state.reads() - reads), each(state.writes() - writes))
}

#[test]
fn an_event_costs_few_reads_and_writes() {
    let bounded = Settings { count_max: 10, ..Settings::default() };
    // One of the writes is the count of pointers to the payload; taking an event out reads it and its count.
    for (batch, settings, reads_max, writes_max) in
        [(1, Settings::default(), 2.0, 5.0), (100, Settings::default(), 0.1, 3.1), (1, bounded, 4.0, 8.0)]
    {
        let (reads, writes) = cost(batch, settings);
        assert!(
            reads <= reads_max && writes <= writes_max,
            "batches of {batch}, {settings:?}: {reads} reads and {writes} writes an event"
        );
    }
}
