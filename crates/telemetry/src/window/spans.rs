//! Blocks of spans.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::bytes::{put, put_step};
use super::columns::{Columns, Read};
use super::row::Row;
use super::zone::Zone;
use crate::part::{Kept, Part, Why};
use crate::span::{Event, Kind, Link, Span, Status, Text};

// The columns, in the order in which they are written. An attribute's column has that of its values behind it.
const PARTS: usize = 0;
const IDS: usize = 1;
const PARENTS: usize = 2;
const SERVICES: usize = 3;
const INSTANCES: usize = 4;
const SCOPES: usize = 5;
const NAMES: usize = 6;
const KINDS: usize = 7;
const STARTS: usize = 8;
const DURATIONS: usize = 9;
const WORDS: usize = 10;
const ATTRIBUTES: usize = 11;
const EVENTS: usize = 13;
const EVENT_ATTRIBUTES: usize = 14;
const LINKS: usize = 16;
const LINK_ATTRIBUTES: usize = 17;
const COLUMNS: usize = 19;

/// In `PARENTS`: there is none, its id follows, or from here on which span of the part it is.
const NONE: u64 = 0;
const ELSEWHERE: u64 = 1;
const WITHIN: u64 = 2;

impl Row for Part {
    const KIND: u8 = b's';

    fn zone(rows: &[Part]) -> Zone {
        let mut zone = Zone::new();
        for part in rows {
            zone.at(part.start_ns);
            zone.count += part.spans.len() as u64;
            for span in &part.spans {
                zone.longest_ns = zone.longest_ns.max(span.duration_ns);
                zone.has_errors |= span.is_error();
                zone.of_service(&span.service);
            }
        }
        zone.of_traces(&rows.iter().map(|part| part.trace_id).collect::<HashSet<_>>());
        zone
    }

    fn encode(rows: &[Part]) -> Vec<u8> {
        let mut columns = Columns::<COLUMNS>::new();
        put(&mut columns.of[PARTS], rows.len() as u64);
        let mut before = 0;
        for part in rows {
            let to = &mut columns.of[PARTS];
            to.extend_from_slice(&part.trace_id);
            put_step(to, before, part.start_ns);
            to.push(part.kept.map_or(0, |kept| code(kept.why)));
            to.extend_from_slice(&part.kept.map_or(1.0, |kept| kept.weight).to_le_bytes());
            put(to, part.spans.len() as u64);
            before = part.start_ns;
            let places: HashMap<[u8; 8], u64> = part.spans.iter().map(|span| span.span_id).zip(0..).collect();
            part.spans.iter().for_each(|span| encode_span(&mut columns, span, part.start_ns, &places));
        }
        columns.finish()
    }

    fn decode(packed: &[u8]) -> Option<Vec<Part>> {
        let mut columns = Read::<COLUMNS>::new(packed)?;
        let ids = columns.of[PARTS];
        let count = columns.of[PARTS].count(&ids)?;
        let mut parts = Vec::with_capacity(count);
        let mut before = 0;
        for _ in 0..count {
            let from = &mut columns.of[PARTS];
            let trace_id = from.array()?;
            let start_ns = from.step(before)?;
            let why = from.byte()?;
            let weight = f32::from_le_bytes(from.array()?);
            let kept = why_of(why)?.map(|why| Kept { why, weight });
            let ids = columns.of[IDS];
            let spans = columns.of[PARTS].count(&ids)?;
            before = start_ns;
            parts.push(Part {
                trace_id,
                start_ns,
                kept,
                spans: decode_spans(&mut columns, spans, trace_id, start_ns)?,
            });
        }
        Some(parts)
    }

    fn count(&self) -> usize {
        self.spans.len()
    }

    fn bytes(&self) -> usize {
        Part::bytes(self)
    }
}

