//! Holding what was acknowledged against what is there.
//!
//! The folder is opened as any start opens it, and what shards still had to send each other is waited for. Then, for each
//! producer and kind: the numbers that are there begin at one, have no gap, come in order and none of them twice; none
//! that was acknowledged is missing; and where it was said to be (offset, ETag, version) there it is. There may be more
//! than was acknowledged: what was on its way when the power went, and what was printed and not received.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::replica::Shared;
use engine::{Embedded, Inspection};
use machine::{Order, Shard, Stored, kv, outbox, queue, stream, topic};
use serde_json::json;

use super::record::{Kind, Line, NAME, ORDERS, PARTITIONS, Writer, item_shard, read};
use crate::args::ExerciseData;
use crate::command::data::{count, refused, with_causes};
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &ExerciseData, lines: &Path) -> Result<ExitCode, Failure> {
    let seen = Seen::read(lines)?;
    if !is_ours(&args.folder)? {
        return Err(Failure::new(format!(
            "{} was not made by `colony data exercise`",
            args.folder.display()
        ))
        .hint("name the folder that the lines are of"));
    }
    let engine = super::open(&args.folder)?;
    settle(&engine)?;
    let mut check = Check { messages: HashMap::new(), unseen_max: 0, wrong: Vec::new(), engine };
    check.collect(NAME)?;
    check.collect(ORDERS)?;
    for (at, (writer, kinds)) in seen.writers.iter().enumerate() {
        terminal::progress(&format!("checking: {at} of {}", seen.writers.len()));
        check.writer(*writer, kinds)?;
    }
    terminal::end_progress();
    let Check { engine, wrong, unseen_max, .. } = check;
    engine.close();
    tell(args, &seen, &wrong, unseen_max)?;
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a folder was made by this command, or restored from one that was: then it has no mark, but our topics.
fn is_ours(folder: &Path) -> Result<bool, Failure> {
    if folder.join(super::MARK).exists() {
        return Ok(true);
    }
    let inspection = Inspection::open(folder, |_, _| {}).map_err(|error| refused(folder, &error))?;
    let has_topic = |shard: &Shared<_>| topic::read::settings(&shard.read().state, NAME).is_some();
    Ok(inspection.shards().iter().all(has_topic))
}

fn tell(args: &ExerciseData, seen: &Seen, wrong: &[String], unseen_max: u64) -> Result<(), Failure> {
    let producers = count(seen.writers.len() as u64, "producer");
    let records = count(seen.records, "acknowledged record");
    if args.json {
        let object = json!({
            "records": seen.records, "producers": seen.writers.len(), "unseen_max": unseen_max, "wrong": wrong,
        });
        return terminal::print(&format!("{object}\n"));
    }
    let mut text: String = wrong.iter().map(|wrong| format!("wrong: {wrong}\n")).collect();
    text.push_str(&match wrong.len() {
        0 => format!("{records} of {producers}: all there, once, in order\n"),
        wrong => format!("{records} of {producers}: {wrong} are not as they were acknowledged\n"),
    });
    terminal::print(&text)
}

/// What the lines say: for each producer, and each kind, the answer to each number.
struct Seen {
    records: u64,
    writers: BTreeMap<Writer, Kinds>,
}

type Kinds = BTreeMap<Kind, Vec<u64>>;

impl Seen {
    fn read(path: &Path) -> Result<Seen, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        let mut seen = Seen { records: 0, writers: BTreeMap::new() };
        // The last one may have been cut off with the power.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (line, number) in whole.lines().zip(1..) {
            let odd = |what: &str| {
                Failure::new(format!("{}:{number}: {what}", path.display())).hint(
                    "the file has the lines that `colony data exercise` printed, all of them in their order",
                )
            };
            let line: Line =
                serde_json::from_str(line).map_err(|error| odd(&format!("no such line: {error}")))?;
            let writer = Writer { run: line.run, producer: line.producer };
            let answers = seen.writers.entry(writer).or_default().entry(line.kind).or_default();
            if line.number != answers.len() as u64 + 1 {
                return Err(odd("a line is missing before it"));
            }
            answers.push(line.at);
            seen.records += 1;
        }
        Ok(seen)
    }
}

