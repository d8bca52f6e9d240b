//! What is known of a block without reading it: when, whose, how long at most, whether something failed, and which traces it
//! cannot have (a Bloom filter, twelve bits and five looks a trace: one in three hundred is read for nothing).

use std::collections::{BTreeSet, HashSet};

use super::bytes::{Left, put, put_bytes};

/// Most services that are listed; with more, it may be any.
const SERVICES_MAX: usize = 512;
const BITS_A_TRACE: usize = 12;
const LOOKS: u64 = 5;

/// Of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// The earliest place of a trace, or the earliest record, in nanoseconds since 1970.
    pub from_ns: u64,
    /// The latest.
    pub to_ns: u64,
    /// The longest span's duration, in nanoseconds.
    pub longest_ns: u64,
    /// Whether a span failed, or a record is of an error or worse.
    pub has_errors: bool,
    /// How many spans or records.
    pub count: u64,
    /// The highest number of a record.
    pub newest: u64,
    /// When it was written, in milliseconds since 1970.
    pub written_ms: u64,
    /// Which tail it has taken the place of.
    pub tail: u64,
    services: Option<BTreeSet<String>>,
    traces: Vec<u8>,
}

impl Zone {
    pub(super) fn new() -> Zone {
        Zone { from_ns: u64::MAX, services: Some(BTreeSet::new()), ..Zone::default() }
    }

    /// Something at this time is in it.
    pub(super) fn at(&mut self, ns: u64) {
        self.from_ns = self.from_ns.min(ns);
        self.to_ns = self.to_ns.max(ns);
    }

    pub(super) fn of_service(&mut self, service: &str) {
        if let Some(services) = &mut self.services
            && !services.contains(service)
        {
            services.insert(service.to_owned());
        }
        self.services.take_if(|services| services.len() > SERVICES_MAX);
    }

    pub(super) fn of_traces(&mut self, traces: &HashSet<[u8; 16]>) {
        self.traces = vec![0; (traces.len() * BITS_A_TRACE).div_ceil(8).max(1)];
        for trace_id in traces {
            for bit in bits(trace_id, self.traces.len()) {
                self.traces[bit / 8] |= 1 << (bit % 8);
            }
        }
    }

    /// Whether something of this service is in it, as far as that is known.
    pub(crate) fn has_service(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// Whether something of this trace may be in it.
    pub(crate) fn may_have(&self, trace_id: &[u8; 16]) -> bool {
        !self.traces.is_empty()
            && bits(trace_id, self.traces.len()).all(|bit| self.traces[bit / 8] & (1 << (bit % 8)) != 0)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut packed = vec![u8::from(self.has_errors), u8::from(self.services.is_some())];
        let numbers =
            [self.from_ns, self.to_ns, self.longest_ns, self.count, self.newest, self.written_ms, self.tail];
        numbers.into_iter().for_each(|number| put(&mut packed, number));
        let services = self.services.iter().flatten();
        put(&mut packed, services.clone().count() as u64);
        services.for_each(|service| put_bytes(&mut packed, service.as_bytes()));
        put_bytes(&mut packed, &self.traces);
        packed
    }

    pub(super) fn decode(packed: &[u8]) -> Option<Zone> {
        let mut left = Left(packed);
        let (has_errors, has_services) = (left.byte()? != 0, left.byte()? != 0);
        let mut zone = Zone {
            from_ns: left.number()?,
            to_ns: left.number()?,
            longest_ns: left.number()?,
            has_errors,
            count: left.number()?,
            newest: left.number()?,
            written_ms: left.number()?,
            tail: left.number()?,
            ..Zone::default()
        };
        let mut services = BTreeSet::new();
        for _ in 0..left.number()? {
            services.insert(std::str::from_utf8(left.bytes()?).ok()?.to_owned());
        }
        zone.services = has_services.then_some(services);
        zone.traces = left.bytes()?.to_vec();
        Some(zone)
    }
}

/// Which bits stand for a trace (Kirsch and Mitzenmacher: two hashes make any number of them).
fn bits(trace_id: &[u8; 16], bytes: usize) -> impl Iterator<Item = usize> {
    let (one, step) = (crate::sample::mixed(trace_id, 1), crate::sample::mixed(trace_id, 2) | 1);
    let of = 8 * bytes as u64;
    (0..LOOKS).map(move |look| (one.wrapping_add(look.wrapping_mul(step)) % of) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_in_it_is_known(traces: HashSet<[u8; 16]>, services: Vec<String>, other: [u8; 16]) {
            let mut zone = Zone::new();
            zone.at(7);
            services.iter().for_each(|service| zone.of_service(service));
            zone.of_traces(&traces);
            let read = Zone::decode(&zone.encode()).unwrap();
            prop_assert_eq!(&read, &zone);
            prop_assert!(traces.iter().all(|trace| read.may_have(trace)));
            prop_assert!(services.iter().all(|service| read.has_service(service)));
            prop_assert!(!traces.is_empty() || !read.may_have(&other));
        }

        #[test]
        fn nothing_else_makes_it_panic(packed: Vec<u8>) {
            let _ = Zone::decode(&packed);
        }
    }

    #[test]
    fn few_traces_are_looked_for_in_vain() {
        let mut zone = Zone::new();
        zone.of_traces(&(0..1_000_u128).map(|n| ((n << 64) | (n * n)).to_be_bytes()).collect());
        let wrong =
            (1_000..11_000_u128).filter(|n| zone.may_have(&((n << 64) | (n * n)).to_be_bytes())).count();
        assert!(wrong < 150, "{wrong} of 10,000");
    }
}
