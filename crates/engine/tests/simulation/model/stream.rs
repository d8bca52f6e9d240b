//! Event streams as users think of them: all that ever happened, and what of it is gone.

use std::collections::BTreeMap;

use bytes::Bytes;
use machine::stream::{self, Append, Delete, Expected, Filter, Project, Reply, SaveSnapshot, Settings};
use machine::{Code, Order, Read, Time};

use super::{Payloads, Step};

/// Stores of streams by name, and up to where projections have read.
#[derive(Default)]
pub struct Streams {
    stores: BTreeMap<String, Store>,
    projections: BTreeMap<(String, String, u32), u64>,
}

#[derive(Default)]
struct Store {
    settings: Settings,
    position: u64,
    streams: BTreeMap<String, Stream>,
}

#[derive(Default)]
struct Stream {
    /// All that there ever were: that of version one is the first.
    events: Vec<Event>,
    /// Up to which version they are removed.
    gone: u64,
    life: Life,
    count_max: Option<u64>,
    metadata: Option<Bytes>,
    snapshots: BTreeMap<u64, Bytes>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Live,
    Deleted,
    DeletedForEver,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    id: Bytes,
    kind: String,
    position: u64,
    time: Time,
    payload: Bytes,
    metadata: Option<Bytes>,
}

impl Streams {
    /// All but moving a projection on, which needs more than streams.
    pub(super) fn apply(&mut self, step: &Step<'_>, command: &stream::Command) -> Result<Reply, Code> {
        match command.kind.as_ref().expect("what is in the log says what it is") {
            stream::Kind::Define(define) => self.define(define),
            stream::Kind::Append(append) => self.store(&append.store)?.append(step, append),
            stream::Kind::Truncate(truncate) => {
                let store = self.store(&truncate.store)?;
                let stream = store.existing(&truncate.stream)?;
                if truncate.before > stream.version() + 1 {
                    return Err(Code::Conflict);
                }
                stream.gone = stream.gone.max(truncate.before.saturating_sub(1));
                Ok(store.changed(&truncate.stream))
            }
            stream::Kind::Delete(delete) => self.store(&delete.store)?.delete(delete),
            stream::Kind::Describe(describe) => {
                let store = self.store(&describe.store)?;
                let stream = store.streams.entry(describe.stream.clone()).or_default();
                stream.look(None)?;
                stream.count_max = describe.count_max;
                stream.metadata = describe.metadata.map(|body| step.bodies[body as usize].clone());
                Ok(store.changed(&describe.stream))
            }
            stream::Kind::SaveSnapshot(save) => self.store(&save.store)?.save(step, save),
            stream::Kind::Rewind(rewind) => {
                let place = (rewind.projection.clone(), rewind.store.clone(), rewind.shard);
                self.projections.insert(place, rewind.position);
                Ok(Reply { version: 0, position: rewind.position })
            }
            stream::Kind::Project(_) => panic!("a projection is moved on elsewhere"),
        }
    }

    fn define(&mut self, define: &stream::Define) -> Result<Reply, Code> {
        let is_there = self.stores.contains_key(&define.store);
        let store = self.stores.entry(define.store.clone()).or_default();
        if is_there && store.settings.spread != define.settings.spread {
            return Err(Code::Conflict);
        }
        store.settings = define.settings;
        Ok(Reply { version: 0, position: store.position })
    }

    /// Whether a projection may be moved on.
    pub(super) fn may_project(&self, project: &Project) -> Result<(), Code> {
        let is = self.position(&project.projection, &project.store, project.shard);
        if is == project.expected { Ok(()) } else { Err(Code::Conflict) }
    }

    /// A projection has been moved on.
    pub(super) fn project(&mut self, project: &Project) -> Reply {
        let place = (project.projection.clone(), project.store.clone(), project.shard);
        self.projections.insert(place, project.position);
        Reply { version: 0, position: project.position }
    }

    /// What has become too old by `now`.
    pub(super) fn fire(&mut self, now: Time) {
        for store in self.stores.values_mut().filter(|store| store.settings.age_ms_max > 0) {
            for stream in store.streams.values_mut() {
                let is_old = |event: &&Event| event.time.after(store.settings.age_ms_max) <= now;
                stream.gone = stream.gone.max(stream.events.iter().take_while(is_old).count() as u64);
            }
        }
    }

