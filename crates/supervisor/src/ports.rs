//! Ports for instances: chosen outside the range from which the kernel takes the ports of outgoing
//! connections, so that no connection of somebody else takes one away between its choice and its use.

use crate::holder;
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// The ports of one supervisor. A port is not given again before all others were.
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    next: u16,
    given: BTreeSet<u16>,
}

impl Ports {
    /// Begins somewhere in the range, so that supervisors side by side seldom meet.
    pub fn new(seed: u64) -> Self {
        let range = choose_range(&ephemeral());
        let size = u64::from(range.end() - range.start()) + 1;
        let next = range.start() + u16::try_from(seed % size).unwrap_or(0);
        Self { range, next, given: BTreeSet::new() }
    }

    /// A port on which nobody listens on 127.0.0.1 now.
    pub fn take(&mut self) -> Option<u16> {
        let free = self.range.clone().find_map(|_| {
            let port = self.step();
            (!self.given.contains(&port) && is_free(port)).then_some(port)
        })?;
        self.given.insert(free);
        Some(free)
    }

    /// The instance that had it is gone.
    pub fn give_back(&mut self, port: u16) {
        self.given.remove(&port);
    }

    fn step(&mut self) -> u16 {
        let port = self.next;
        self.next = if port >= *self.range.end() { *self.range.start() } else { port + 1 };
        port
    }
}

/// Whether a server could listen on 127.0.0.1 at this port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Why a fixed port cannot be had. Looks through all processes, so not on an async thread.
pub(crate) fn in_use(port: u16) -> String {
    match holder::port_holder(port) {
        Some(holder) => format!("port {port} is in use by {holder}"),
        None => format!("port {port} is in use by a process that cannot be seen from here"),
    }
}

fn ephemeral() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = text.split_ascii_whitespace().filter_map(|bound| bound.parse().ok());
    bounds.next().zip(bounds.next()).map_or(32_768..=60_999, |(low, high)| low..=high)
}

fn choose_range(ephemeral: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    let overlaps =
        |range: &RangeInclusive<u16>| range.start() <= ephemeral.end() && ephemeral.start() <= range.end();
    RANGES.into_iter().find(|range| !overlaps(range)).unwrap_or(20_000..=29_999)
}

/// By preference; the first all the same when the kernel uses some of each.
const RANGES: [RangeInclusive<u16>; 5] =
    [20_000..=29_999, 10_000..=19_999, 40_000..=49_999, 61_000..=65_535, 2_000..=9_999];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_keeps_clear_of_the_kernels() {
        assert_eq!(choose_range(&(32_768..=60_999)), 20_000..=29_999);
        assert_eq!(choose_range(&(15_000..=60_999)), 61_000..=65_535);
        assert_eq!(choose_range(&(1_024..=65_535)), 20_000..=29_999);
    }

    #[test]
    fn ports_in_use_are_passed_over_and_none_comes_twice_in_a_row() {
        let mut ports = Ports::new(4711);
        let first = ports.take().unwrap();
        ports.give_back(first);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.next)).unwrap();
        let second = ports.take().unwrap();
        assert!(second != first && second != taken.local_addr().unwrap().port());
    }
}
