//! Whatever consumers, operators and crashes do: order by key holds, what was acknowledged is not delivered
//! again, and nothing that is alive is lost.
//!
//! What must hold for each message that is handed out is in [`Leader::poll`]; here is what is done, and what must
//! hold in the end.

use std::time::Duration;

use machine::Shards;
use machine::topic::delivery::Config;
use machine::topic::{Action, DeadLetter, Failing, GivenUp, NewMessage, Place, Settings, Which, read};
use proptest::prelude::*;

use crate::leader::Leader;
use crate::shop::{GROUP, PARTITION, TOPIC, asides, check, define, publish, resolve, seek, subscribe};
use crate::world::World;

#[derive(Clone, Debug)]
enum Step {
    Publish {
        key: u8,
        ttl: Option<u64>,
        delay: Option<u64>,
    },
    Grant {
        consumer: u64,
        credits: u64,
    },
    Acknowledge(usize),
    Fail {
        which: usize,
        give_up: bool,
    },
    Release(usize),
    Leave(u64),
    /// A command is proposed, or applied.
    Write,
    Refuse,
    Wait(u64),
    Crash,
    Resolve {
        key: u8,
        action: i32,
    },
    Seek(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ttl = prop_oneof![4 => Just(None), 1 => (1u64..60_000).prop_map(Some)];
    let delay = prop_oneof![4 => Just(None), 1 => (0u64..20_000).prop_map(Some)];
    prop_oneof![
        8 => (0u8..5, ttl, delay).prop_map(|(key, ttl, delay)| Step::Publish { key, ttl, delay }),
        4 => (0u64..3, 1u64..8).prop_map(|(consumer, credits)| Step::Grant { consumer, credits }),
        8 => any::<usize>().prop_map(Step::Acknowledge),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, give_up)| Step::Fail { which, give_up }),
        1 => any::<usize>().prop_map(Step::Release),
        1 => (0u64..3).prop_map(Step::Leave),
        8 => Just(Step::Write),
        1 => Just(Step::Refuse),
        3 => prop_oneof![Just(1u64), 1u64..3_000, Just(10_000)].prop_map(Step::Wait),
        1 => Just(Step::Crash),
        1 => (0u8..5, 0i32..3).prop_map(|(key, action)| Step::Resolve { key, action }),
        1 => (0u64..60).prop_map(Step::Seek),
    ]
}

/// No key, or one of four.
fn key(key: u8) -> String {
    if key == 0 { String::new() } else { key.to_string() }
}

fn run(leader: &mut Leader, step: Step) {
    let nth = |leader: &Leader, which: usize| {
        let hands = leader.hands.len().max(1);
        leader.hands.keys().nth(which % hands).copied().unwrap_or_default()
    };
    match step {
        Step::Publish { key: of, ttl, delay } => {
            let due_ms = delay.map_or(0, |delay| leader.world.now().after(delay).as_millis());
            let message = NewMessage { ttl_ms: ttl, due_ms, ..NewMessage::new(0) };
            publish(&mut leader.world, message.with_key(key(of))).expect("a message");
        }
        Step::Grant { consumer, credits } => leader.delivery.grant(consumer, credits),
        Step::Acknowledge(which) => _ = leader.acknowledge(nth(leader, which)),
        Step::Fail { which, give_up } => _ = leader.fail(nth(leader, which), give_up),
        Step::Release(which) => _ = leader.release(nth(leader, which)),
        Step::Leave(consumer) => leader.leave(consumer),
        Step::Write => _ = leader.step(),
        Step::Refuse => leader.refuse(),
        Step::Wait(millis) => leader.world.advance(millis),
        Step::Crash => leader.crash(),
        Step::Resolve { key: of, action } => {
            let action = Action::try_from(action).expect("an action");
            // Without a topic for dead letters that is refused.
            let _ = resolve(&mut leader.world, Which::Key(key(of).into()), action);
        }
        Step::Seek(offset) => {
            seek(&mut leader.world, Place::offset(offset));
            leader.forget();
        }
    }
    leader.poll();
    assert!(leader.delivery.in_flight() <= 6);
    assert!(leader.delivery.tracked() <= 16 + asides(&leader.world).len() + 6);
}

/// Everybody does what they should, until nothing is left.
fn settle(leader: &mut Leader) {
    for _ in 0..400 {
        leader.delivery.grant(9, 100);
        leader.poll();
        for offset in leader.hands.keys().copied().collect::<Vec<_>>() {
            leader.acknowledge(offset);
        }
        leader.settle_all();
        let status = read::group(&leader.world.state, TOPIC, PARTITION, GROUP).expect("a group");
        let delayed = read::partition(&leader.world.state, TOPIC, PARTITION).delayed;
        if status.lag == 0 && leader.delivery.tracked() == 0 && delayed == 0 {
            return;
        }
        leader.world.advance(500);
        resolve(&mut leader.world, Which::All(true), Action::Retry).expect("it can be retried");
    }
}

fn check_end(leader: &Leader, given_up: GivenUp, ever_sought: bool) {
    let status = read::group(&leader.world.state, TOPIC, PARTITION, GROUP).expect("a group");
    assert_eq!((status.lag, status.group.aside), (0, 0), "something is left: {status:?}");
    assert_eq!((leader.delivery.tracked(), leader.delivery.in_flight()), (0, 0));
    check(&leader.world);
    if ever_sought || given_up != GivenUp::Block {
        return;
    }
    for (offset, _) in read::page(&leader.world.state, TOPIC, PARTITION, 0, usize::MAX, leader.now()) {
        let delivered = leader.history.iter().any(|handout| handout.offset == offset);
        assert!(delivered || status.group.skipped + status.group.dead > 0, "{offset} was never delivered");
    }
}

fn world(given_up: GivenUp, keep_messages: u64) -> World {
    let mut world = World::new();
    let failing = Failing {
        attempts_max: Some(2),
        given_up: given_up.into(),
        dead_letter: Some(DeadLetter::new("dead", 4, Shards::new(64).expect("64 shards"))),
        ..Failing::default()
    };
    define(&mut world, Settings { failing: Some(failing), keep_messages, ..Settings::default() });
    subscribe(&mut world, GROUP, Place::start());
    world
}

proptest! {
    #[test]
    fn order_holds_and_nothing_is_lost_or_delivered_after_it_was_acknowledged(
        steps in prop::collection::vec(step(), 0..150),
        given_up in prop::sample::select(vec![
            GivenUp::Park, GivenUp::Block, GivenUp::Skip, GivenUp::DeadLetter,
        ]),
        keep_messages in prop_oneof![3 => Just(0u64), 1 => 5u64..30],
    ) {
        let config = Config { window: 16, in_flight_max: 6, ack_timeout: Duration::from_secs(5) };
        let mut leader = Leader::with(world(given_up, keep_messages), config);
        let ever_sought = steps.iter().any(|step| matches!(step, Step::Seek(_)));
        for step in steps {
            run(&mut leader, step);
        }
        settle(&mut leader);
        check_end(&leader, given_up, ever_sought);
    }
}
