//! A bulkhead in miniature, in which requests come and go at random.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[test]
fn classes_are_shed_from_the_lowest_as_utilisation_rises() {
    let shares = Shares::new(0.5, 0.8, 0.9);
    let rooms = |limit| Class::ALL.map(|class| shares.room(limit, class));
    assert_eq!(rooms(100), [50, 80, 90, 100]);
    assert_eq!(rooms(10), [5, 8, 9, 10]);
    assert_eq!(rooms(2), [1, 1, 1, 2]);
    assert_eq!(rooms(1), [1, 1, 1, 1]);
    assert_eq!(rooms(0), [0, 0, 0, 0]);
    assert_eq!(Class::ALL.map(|class| Shares::WHOLE.room(7, class)), [7; CLASSES]);
}

#[test]
fn shares_that_fall_are_made_to_rise() {
    assert_eq!(Shares::new(0.9, 0.5, 0.1), Shares::new(0.9, 0.9, 0.9));
    assert_eq!(Shares::new(-1.0, f64::NAN, 7.0).room(10, Class::High), 10);
    assert_eq!(Shares::new(0.0, 0.0, 0.0).room(10, Class::Low), 1);
}

#[test]
fn a_higher_class_takes_the_place_of_the_newest_of_the_lowest() {
    let mut line = Line::default();
    for (class, arrival) in [
        (Class::Normal, Arrival::Waits),
        (Class::Low, Arrival::Waits),
        (Class::Low, Arrival::Refused),
        (Class::Normal, Arrival::Displaces(Class::Low)),
        (Class::Normal, Arrival::Refused),
        (Class::Critical, Arrival::Displaces(Class::Normal)),
    ] {
        assert_eq!(line.arrive(class, 2), arrival, "{class:?}");
    }
    assert_eq!((line.front(), line.len()), (Some(Class::Critical), 2));
    assert!(line.is_before(Class::Critical) && line.is_before(Class::Low));
    line.leave(Class::Critical);
    assert!(line.is_before(Class::Normal) && !line.is_before(Class::High));
    assert_eq!(Line::default().arrive(Class::Critical, 0), Arrival::Refused);
}

#[test]
fn names_are_read_back_in_any_case() {
    for class in Class::ALL {
        assert_eq!(Class::named(class.name().to_uppercase().as_bytes()), Some(class));
    }
    assert_eq!(Class::named(b"urgent"), None);
}

fn class() -> impl Strategy<Value = Class> {
    prop::sample::select(Class::ALL.to_vec())
}

fn shares() -> impl Strategy<Value = Shares> {
    (0.0..=1.0, 0.0..=1.0, 0.0..=1.0).prop_map(|(low, normal, high)| Shares::new(low, normal, high))
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Comes(Class),
    Ends,
    GivesUp(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![4 => class().prop_map(Step::Comes), 3 => Just(Step::Ends), 1 => any::<usize>().prop_map(Step::GivesUp)];
    prop::collection::vec(one, 1..300)
}

/// A bulkhead as a driver runs it, those who wait by the order in which they came.
struct World {
    shares: Shares,
    limit: usize,
    most: usize,
    in_flight: usize,
    line: Line,
    waiting: VecDeque<(usize, Class)>,
}

impl World {
    fn room(&self, class: Class) -> bool {
        self.in_flight < self.shares.room(self.limit, class)
    }

    fn come(&mut self, id: usize, class: Class) -> Result<(), TestCaseError> {
        if !self.line.is_before(class) && self.room(class) {
            self.in_flight += 1;
            return Ok(());
        }
        match self.line.arrive(class, self.most) {
            Arrival::Waits => self.waiting.push_back((id, class)),
            Arrival::Displaces(lower) => {
                let newest = self.waiting.iter().rposition(|(_, other)| *other == lower);
                prop_assert!(self.waiting.iter().all(|(_, other)| *other >= lower) && lower < class);
                self.waiting.remove(newest.expect("it said so"));
                self.waiting.push_back((id, class));
            }
            Arrival::Refused => {
                let lower = Class::ALL.into_iter().filter(|lower| *lower < class);
                for lower in lower {
                    prop_assert!(!self.room(lower), "{lower:?} would be let in where {class:?} is refused");
                    prop_assert_eq!(self.line.of(lower), 0, "nobody below keeps a place in the queue");
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<(), TestCaseError> {
        while let Some(front) = self.line.front().filter(|front| self.room(*front)) {
            prop_assert!(self.waiting.iter().all(|(_, class)| *class <= front));
            let first = self.waiting.iter().position(|(_, class)| *class == front).expect("it said so");
            self.waiting.remove(first);
            self.line.leave(front);
            self.in_flight += 1;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_higher_class_has_more_room_and_the_highest_all(shares in shares(), limit in 0_usize..2_000) {
        let rooms = Class::ALL.map(|class| shares.room(limit, class));
        prop_assert!(rooms.is_sorted() && rooms[3] == limit, "{:?}", rooms);
        prop_assert!(rooms[0] >= limit.min(1));
    }

    #[test]
    fn nothing_is_shed_below_the_lowest_share(low in 0_u32..=100, limit in 1_usize..2_000, class in class()) {
        let shares = Shares::new(f64::from(low) / 100.0, 0.0, 0.0);
        prop_assert!(shares.room(limit, class) >= low as usize * limit / 100);
    }

    #[test]
    fn whoever_comes_and_goes_no_more_are_in_flight_and_the_higher_go_first(
        shares in shares(), limit in 0_usize..12, most in 0_usize..6, steps in steps(),
    ) {
        let (line, waiting) = (Line::default(), VecDeque::new());
        let mut world = World { shares, limit, most, in_flight: 0, line, waiting };
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Comes(class) => world.come(id, class)?,
                Step::Ends => world.in_flight = world.in_flight.saturating_sub(1),
                Step::GivesUp(nth) if !world.waiting.is_empty() => {
                    let (_, class) = world.waiting.remove(nth % world.waiting.len()).expect("it is there");
                    world.line.leave(class);
                }
                Step::GivesUp(_) => {}
            }
            world.serve()?;
            prop_assert!(world.in_flight <= limit && world.line.len() <= most);
            for class in Class::ALL {
                let count = world.waiting.iter().filter(|(_, other)| *other == class).count();
                prop_assert_eq!(world.line.of(class), count);
            }
        }
    }
}