    fn store(&mut self, store: &str) -> Result<&mut Store, Code> {
        self.stores.get_mut(store).ok_or(Code::NotFound)
    }

    /// Whether there is such a store.
    pub fn has(&self, store: &str) -> bool {
        self.stores.contains_key(store)
    }

    /// The version of a stream, for who has read it.
    pub fn version(&self, store: &str, stream: &str) -> u64 {
        let stream = self.stores.get(store).and_then(|store| store.streams.get(stream));
        stream.map_or(0, Stream::version)
    }

    /// The ids of a stream's last `count` events, for who appends them again.
    pub fn last_ids(&self, store: &str, stream: &str, count: usize) -> Vec<Bytes> {
        let stream = self.stores.get(store).and_then(|store| store.streams.get(stream));
        let events = stream.map_or(&[][..], |stream| &stream.events);
        events[events.len().saturating_sub(count)..].iter().map(|event| event.id.clone()).collect()
    }

    /// Up to where a projection has read.
    pub fn position(&self, projection: &str, store: &str, shard: u32) -> u64 {
        let place = (projection.to_owned(), store.to_owned(), shard);
        self.projections.get(&place).copied().unwrap_or(0)
    }

    pub(super) fn assert_read(&self, state: &impl Read, payloads: Payloads<'_>) {
        for (name, store) in &self.stores {
            for (stream, should) in &store.streams {
                should.assert_read(state, (name, stream), payloads);
            }
            store.assert_all(state, name);
        }
        for ((projection, store, shard), should) in &self.projections {
            let read = stream::checkpoint(state, projection, store, *shard);
            let read = read.map_or(0, |checkpoint| checkpoint.position);
            assert_eq!(read, *should, "up to where {projection:?} has read {store:?}");
        }
    }
}

impl Store {
    fn append(&mut self, step: &Step<'_>, append: &Append) -> Result<Reply, Code> {
        let stream = self.streams.entry(append.stream.clone()).or_default();
        if let Err(code) = stream.look(append.expected) {
            return stream.appended_before(append).ok_or(code);
        }
        stream.life = Life::Live;
        for event in &append.events {
            self.position += 1;
            stream.events.push(Event {
                id: event.id.clone(),
                kind: event.r#type.clone(),
                position: self.position,
                time: step.time,
                payload: step.bodies[event.payload as usize].clone(),
                metadata: event.metadata.map(|body| step.bodies[body as usize].clone()),
            });
        }
        Ok(Reply { position: self.position, ..self.changed(&append.stream) })
    }

    fn delete(&mut self, delete: &Delete) -> Result<Reply, Code> {
        let stream = self.streams.entry(delete.stream.clone()).or_default();
        stream.look(delete.expected)?;
        let is_deleted_again = delete.tombstone && stream.life == Life::Deleted;
        if !is_deleted_again && !stream.exists() {
            return Err(Code::NotFound);
        }
        *stream = Stream {
            events: std::mem::take(&mut stream.events),
            gone: stream.version(),
            life: if delete.tombstone { Life::DeletedForEver } else { Life::Deleted },
            ..Stream::default()
        };
        stream.gone = stream.version();
        Ok(self.changed(&delete.stream))
    }

    fn save(&mut self, step: &Step<'_>, save: &SaveSnapshot) -> Result<Reply, Code> {
        let keep = self.settings.snapshots.max(1) as usize;
        let stream = self.existing(&save.stream)?;
        let is_ahead = save.version > stream.version();
        if is_ahead || stream.snapshots.range(save.version + 1..).count() >= keep {
            return Err(Code::Conflict);
        }
        stream.snapshots.insert(save.version, step.bodies[save.payload as usize].clone());
        while stream.snapshots.len() > keep {
            stream.snapshots.pop_first();
        }
        Ok(Reply { version: save.version, position: 0 })
    }

    fn existing(&mut self, stream: &str) -> Result<&mut Stream, Code> {
        self.streams.get_mut(stream).filter(|stream| stream.exists()).ok_or(Code::NotFound)
    }

    /// Something of a stream has changed: no more of its events are kept than shall be.
    fn changed(&mut self, stream: &str) -> Reply {
        let stream = self.streams.get_mut(stream).expect("what has changed is there");
        let keep = stream.count_max.unwrap_or(self.settings.count_max);
        if keep > 0 {
            stream.gone = stream.gone.max(stream.version().saturating_sub(keep));
        }
        Reply { version: stream.version(), position: 0 }
    }

