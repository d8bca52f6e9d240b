//! Stories of a deadline on its way.

use super::header::Node;
use super::*;
use proptest::prelude::*;

const NOW: Time = Time::from_millis(1000);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn shown(text: Text) -> String {
    String::from_utf8(text.as_bytes().to_vec()).expect("ASCII")
}

#[test]
fn grpc_is_written_in_the_finest_unit_that_fits_and_rounded_down() {
    for (left, text) in [
        (Duration::ZERO, "0n"),
        (Duration::from_nanos(1_999_999), "1999999n"),
        (ms(99), "99000000n"),
        (ms(1_480), "1480000u"),
        (Duration::from_secs(600), "600000m"),
        (Duration::from_secs(200_000), "200000S"),
        (Duration::from_secs(150_000_059), "2500000M"),
        (Duration::MAX, "5124095H"),
    ] {
        assert_eq!(shown(grpc::write(left)), text);
    }
}

#[test]
fn what_grpc_writes_is_read() {
    for (text, left) in [
        ("1H", Duration::from_secs(3600)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("0000250m", ms(250)),
        ("7u", Duration::from_micros(7)),
        ("99999999n", Duration::from_nanos(99_999_999)),
        ("99999999H", Duration::from_secs(99_999_999 * 3600)),
    ] {
        assert_eq!(grpc::parse(text.as_bytes()), Some(left), "{text}");
    }
}

#[test]
fn what_is_malformed_is_nothing() {
    for text in ["", "m", "5", "5s", "5h", "-5m", "+5m", " 5m", "5 m", "1.5S", "123456789m", "5mm", "0x1m"] {
        assert_eq!(grpc::parse(text.as_bytes()), None, "{text}");
    }
    for text in ["", "5ms", "-1", "1.5", "12345678901", "1e3", "soon", ";at=5", "5,6"] {
        assert_eq!(header::parse(text.as_bytes(), NOW, Node::of(1)), None, "{text}");
    }
}

#[test]
fn the_header_says_what_is_left_and_when_it_is_over_where_it_was_written() {
    let node = Node::of(7);
    let text = shown(header::write(Duration::from_micros(1_480_900), NOW, node));
    let (left, parameters) = text.split_once(';').expect("parameters");
    assert_eq!(left, "1480");
    assert!(parameters.starts_with("node=") && parameters.ends_with(";at=2480"), "{parameters}");
    let read = |now, node| header::parse(text.as_bytes(), now, node);
    assert_eq!(read(Time::from_millis(1100), node), Some(ms(1380)), "copied after 100 ms of work");
    assert_eq!(read(Time::from_millis(9000), node), Some(ms(0)));
    assert_eq!(read(Time::from_millis(9000), Node::of(8)), Some(ms(1480)), "another's clock says nothing");
    assert_eq!(read(Time::from_millis(0), node), Some(ms(1480)), "nothing makes it longer");
}

#[test]
fn a_header_by_hand_needs_no_more_than_the_number() {
    for text in ["250", "250;", "250;at=1", "250; node=1", "250;node=x;at=y", "250;other=\"1\"", "250 ;a"] {
        assert_eq!(header::parse(text.as_bytes(), NOW, Node::of(1)), Some(ms(250)), "{text}");
    }
    assert_eq!(shown(header::write(Duration::MAX, NOW, Node::of(1))).split(';').next(), Some("9999999999"));
}

#[test]
fn less_than_a_millisecond_is_too_late() {
    let at = Time::from_millis;
    let deadline = Deadline::after(at(10), Some(ms(5)));
    assert!(!deadline.has_passed(at(14)));
    assert!(deadline.has_passed(Time::from_nanos(14_000_001)));
    assert!(deadline.has_passed(at(20)));
    assert!(!Deadline::default().has_passed(Time::MAX), "whoever sets none waits");
}

#[test]
fn the_shorter_of_two_bounds_counts() {
    let now = Time::from_millis(10);
    let deadline = Deadline::after(Time::ZERO, Some(ms(30)));
    assert_eq!(deadline.within(now, Some(ms(5))), Some(ms(5)));
    assert_eq!(deadline.within(now, Some(ms(500))), Some(ms(20)));
    assert_eq!(deadline.within(now, None), Some(ms(20)));
    assert_eq!(Deadline::default().within(now, Some(ms(5))), Some(ms(5)));
    assert_eq!(Deadline::default().within(now, None), None);
}

/// A hop: its node, how long it works, what its call allows, whether it takes off what it used.
fn hops() -> impl Strategy<Value = Vec<(u64, u64, Option<u64>, bool)>> {
    let hop = (0_u64..3, 0_u64..50_000_000, prop::option::of(0_u64..100_000), any::<bool>());
    prop::collection::vec(hop, 1..20)
}

proptest! {
    #[test]
    fn a_round_trip_never_lengthens_and_loses_little(nanos in any::<u64>(), now in 0_u64..1 << 60, seed: u64) {
        let (left, now, node) = (Duration::from_nanos(nanos), Time::from_nanos(now), Node::of(seed));
        let read = grpc::parse(grpc::write(left).as_bytes()).expect("what is written can be read");
        prop_assert!(read <= left && left - read < (left / 1_000_000).max(Duration::from_nanos(1)));
        for reader in [node, Node::of(!seed)] {
            let read = header::parse(header::write(left, now, node).as_bytes(), now, reader).expect("readable");
            prop_assert!(read <= left);
            let most = ms(9_999_999_999).min(Time::MAX.since(now));
            prop_assert!(left.min(most) - read <= ms(1), "{:?} {:?}", left, read);
        }
    }

    /// Time as it passes is one, the clocks of the nodes begin anywhere. Whether a program copies the
    /// header or takes off what it used, the deadline at the end is never later than at the beginning,
    /// and on one node it is kept exactly.
    #[test]
    fn over_many_hops_it_only_shrinks(millis in 0_u64..100_000, hops in hops(), origins: [u32; 3], alone: bool) {
        let (mut text, mut told, mut passed) = (millis.to_string(), ms(millis), Duration::ZERO);
        for (node, work, allowed, honest) in hops {
            let node = if alone { 0 } else { node };
            let clock = |passed| Time::from_nanos(u64::from(origins[node as usize])) + passed;
            let read = header::parse(text.as_bytes(), clock(passed), Node::of(node)).expect("readable");
            prop_assert!(read <= told);
            let deadline = Deadline::after(clock(passed), Some(read));
            let work = Duration::from_nanos(work);
            passed += work;
            let sent = deadline.within(clock(passed), allowed.map(ms)).expect("there is a bound");
            prop_assert!(sent <= told.saturating_sub(work));
            text = shown(header::write(sent, clock(passed), Node::of(node)));
            told = sent;
            // The program behind it works, too, before it asks the next.
            passed += work;
            if alone {
                let copied = header::parse(text.as_bytes(), clock(passed), Node::of(0)).expect("readable");
                prop_assert!(copied <= told.saturating_sub(work));
            } else if honest {
                text = told.saturating_sub(work).as_millis().to_string();
            }
        }
    }

    #[test]
    fn nothing_panics(
        text in prop::collection::vec(any::<u8>(), 0..40),
        likely in "[0-9]{0,12}([HMSmun]|;node=[0-9]{0,17};at=[0-9]{0,17})?",
        now: u64,
        seed: u64,
    ) {
        for text in [text.as_slice(), likely.as_bytes()] {
            let _ = (grpc::parse(text), header::parse(text, Time::from_nanos(now), Node::of(seed)));
        }
        let _ = header::write(Duration::from_nanos(seed), Time::from_nanos(now), Node::of(seed));
    }
}
