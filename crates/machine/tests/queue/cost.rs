//! What the way of an item costs: how often the state is read and written.

use machine::Entry;
use machine::command::Answer;
use machine::queue::{self, Acknowledge, Receipt, Receive, Send, SendItem};

use crate::shop::QUEUE;
use crate::world::counting::Counting;

fn receive(state: &mut Counting, max: u32) -> Vec<Receipt> {
    let receive = Receive { queue: QUEUE.into(), consumer: "ada".into(), max, visibility_ms: 0 };
    match state.run(Entry::new(receive)).answer {
        Some(Answer::Queue(queue::Reply { answer: Some(queue::Answer::Received(received)) })) => {
            received.items.iter().map(|work| work.receipt).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Sends, receives and acknowledges a thousand items: how often the state is read and written for each.
fn cost(batch: u32, payload: usize) -> (f64, f64) {
    const ITEMS: u32 = 1_000;
    let mut state = Counting::default();
    for _ in 0..ITEMS / batch {
        let items = (0..batch).map(|body| SendItem { body, ..SendItem::default() }).collect();
        let send = Entry::new(Send { queue: QUEUE.into(), items });
        state.run((0..batch).fold(send, |entry, _| entry.with_body(vec![7; payload])));
    }
    for _ in 0..ITEMS / batch {
        let receipts = receive(&mut state, batch);
        assert_eq!(receipts.len(), batch as usize);
        state.run(Entry::new(Acknowledge { queue: QUEUE.into(), receipts, all: true }));
    }
    (state.reads() as f64 / f64::from(ITEMS), state.writes() as f64 / f64::from(ITEMS))
}

#[test]
fn an_item_costs_few_reads_and_writes() {
    for (batch, payload, reads_max, writes_max) in
        [(100, 100, 2.1, 4.2), (100, 1_000, 3.1, 6.2), (1, 100, 7.1, 11.1), (1, 1_000, 8.1, 13.1)]
    {
        let (reads, writes) = cost(batch, payload);
        assert!(
            reads <= reads_max && writes <= writes_max,
            "batches of {batch}, payloads of {payload} bytes: {reads} reads and {writes} writes an item"
        );
    }
}