    /// All events in their order, from wherever they are.
    fn assert_all(&self, state: &impl Read, name: &str) {
        let kept = |(stream, of): (&String, &Stream)| {
            let kept = of.kept().map(|(version, event)| (event.position, stream.clone(), version));
            kept.collect::<Vec<_>>()
        };
        let mut should: Vec<_> = self.streams.iter().flat_map(kept).collect();
        should.sort_unstable();
        let all = stream::read_all(state, name, 0, Order::Forwards, &Filter::default(), usize::MAX);
        // What is removed may still be found by who reads all.
        let is_kept = |(_, stream, version): &(u64, String, u64)| *version > self.streams[stream].gone;
        let read = all.events.into_iter().map(|found| (found.event.position, found.stream, found.version));
        let read: Vec<_> = read.filter(is_kept).collect();
        assert_eq!(read, should, "all events of {name:?}, and what they should be");
    }
}

impl Stream {
    fn version(&self) -> u64 {
        self.events.len() as u64
    }

    fn exists(&self) -> bool {
        self.life == Life::Live && self.version() > 0
    }

    fn kept(&self) -> impl Iterator<Item = (u64, &Event)> {
        (1..).zip(&self.events).skip(self.gone as usize)
    }

    fn look(&self, expected: Option<Expected>) -> Result<(), Code> {
        if self.life == Life::DeletedForEver {
            return Err(Code::NotFound);
        }
        let holds = match expected {
            None => true,
            Some(Expected::Version(version)) => version == self.version(),
            Some(Expected::NoStream(())) => !self.exists(),
            Some(Expected::StreamExists(())) => self.exists(),
        };
        if holds { Ok(()) } else { Err(Code::Conflict) }
    }

    /// The answer of then, if these events were appended as they are now, by their ids.
    fn appended_before(&self, append: &Append) -> Option<Reply> {
        let after = match append.expected {
            Some(Expected::Version(version)) if version < self.version() => version,
            Some(Expected::NoStream(())) if self.exists() => self.gone,
            _ => return None,
        };
        if after < self.gone {
            return None;
        }
        let there = &self.events[after as usize..];
        let there = there.get(..append.events.len())?;
        let is_same = |(is, new): (&Event, &stream::NewEvent)| !new.id.is_empty() && is.id == new.id;
        let all = there.iter().zip(&append.events).all(is_same);
        let version = after + append.events.len() as u64;
        all.then(|| Reply { version, position: there.last().map_or(0, |event| event.position) })
    }

    fn assert_read(&self, state: &impl Read, (store, name): (&str, &str), payloads: Payloads<'_>) {
        let read = stream::read(state, store, name, 0, Order::Forwards, &Filter::default(), usize::MAX);
        let read = read.map_or(Vec::new(), |read| read.events);
        let event = |event: stream::Event| Event {
            id: event.id,
            kind: event.r#type,
            position: event.position,
            time: Time::from_millis(event.time),
            payload: payloads(&event.payload),
            metadata: event.metadata.map(|body| payloads(&body)),
        };
        let read: Vec<_> = read.into_iter().map(|at| (at.version, event(at.event))).collect();
        let should: Vec<_> = self.kept().map(|(version, event)| (version, event.clone())).collect();
        assert_eq!(read, should, "the events of {name:?} in {store:?}, and what they should be");
        let found = stream::find(state, store, name);
        let is = found.map_or((0, false), |found| (found.version, found.exists()));
        assert_eq!(
            is,
            (self.version(), self.exists()),
            "{name:?} in {store:?}: version, whether it is there"
        );
        let metadata = stream::description(state, store, name).map(|about| payloads(&about.metadata));
        assert_eq!(metadata, self.metadata, "what is said about {name:?} in {store:?}");
        for version in 0..=self.version() {
            let read = stream::latest_snapshot(state, store, name, version);
            let read = read.map(|snapshot| (snapshot.version, payloads(&snapshot.payload)));
            let should = self.snapshots.range(..=version).next_back();
            let should = should.map(|(version, payload)| (*version, payload.clone()));
            assert_eq!(read, should, "the snapshot of {name:?} in {store:?} up to {version}");
        }
    }
}
