//! A port for a program that has to be told which.
//!
//! One that the kernel picks, and that is let go, may be any connection's own before the program has it: a busy machine makes
//! hundreds a second, and a connection's end has a port, too. What is given here is below those.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Above what well-known servers have, below what kernels pick from (Linux from 32,768).
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;
/// How far apart processes begin that were started one after the other.
const APART: u32 = 97;

/// A port that nobody has, on either loopback, and that this process has not given before.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = (std::process::id().wrapping_mul(APART) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let at = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (begin + at) % COUNT;
        // A machine without IPv6 has nobody there.
        let taken = TcpListener::bind((Ipv6Addr::LOCALHOST, port))
            .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
        if !taken && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {FIRST} to {}", FIRST + COUNT);
}
