//! Who has which slot, over replacements, failures and another number of instances.

use super::chaos::deed;
use super::*;
use proptest::prelude::*;

impl World {
    fn slots(&self) -> BTreeSet<u32> {
        self.machine.published.iter().map(|e| e.slot).collect()
    }

    /// Rolls and lets it settle; the slots served at every moment of it.
    fn replaced(&mut self, wanted: u32) -> Vec<BTreeSet<u32>> {
        self.slots.clear();
        let job = self.roll("good", wanted);
        self.pass(60_000);
        assert!(self.is_done(job), "{:?}", self.done.get(&job));
        std::mem::take(&mut self.slots)
    }

    fn scale(&mut self, wanted: u32) {
        let job = self.command(Command::Scale(wanted));
        self.pass(10_000);
        assert!(self.is_done(job));
    }

    /// Of an external service, which authority has which slot.
    fn places(&self) -> Vec<(u32, String)> {
        let of = |i: &Instance| (i.slot, i.authority.clone().unwrap_or_default());
        let mut places: Vec<_> = self.machine.instances.values().map(of).collect();
        places.sort();
        places
    }

    /// No two have the same slot but one that comes and the one that it replaces.
    fn check_slots(&self) {
        let rolls = self.machine.is_rolling();
        let mut held = BTreeSet::new();
        for one in self.machine.staying_ones() {
            let generation = if rolls { one.generation } else { 0 };
            assert!(held.insert((generation, one.slot)), "{:#?}", self.machine.instances);
        }
    }
}

fn first(count: u32) -> BTreeSet<u32> {
    (1..=count).collect()
}

fn at(authorities: &[&str]) -> Service {
    let authorities = authorities.iter().map(|&a| a.to_owned()).collect();
    Service { source: Source::Url { authorities }, ..service("", 1) }
}

#[test]
fn every_slot_is_served_at_every_moment_of_a_replacement() {
    for instances in 1..6 {
        let mut world = World::running(service("good", instances));
        for _ in 0..3 {
            let ids = world.ids();
            let moments = world.replaced(instances);
            assert!(moments.iter().all(|slots| *slots == first(instances)), "{moments:?}");
            assert_ne!(world.ids(), ids);
        }
    }
}

#[test]
fn the_highest_slots_go_and_come_whatever_the_names() {
    let mut world = World::running(service("good", 4));
    world.replaced(4);
    world.scale(3);
    assert_eq!(world.slots(), first(3));
    world.replaced(3);
    world.scale(5);
    assert_eq!(world.slots(), first(5));
}

#[test]
fn a_replacement_by_more_or_fewer_moves_no_slot_that_stays() {
    for (before, after) in [(2, 5), (5, 2), (1, 3), (3, 1)] {
        let mut world = World::running(service("good", before));
        let moments = world.replaced(after);
        assert!(moments.iter().all(|slots| slots.is_superset(&first(before.min(after)))), "{moments:?}");
        assert_eq!(world.slots(), first(after));
    }
}

#[test]
fn a_version_that_fails_halfway_gives_its_slots_back() {
    let mut world = World::running(service("good", 3));
    let job = world.roll("good", 3);
    world.pass(200);
    let new = world.machine.instances.values().find(|i| i.generation == world.machine.generation);
    let number = new.expect("a new one").number;
    world.crash(number);
    world.pass(10_000);
    assert!(matches!(world.done.get(&job), Some(Outcome::Failed { .. })));
    assert_eq!(world.slots(), first(3));
}

#[test]
fn a_crashed_instance_keeps_its_slot_though_another_was_replaced_meanwhile() {
    let mut world = World::running(service("good", 3));
    world.replaced(3);
    let slot = |world: &World, number: u32| world.machine.instances[&number].slot;
    let number = *world.machine.instances.keys().next().expect("one");
    let before = slot(&world, number);
    world.crash(number);
    world.pass(1_000);
    assert_eq!((slot(&world, number), world.slots()), (before, first(3)));
}

#[test]
fn an_authority_keeps_its_slot_wherever_it_is_listed() {
    let mut world = World::new(at(&["up:1", "up:2", "up:3"]));
    world.pass(1_000);
    let mut change = |authorities: &[&str]| {
        let spec = Arc::new(at(authorities));
        let wanted = spec.instances();
        let job = world.command(Command::Roll { spec, wanted });
        world.pass(10_000);
        assert!(world.is_done(job));
        let slots = world.places();
        slots.into_iter().map(|(slot, at)| format!("{slot} {at}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(change(&["up:1", "up:2", "up:3"]), "1 up:1, 2 up:2, 3 up:3");
    assert_eq!(change(&["up:4", "up:3", "up:1", "up:2"]), "1 up:1, 2 up:2, 3 up:3, 4 up:4");
    assert_eq!(change(&["up:5", "up:4", "up:2", "up:1"]), "1 up:1, 2 up:2, 3 up:5, 4 up:4");
    assert_eq!(change(&["up:4", "up:2"]), "2 up:2, 4 up:4");
    assert_eq!(change(&["up:4", "up:2", "up:6"]), "1 up:6, 2 up:2, 4 up:4");
}

proptest! {
    /// Whatever happened before, a good version is served by the slots that were served before it.
    #[test]
    fn a_replacement_moves_no_slot(deeds in prop::collection::vec(deed(), 0..12), wanted in 1..5u32) {
        let mut world = World::new(service("good", 2));
        for deed in deeds {
            deed.perform(&mut world);
            world.check_slots();
            for _ in 0..20 {
                world.pass(13);
                world.check_slots();
            }
        }
        world.pass(300_000);
        world.replaced(wanted);
        let before = world.slots();
        prop_assert_eq!(before.len(), wanted as usize);
        let moments = world.replaced(wanted);
        prop_assert!(moments.iter().all(|slots| *slots == before), "{:?}", moments);
    }
}
