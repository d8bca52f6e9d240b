//! Blocks of records of logs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::bytes::{put, put_step};
use super::columns::{Columns, Read};
use super::row::Row;
use super::zone::Zone;
use crate::part::KeptLog;
use crate::span::LogRecord;

// The columns, in the order in which they are written. An attribute's column has that of its values behind it.
const NUMBERS: usize = 0;
const TIMES: usize = 1;
const SEVERITIES: usize = 2;
const SERVICES: usize = 3;
const INSTANCES: usize = 4;
const EVENTS: usize = 5;
const BODIES: usize = 6;
const TRACES: usize = 7;
const TRACE_IDS: usize = 8;
const SPAN_IDS: usize = 9;
const ATTRIBUTES: usize = 10;
const COLUMNS: usize = 12;

/// From here on an error.
const ERROR: u8 = 17;
/// In `TRACES`: no trace; the next id; or from here on, how many of them before.
const NONE: u64 = 0;
const NEW: u64 = 1;
const KNOWN: u64 = 2;

impl Row for Arc<KeptLog> {
    const KIND: u8 = b'l';

    fn zone(rows: &[Arc<KeptLog>]) -> Zone {
        let mut zone = Zone::new();
        for log in rows {
            zone.at(log.record.at_ns);
            zone.has_errors |= log.record.severity >= ERROR;
            zone.newest = zone.newest.max(log.seq);
            zone.of_service(&log.record.service);
        }
        zone.count = rows.len() as u64;
        zone.of_traces(&rows.iter().filter_map(|log| log.record.trace_id).collect::<HashSet<_>>());
        zone
    }

    fn encode(rows: &[Arc<KeptLog>]) -> Vec<u8> {
        let mut columns = Columns::<COLUMNS>::new();
        put(&mut columns.of[NUMBERS], rows.len() as u64);
        let (mut seq, mut at_ns) = (0, 0);
        let mut traces: HashMap<[u8; 16], u64> = HashMap::new();
        for log in rows {
            let record = &log.record;
            put_step(&mut columns.of[NUMBERS], seq, log.seq);
            put_step(&mut columns.of[TIMES], at_ns, record.at_ns);
            (seq, at_ns) = (log.seq, record.at_ns);
            columns.of[SEVERITIES].push(record.severity);
            columns.word(SERVICES, &record.service);
            columns.word(INSTANCES, &record.instance);
            columns.word(EVENTS, &record.event);
            columns.word(BODIES, &record.body);
            let trace = match record.trace_id {
                None => NONE,
                Some(trace_id) => match traces.get(&trace_id) {
                    Some(place) => KNOWN + place,
                    None => {
                        traces.insert(trace_id, traces.len() as u64);
                        columns.of[TRACE_IDS].extend_from_slice(&trace_id);
                        NEW
                    }
                },
            };
            put(&mut columns.of[TRACES], trace);
            columns.of[SPAN_IDS].push(u8::from(record.span_id.is_some()));
            columns.of[SPAN_IDS].extend(record.span_id.iter().flatten());
            columns.attributes(ATTRIBUTES, &record.attributes);
        }
        columns.finish()
    }

    fn decode(packed: &[u8]) -> Option<Vec<Arc<KeptLog>>> {
        let mut columns = Read::<COLUMNS>::new(packed)?;
        let rest = columns.of[NUMBERS];
        let count = columns.of[NUMBERS].count(&rest)?;
        let (mut seq, mut at_ns) = (0, 0);
        let mut traces: Vec<[u8; 16]> = Vec::new();
        let mut logs = Vec::with_capacity(count);
        for _ in 0..count {
            seq = columns.of[NUMBERS].step(seq)?;
            at_ns = columns.of[TIMES].step(at_ns)?;
            let trace_id = match columns.of[TRACES].number()? {
                NONE => None,
                NEW => {
                    let trace_id = columns.of[TRACE_IDS].array()?;
                    traces.push(trace_id);
                    Some(trace_id)
                }
                place => Some(*traces.get(usize::try_from(place - KNOWN).ok()?)?),
            };
            let span_id = match columns.of[SPAN_IDS].byte()? {
                0 => None,
                _ => Some(columns.of[SPAN_IDS].array()?),
            };
            let record = LogRecord {
                at_ns,
                severity: columns.of[SEVERITIES].byte()?,
                service: columns.word(SERVICES)?,
                instance: columns.word(INSTANCES)?,
                event: columns.word(EVENTS)?,
                body: columns.word(BODIES)?,
                attributes: columns.attributes(ATTRIBUTES)?,
                trace_id,
                span_id,
            };
            logs.push(Arc::new(KeptLog { seq, record }));
        }
        Some(logs)
    }

    fn count(&self) -> usize {
        1
    }

    fn bytes(&self) -> usize {
        size_of::<KeptLog>() + self.record.bytes()
    }
}