/// Waits until everything that shards send each other has come.
fn settle(engine: &Embedded) -> Result<(), Failure> {
    let end = Instant::now() + SETTLE;
    let waiting = |shard| engine.read(shard, |state, _| !outbox::targets(state).is_empty());
    for shard in engine.shards().all() {
        while waiting(shard).map_err(|error| unreadable(&error))? {
            if Instant::now() > end {
                return Err(Failure::new(format!(
                    "what shard {} sends to others does not come there within {} s",
                    shard.0,
                    SETTLE.as_secs()
                )));
            }
            terminal::progress("waiting for what shards send each other");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

struct Check {
    engine: Embedded,
    /// For each producer and topic its messages in order: offset and number.
    messages: HashMap<(&'static str, Writer), Vec<(u64, u64)>>,
    /// How many more there are of one kind of one producer than were printed, at most.
    unseen_max: u64,
    wrong: Vec<String>,
}

impl Check {
    fn writer(&mut self, writer: Writer, kinds: &Kinds) -> Result<(), Failure> {
        let none = Vec::new();
        let answers = |kind| kinds.get(&kind).unwrap_or(&none);
        let put = self.item(writer, writer.key())?;
        self.latest(writer, "put", answers(Kind::Put), put);
        let published = self.messages.remove(&(NAME, writer)).unwrap_or_default();
        self.sequence(writer, "publish", answers(Kind::Publish), &published);
        let appended = self.events(writer)?;
        self.sequence(writer, "append", answers(Kind::Append), &appended);
        self.queue(writer, answers(Kind::Send), answers(Kind::Acknowledge))?;
        let order = self.item(writer, writer.order_key())?;
        self.latest(writer, "order", answers(Kind::Order), order);
        // One message for each order, whether it was acknowledged or not: both are of the same entry.
        let told = self.messages.remove(&(ORDERS, writer)).unwrap_or_default();
        let ordered = order.map_or(0, |(_, number)| number);
        let numbers: Vec<u64> = told.iter().map(|(_, number)| *number).collect();
        if !numbers.iter().copied().eq(1..=ordered) {
            let said = first_odd(&numbers, 1, ordered);
            self.say(
                writer,
                "order",
                &format!("{ordered} were put, and of those told to another shard {said}"),
            );
        }
        Ok(())
    }

    fn say(&mut self, writer: Writer, what: &str, wrong: &str) {
        self.wrong.push(format!("run {}, producer {}, {what}: {wrong}", writer.run, writer.producer));
    }

    fn unseen(&mut self, there: u64, acknowledged: usize) {
        self.unseen_max = self.unseen_max.max(there.saturating_sub(acknowledged as u64));
    }

    /// Of what is written over only the last is there.
    fn latest(&mut self, writer: Writer, what: &str, answers: &[u64], found: Option<(u64, u64)>) {
        let acknowledged = answers.len() as u64;
        let (etag, number) = found.unwrap_or_default();
        self.unseen(number, answers.len());
        if number < acknowledged {
            self.say(writer, what, &format!("{acknowledged} was acknowledged, and {number} is there"));
        } else if let Some(said) = answers.last()
            && number == acknowledged
            && etag != *said
        {
            self.say(writer, what, &format!("{number} was acknowledged with ETag {said}, and has {etag}"));
        }
    }

    /// Of what is appended all are there, in order.
    fn sequence(&mut self, writer: Writer, what: &str, answers: &[u64], found: &[(u64, u64)]) {
        self.unseen(found.len() as u64, answers.len());
        let numbers: Vec<u64> = found.iter().map(|(_, number)| *number).collect();
        let last = numbers.len().max(answers.len()) as u64;
        if !numbers.iter().copied().eq(1..=last) {
            let acknowledged = answers.len();
            let odd = first_odd(&numbers, 1, last);
            self.say(writer, what, &format!("{acknowledged} were acknowledged, and {odd}"));
            return;
        }
        let moved = answers.iter().zip(found).find(|(said, (at, _))| *said != at);
        if let Some((said, (at, number))) = moved {
            self.say(writer, what, &format!("{number} was acknowledged as {said}, and is {at}"));
        }
    }

    /// Of what was sent all are there but those that are done, which are the first ones.
    fn queue(&mut self, writer: Writer, sent: &[u64], done: &[u64]) -> Result<(), Failure> {
        let there = self.items(writer)?;
        let numbers: Vec<u64> = there.iter().map(|(_, number)| *number).collect();
        let gone = numbers.first().map_or(sent.len() as u64, |first| first - 1);
        let last = numbers.last().copied().unwrap_or(gone);
        self.unseen(last, sent.len());
        self.unseen(gone, done.len());
        if gone < done.len() as u64 {
            let text = format!("{} were acknowledged as done, and {} is still there", done.len(), gone + 1);
            self.say(writer, "queue", &text);
        } else if last < sent.len() as u64 || !numbers.iter().copied().eq(gone + 1..=last) {
            let text = format!(
                "{} were acknowledged as sent and {} as done, and those that are there are not all between: {}",
                sent.len(),
                done.len(),
                first_odd(&numbers, gone + 1, last.max(sent.len() as u64))
            );
            self.say(writer, "queue", &text);
        } else if let Some((id, number)) =
            there.iter().find(|(id, number)| sent.get(*number as usize - 1).is_some_and(|said| said != id))
        {
            self.say(
                writer,
                "queue",
                &format!("{number} has the id {id}, which is not what was acknowledged"),
            );
        }
        Ok(())
    }

    /// The number that is in an item, with its ETag.
    fn item(&mut self, writer: Writer, key: Bytes) -> Result<Option<(u64, u64)>, Failure> {
        let shard = item_shard(self.engine.shards(), &key);
        let (etags, payloads) = self.read(shard, |state, now| {
            let item = kv::get(state, NAME, "", &key, now);
            (item.iter().map(|item| item.etag).collect(), item.into_iter().map(|item| item.value).collect())
        })?;
        Ok(self.numbers(writer, "an item", etags, &payloads).pop())
    }

    fn events(&mut self, writer: Writer) -> Result<Vec<(u64, u64)>, Failure> {
        let name = writer.name();
        let shard = stream::shard(self.engine.shards(), NAME, stream::Spread::ByStream, &name);
        let mut events = Vec::new();
        loop {
            let from = events.last().map_or(1, |(version, _)| version + 1);
            let (versions, payloads): (Vec<u64>, _) = self.read(shard, |state, _| {
                let filter = stream::Filter::default();
                let read = stream::read(state, NAME, &name, from, Order::Forwards, &filter, PAGE);
                let events = read.map(|read| read.events).unwrap_or_default();
                events.into_iter().map(|event| (event.version, event.event.payload)).unzip()
            })?;
            if versions.is_empty() {
                return Ok(events);
            }
            let before = events.len();
            events.extend(self.numbers(writer, "an event", versions, &payloads));
            if events.len() == before {
                return Ok(events);
            }
        }
    }

    /// What is in the producer's queue, ready or handed out: id and number, by number.
    fn items(&mut self, writer: Writer) -> Result<Vec<(u64, u64)>, Failure> {
        let name = writer.queue();
        let shard = queue::home(self.engine.shards(), &name);
        let mut items = Vec::new();
        for which in [
            queue::Which::Leased,
            queue::Which::Ready,
            queue::Which::Delayed,
            queue::Which::Blocked,
            queue::Which::Dead,
        ] {
            let mut from: Option<Vec<u8>> = None;
            loop {
                let ((ids, next), payloads) = self.read(shard, |state, _| {
                    let page = queue::peek(state, &name, which, from.as_deref(), PAGE);
                    let items = page.items.into_iter().map(|peeked| (peeked.id, peeked.item.body));
                    let (ids, bodies): (Vec<u64>, _) = items.unzip();
                    ((ids, page.next), bodies)
                })?;
                items.extend(self.numbers(writer, "an item of a queue", ids, &payloads));
                from = next;
                if from.is_none() {
                    break;
                }
            }
        }
        items.sort_unstable_by_key(|(_, number)| *number);
        Ok(items)
    }

    /// Reads all messages of a topic, by who wrote them.
    fn collect(&mut self, topic: &'static str) -> Result<(), Failure> {
        for partition in 0..PARTITIONS {
            let shard = topic::shard(self.engine.shards(), topic, partition);
            let mut from = 0;
            loop {
                terminal::progress(&format!("reading: topic {topic}, partition {partition}, {from}"));
                let (places, payloads): (Vec<(u64, Bytes)>, _) = self.read(shard, |state, now| {
                    let page = topic::read::page(state, topic, partition, from, PAGE, now);
                    let place = |(offset, message): (u64, topic::Message)| {
                        ((offset, message.attributes.key), message.body)
                    };
                    page.into_iter().map(place).unzip()
                })?;
                let Some((last, _)) = places.last() else { break };
                from = last + 1;
                for ((offset, key), payload) in places.iter().zip(&payloads) {
                    self.message(topic, *offset, key, payload);
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, topic: &'static str, offset: u64, key: &[u8], payload: &[u8]) {
        let writer = std::str::from_utf8(key).ok().and_then(Writer::of);
        match (writer, read(payload)) {
            (Some(writer), Some((by, number))) if writer == by => {
                self.messages.entry((topic, writer)).or_default().push((offset, number));
            }
            _ => self.wrong.push(format!("topic {topic}, offset {offset}: not what was written")),
        }
    }

    /// The numbers that payloads have, each with where it is.
    fn numbers(&mut self, writer: Writer, what: &str, at: Vec<u64>, payloads: &[Bytes]) -> Vec<(u64, u64)> {
        let mut numbers = Vec::new();
        for (at, payload) in at.into_iter().zip(payloads) {
            match read(payload) {
                Some((by, number)) if by == writer => numbers.push((at, number)),
                _ => self.say(writer, what, "its payload is not what was written"),
            }
        }
        numbers
    }

    fn read<R>(
        &self,
        shard: Shard,
        look: impl Fn(&engine::overlay::Overlay<engine::store::Fjall>, machine::Time) -> (R, Vec<Stored>),
    ) -> Result<(R, Vec<Bytes>), Failure> {
        self.engine.read_with_payloads(shard, look).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &engine::Error) -> Failure {
    Failure::new(format!("cannot read what is there: {}", with_causes(error)))
}

/// Where numbers that should be `first` to `last` without a gap are something else.
fn first_odd(numbers: &[u64], first: u64, last: u64) -> String {
    let odd = numbers.iter().zip(first..).find(|(is, wanted)| *is != wanted);
    match odd {
        Some((is, wanted)) => format!("{is} is where {wanted} should be"),
        None => format!("the last is {}; {last} should be", numbers.last().copied().unwrap_or(first - 1)),
    }
}

/// How many are read at a time.
const PAGE: usize = 256;
/// How long what shards send each other may take.
const SETTLE: Duration = Duration::from_secs(60);
