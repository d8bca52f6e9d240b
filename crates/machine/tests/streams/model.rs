//! Random histories, with a shadow model beside the machine: what each command is answered, what can be
//! read after it, and, once the timers have fired, what is stored.

use std::collections::BTreeMap;

use machine::stream::{self, Expected, Filter, SaveSnapshot, Settings};
use machine::{Code, Entry, Order, Time};
use proptest::prelude::*;

use super::{STORE, append, check, delete, run, text, truncate, world};
use crate::world::World;

const STREAMS: [&str; 3] = ["a", "b", "b-1"];

#[derive(Clone, Debug)]
enum Action {
    /// Appends events under a version that lies so far from the stream's.
    Append {
        stream: usize,
        expected: Belief,
        count: usize,
    },
    /// Does the last append anew.
    AppendAgain,
    Truncate {
        stream: usize,
        before: u64,
    },
    Delete {
        stream: usize,
        tombstone: bool,
    },
    Save {
        stream: usize,
        version: u64,
    },
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
enum Belief {
    Nothing,
    NoStream,
    Exists,
    /// It has this version less, or more if that is below zero.
    Behind(i64),
}

/// What a store should be.
#[derive(Default)]
struct Model {
    settings: Settings,
    position: u64,
    streams: BTreeMap<&'static str, Shadow>,
}

#[derive(Default)]
struct Shadow {
    version: u64,
    first: u64,
    deleted: bool,
    tombstone: bool,
    /// Id, position and time by version.
    events: BTreeMap<u64, (String, u64, Time)>,
    snapshots: Vec<u64>,
}

impl Shadow {
    fn exists(&self) -> bool {
        self.version > 0 && !self.deleted
    }

    fn remove_before(&mut self, version: u64) {
        self.first = self.first.max(version);
        self.events = self.events.split_off(&self.first);
    }

    fn expects(&self, belief: Belief) -> Option<Expected> {
        match belief {
            Belief::Nothing => None,
            Belief::NoStream => Some(Expected::NoStream(())),
            Belief::Exists => Some(Expected::StreamExists(())),
            Belief::Behind(by) => Some(Expected::Version(self.version.saturating_add_signed(-by))),
        }
    }

    fn is_as(&self, expected: Option<Expected>) -> bool {
        match expected {
            None => true,
            Some(Expected::Version(version)) => version == self.version,
            Some(Expected::NoStream(())) => !self.exists(),
            Some(Expected::StreamExists(())) => self.exists(),
        }
    }

    /// Whether these were appended under this, and where the last of them is.
    fn appended_before(&self, expected: Option<Expected>, ids: &[String]) -> Option<(u64, u64)> {
        let after = match expected? {
            Expected::Version(version) => version,
            Expected::NoStream(()) if self.exists() => self.first.saturating_sub(1),
            _ => return None,
        };
        let there = ids.iter().enumerate().map(|(at, id)| {
            let event = self.events.get(&(after + 1 + at as u64))?;
            (event.0 == *id).then_some((after + 1 + at as u64, event.1))
        });
        there.collect::<Option<Vec<_>>>()?.last().copied()
    }
}

impl Model {
    fn append(
        &mut self,
        stream: &'static str,
        expected: Option<Expected>,
        ids: &[String],
        now: Time,
    ) -> Result<(u64, u64), Code> {
        let count_max = self.settings.count_max;
        let shadow = self.streams.entry(stream).or_default();
        if shadow.tombstone {
            return Err(Code::NotFound);
        }
        if !shadow.is_as(expected) {
            return shadow.appended_before(expected, ids).ok_or(Code::Conflict);
        }
        shadow.deleted = false;
        for id in ids {
            self.position += 1;
            shadow.version += 1;
            shadow.events.insert(shadow.version, (id.clone(), self.position, now));
        }
        if count_max > 0 {
            shadow.remove_before((shadow.version + 1).saturating_sub(count_max));
        }
        Ok((shadow.version, self.position))
    }

