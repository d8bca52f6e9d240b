//! Spans with random megabytes in their attributes, from many at a time: everybody is answered, everything is counted, and
//! what is handed over is small.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use telemetry::Record;
use telemetry::otlp::Batch;
use telemetry::span::{Span, Value};

use crate::world::{Door, World, span};

const SENDERS: u64 = 12;
const REQUESTS: u64 = 6;
const SPANS: u64 = 6;

/// A megabyte that no two have in common.
fn noise(mut seed: u64) -> Value {
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (seed >> 33) as u8 % 26)
    };
    Value::from((0..1 << 20).map(|_| next()).collect::<String>())
}

#[test]
fn a_flood_of_large_attributes_is_answered_counted_and_small() {
    let world = World::new(100);
    let (taken, rejected, refused) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (door, taken, rejected, refused) = (Door(world.address), &taken, &rejected, &refused);
            scope.spawn(move || {
                let large = Span { attributes: vec![("noise".into(), noise(sender))], ..span("flood") };
                let mut batch = Batch::default();
                (0..SPANS).for_each(|_| batch.span(&large));
                let request = batch.request();
                for _ in 0..REQUESTS {
                    let (status, head, body) =
                        door.post("/v1/traces", "content-type: application/x-protobuf\r\n", &request);
                    match status {
                        // A partial success: message, its length, field, the count as it is below 128.
                        200 => {
                            let count = body.get(3).map_or(0, |count| u64::from(*count));
                            rejected.fetch_add(count, SeqCst);
                            taken.fetch_add(SPANS - count, SeqCst);
                        }
                        429 => {
                            assert!(head.contains("retry-after: 1"), "{head}");
                            refused.fetch_add(1, SeqCst);
                        }
                        other => panic!("{other}: {head}"),
                    }
                }
            });
        }
    });
    let (taken, rejected, refused) = (taken.into_inner(), rejected.into_inner(), refused.into_inner());
    assert_eq!(taken + rejected + refused * SPANS, SENDERS * REQUESTS * SPANS);
    let received = world.receiver.received();
    assert_eq!((received.spans, received.dropped, received.refused), (taken, rejected, refused));
    assert_eq!((taken, world.inbox.dropped()), (100.min(taken), rejected));
    for record in world.inbox.take(1_000) {
        let Record::Span(span) = record else { panic!("a span") };
        assert!(format!("{span:?}").len() < 10_000);
    }
}