fn encode_span<'r>(
    columns: &mut Columns<'r, COLUMNS>,
    span: &'r Span,
    part_ns: u64,
    places: &HashMap<[u8; 8], u64>,
) {
    columns.of[IDS].extend_from_slice(&span.span_id);
    let to = &mut columns.of[PARENTS];
    match span.parent {
        None => put(to, NONE),
        Some(parent) => match places.get(&parent) {
            Some(place) => put(to, WITHIN + place),
            None => {
                put(to, ELSEWHERE);
                to.extend_from_slice(&parent);
            }
        },
    }
    columns.word(SERVICES, &span.service);
    columns.word(INSTANCES, &span.instance);
    columns.word(SCOPES, &span.scope);
    columns.word(NAMES, &span.name);
    let status = match &span.status {
        Status::Unset => 0,
        Status::Ok => 1,
        Status::Error(_) => 2,
    };
    let has_words = u8::from(!span.trace_state.is_empty() || span.dropped > 0);
    columns.of[KINDS].push(span.kind as u8 | status << 3 | has_words << 5);
    if let Status::Error(why) = &span.status {
        columns.word(WORDS, why);
    }
    if has_words == 1 {
        columns.word(WORDS, &span.trace_state);
        put(&mut columns.of[WORDS], u64::from(span.dropped));
    }
    put_step(&mut columns.of[STARTS], part_ns, span.start_ns);
    put(&mut columns.of[DURATIONS], span.duration_ns);
    columns.attributes(ATTRIBUTES, &span.attributes);
    put(&mut columns.of[EVENTS], span.events.len() as u64);
    for event in &span.events {
        put_step(&mut columns.of[EVENTS], span.start_ns, event.at_ns);
        columns.word(EVENTS, &event.name);
        columns.attributes(EVENT_ATTRIBUTES, &event.attributes);
    }
    put(&mut columns.of[LINKS], span.links.len() as u64);
    for link in &span.links {
        columns.of[LINKS].extend_from_slice(&link.trace_id);
        columns.of[LINKS].extend_from_slice(&link.span_id);
        columns.attributes(LINK_ATTRIBUTES, &link.attributes);
    }
}

/// The spans of a part. That of which one is within is known when all ids are: they are read first.
fn decode_spans(
    columns: &mut Read<'_, COLUMNS>,
    count: usize,
    trace_id: [u8; 16],
    part_ns: u64,
) -> Option<Vec<Arc<Span>>> {
    let ids: Vec<[u8; 8]> = (0..count).map(|_| columns.of[IDS].array()).collect::<Option<_>>()?;
    ids.iter().map(|id| decode_span(columns, trace_id, *id, part_ns, &ids).map(Arc::new)).collect()
}

fn decode_span(
    columns: &mut Read<'_, COLUMNS>,
    trace_id: [u8; 16],
    span_id: [u8; 8],
    part_ns: u64,
    ids: &[[u8; 8]],
) -> Option<Span> {
    let parent = match columns.of[PARENTS].number()? {
        NONE => None,
        ELSEWHERE => Some(columns.of[PARENTS].array()?),
        place => Some(*ids.get(usize::try_from(place - WITHIN).ok()?)?),
    };
    let kinds = columns.of[KINDS].byte()?;
    let status = match (kinds >> 3) & 3 {
        0 => Status::Unset,
        1 => Status::Ok,
        2 => Status::Error(columns.word(WORDS)?),
        _ => return None,
    };
    let (trace_state, dropped) = match kinds >> 5 {
        0 => (Text::default(), 0),
        1 => (columns.word(WORDS)?, u32::try_from(columns.of[WORDS].number()?).ok()?),
        _ => return None,
    };
    let start_ns = columns.of[STARTS].step(part_ns)?;
    Some(Span {
        trace_id,
        span_id,
        parent,
        trace_state,
        service: columns.word(SERVICES)?,
        instance: columns.word(INSTANCES)?,
        scope: columns.word(SCOPES)?,
        name: columns.word(NAMES)?,
        kind: kind(kinds & 7)?,
        start_ns,
        duration_ns: columns.of[DURATIONS].number()?,
        status,
        attributes: columns.attributes(ATTRIBUTES)?,
        events: decode_events(columns, start_ns)?,
        links: decode_links(columns)?,
        dropped,
    })
}

fn decode_events(columns: &mut Read<'_, COLUMNS>, start_ns: u64) -> Option<Vec<Event>> {
    let rest = columns.of[EVENTS];
    let count = columns.of[EVENTS].count(&rest)?;
    let event = |_| {
        let at_ns = columns.of[EVENTS].step(start_ns)?;
        Some(Event { at_ns, name: columns.word(EVENTS)?, attributes: columns.attributes(EVENT_ATTRIBUTES)? })
    };
    (0..count).map(event).collect()
}

fn decode_links(columns: &mut Read<'_, COLUMNS>) -> Option<Vec<Link>> {
    let rest = columns.of[LINKS];
    let count = columns.of[LINKS].count(&rest)?;
    let link = |_| {
        let (trace_id, span_id) = (columns.of[LINKS].array()?, columns.of[LINKS].array()?);
        Some(Link { trace_id, span_id, attributes: columns.attributes(LINK_ATTRIBUTES)? })
    };
    (0..count).map(link).collect()
}

fn kind(code: u8) -> Option<Kind> {
    let all = [Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer];
    all.get(usize::from(code)).copied()
}

fn code(why: Why) -> u8 {
    match why {
        Why::Error => 1,
        Why::Slow => 2,
        Why::Share => 3,
    }
}

fn why_of(code: u8) -> Option<Option<Why>> {
    [None, Some(Why::Error), Some(Why::Slow), Some(Why::Share)].get(usize::from(code)).copied()
}