    fn truncate(&mut self, stream: &'static str, before: u64) -> Result<(u64, u64), Code> {
        let shadow = self.streams.entry(stream).or_default();
        match () {
            () if !shadow.exists() => Err(Code::NotFound),
            () if before > shadow.version + 1 => Err(Code::Conflict),
            () => {
                shadow.remove_before(before);
                Ok((shadow.version, 0))
            }
        }
    }

    fn delete(&mut self, stream: &'static str, tombstone: bool) -> Result<(u64, u64), Code> {
        let shadow = self.streams.entry(stream).or_default();
        if shadow.tombstone || !(shadow.exists() || (tombstone && shadow.deleted)) {
            return Err(Code::NotFound);
        }
        shadow.remove_before(shadow.version + 1);
        (shadow.deleted, shadow.tombstone) = (true, tombstone);
        shadow.snapshots.clear();
        Ok((shadow.version, 0))
    }

    fn save(&mut self, stream: &'static str, version: u64) -> Result<(u64, u64), Code> {
        let keep = self.settings.snapshots.max(1) as usize;
        let shadow = self.streams.entry(stream).or_default();
        match () {
            () if version == 0 => return Err(Code::Invalid),
            () if !shadow.exists() => return Err(Code::NotFound),
            () if version > shadow.version => return Err(Code::Conflict),
            () if shadow.snapshots.iter().filter(|one| **one > version).count() >= keep => {
                return Err(Code::Conflict);
            }
            () => {}
        }
        shadow.snapshots.retain(|one| *one != version);
        shadow.snapshots.push(version);
        shadow.snapshots.sort_unstable();
        let beyond = shadow.snapshots.len().saturating_sub(keep);
        shadow.snapshots.drain(..beyond);
        Ok((version, 0))
    }

    fn forget_what_is_too_old(&mut self, now: Time) {
        let age = self.settings.age_ms_max;
        if age == 0 {
            return;
        }
        for shadow in self.streams.values_mut() {
            let old = shadow
                .events
                .iter()
                .filter(|(_, event)| event.2.after(age) <= now)
                .map(|(version, _)| *version);
            if let Some(last) = old.max() {
                shadow.remove_before(last + 1);
            }
        }
    }
}

/// A world and what it should be.
struct Pair {
    world: World,
    model: Model,
    last: Option<(usize, Option<Expected>, Vec<String>)>,
    appended: u64,
}

impl Pair {
    fn new(settings: Settings) -> Pair {
        let model = Model { settings, ..Model::default() };
        Pair { world: world(settings), model, last: None, appended: 0 }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Append { stream, expected, count } => {
                let expected = self.model.streams.entry(STREAMS[stream]).or_default().expects(expected);
                let ids = (0..count).map(|at| format!("e-{}-{at}", self.appended)).collect();
                self.appended += 1;
                self.append(stream, expected, ids);
            }
            Action::AppendAgain => {
                if let Some((stream, expected, ids)) = self.last.clone() {
                    self.append(stream, expected, ids);
                }
            }
            Action::Truncate { stream, before } => {
                let should = self.model.truncate(STREAMS[stream], before);
                self.run(truncate(STREAMS[stream], before), should);
            }
            Action::Delete { stream, tombstone } => {
                let should = self.model.delete(STREAMS[stream], tombstone);
                self.run(delete(STREAMS[stream], None, tombstone), should);
            }
            Action::Save { stream, version } => {
                let should = self.model.save(STREAMS[stream], version);
                let (store, stream) = (STORE.to_owned(), STREAMS[stream].to_owned());
                let save = SaveSnapshot { store, stream, version, payload: 0 };
                self.run(Entry::new(save).with_body(vec![1; 150]), should);
            }
            Action::Advance(millis) => self.advance(millis),
        }
    }

    fn append(&mut self, stream: usize, expected: Option<Expected>, ids: Vec<String>) {
        let should = self.model.append(STREAMS[stream], expected, &ids, self.world.now());
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.run(append(STREAMS[stream], expected, &names), should);
        self.last = Some((stream, expected, ids));
    }

    fn run(&mut self, entry: Entry, should: Result<(u64, u64), Code>) {
        let is = run(&mut self.world, entry.clone());
        let is = is.map(|reply| (reply.version, reply.position)).map_err(|refusal| refusal.code());
        assert_eq!(is, should, "{entry:?}");
    }

    fn advance(&mut self, millis: u64) {
        self.world.advance(millis);
        self.model.forget_what_is_too_old(self.world.now());
    }

    fn compare_streams(&self) {
        let state = &self.world.state;
        for (name, shadow) in &self.model.streams {
            let read = stream::read(state, STORE, name, 0, Order::Forwards, &Filter::default(), usize::MAX);
            let Some(read) = read else {
                assert_eq!(shadow.version, 0);
                continue;
            };
            let is: Vec<_> =
                read.events.iter().map(|at| (at.version, text(&at.event.id), at.event.position)).collect();
            let should: Vec<_> =
                shadow.events.iter().map(|(version, event)| (*version, event.0.clone(), event.1)).collect();
            assert_eq!(
                (read.stream.version, read.stream.exists(), is),
                (shadow.version, shadow.exists(), should)
            );
            let mut backwards =
                stream::read(state, STORE, name, u64::MAX, Order::Backwards, &Filter::default(), 9_999)
                    .expect("it is there")
                    .events;
            backwards.reverse();
            assert_eq!(backwards, read.events);
            let latest =
                stream::latest_snapshot(state, STORE, name, u64::MAX).map(|snapshot| snapshot.version);
            assert_eq!(latest, shadow.snapshots.last().copied());
        }
    }

    /// Once no timer is due: what is there of all events is what should be, in the order of appending.
    fn compare_all(&self) {
        let all =
            stream::read_all(&self.world.state, STORE, 0, Order::Forwards, &Filter::default(), usize::MAX);
        let is: Vec<_> =
            all.events.into_iter().map(|found| (found.event.position, found.stream, found.version)).collect();
        let mut should: Vec<_> = Vec::new();
        for (name, shadow) in &self.model.streams {
            should
                .extend(shadow.events.iter().map(|(version, event)| (event.1, (*name).to_owned(), *version)));
        }
        should.sort();
        assert_eq!((is, all.next), (should, self.model.position + 1));
    }
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let belief = prop_oneof![
        2 => Just(Belief::Nothing),
        1 => Just(Belief::NoStream),
        1 => Just(Belief::Exists),
        4 => Just(Belief::Behind(0)),
        1 => (-1..4_i64).prop_map(Belief::Behind),
    ];
    let stream = 0..STREAMS.len();
    let action = prop_oneof![
        10 => (stream.clone(), belief, 1..6_usize)
            .prop_map(|(stream, expected, count)| Action::Append { stream, expected, count }),
        1 => stream.clone().prop_map(|stream| Action::Append { stream, expected: Belief::Nothing, count: 150 }),
        3 => Just(Action::AppendAgain),
        1 => (stream.clone(), 0..20_u64).prop_map(|(stream, before)| Action::Truncate { stream, before }),
        1 => (stream.clone(), prop::bool::weighted(0.2))
            .prop_map(|(stream, tombstone)| Action::Delete { stream, tombstone }),
        2 => (stream, 0..12_u64).prop_map(|(stream, version)| Action::Save { stream, version }),
        3 => (0..40_u64).prop_map(Action::Advance),
    ];
    prop::collection::vec(action, 1..40)
}

fn settings() -> impl Strategy<Value = Settings> {
    let count = prop_oneof![Just(0), 1..8_u64, Just(100)];
    let age = prop_oneof![Just(0), 1..80_u64];
    (count, age, 0..4_u32).prop_map(|(count_max, age_ms_max, snapshots)| Settings {
        spread: 0,
        count_max,
        age_ms_max,
        snapshots,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn streams_are_as_their_model(settings in settings(), actions in actions()) {
        let mut pair = Pair::new(settings);
        for action in &actions {
            pair.act(action);
            pair.compare_streams();
        }
        pair.advance(1);
        pair.compare_streams();
        pair.compare_all();
        check(&pair.world);
    }
}
