//! A DNS server that changes its mind: over UDP and TCP on one port of the loopback, by hand, so that it
//! can be silent, wrong or cut short. The end-to-end tests use it, too.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

const A: u16 = 1;
const SRV: u16 = 33;

/// What is said of a name.
#[derive(Clone)]
pub enum Says {
    /// These addresses, for so many seconds.
    At(u32, Vec<Ipv4Addr>),
    /// These targets, for so many seconds: priority, weight, port, host.
    Srv(u32, Vec<(u16, u16, u16, &'static str)>),
    /// Over UDP only that there is more, over TCP this.
    Truncated(Box<Says>),
    /// There is no such name.
    Nothing,
    /// No answer.
    Silence,
}

/// The server, which ends with the process.
pub struct Dns {
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    names: HashMap<String, Says>,
    asked: HashMap<String, usize>,
}

impl Dns {
    /// A server that knows nothing yet.
    pub fn start() -> Dns {
        let (udp, tcp) = bind();
        let address = udp.local_addr().expect("bound");
        let zone: Arc<Mutex<Zone>> = Arc::default();
        let (over_udp, over_tcp) = (zone.clone(), zone.clone());
        std::thread::spawn(move || serve_udp(&udp, &over_udp));
        std::thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                let zone = over_tcp.clone();
                std::thread::spawn(move || serve_tcp(stream, &zone));
            }
        });
        Dns { address, zone }
    }

    /// From now on this is said of a name.
    pub fn say(&self, name: &str, says: Says) {
        self.lock().names.insert(name.to_owned(), says);
    }

    /// How often a name was asked for.
    pub fn asked(&self, name: &str) -> usize {
        self.lock().asked.get(name).copied().unwrap_or(0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A port that is free for both.
fn bind() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")) {
            return (udp, tcp);
        }
    }
}

fn serve_udp(socket: &UdpSocket, zone: &Mutex<Zone>) {
    let mut packet = [0; 1500];
    while let Ok((size, from)) = socket.recv_from(&mut packet) {
        if let Some(answer) = answer(&packet[..size], zone, true) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

fn serve_tcp(mut stream: TcpStream, zone: &Mutex<Zone>) {
    let mut size = [0; 2];
    while stream.read_exact(&mut size).is_ok() {
        let mut packet = vec![0; u16::from_be_bytes(size).into()];
        if stream.read_exact(&mut packet).is_err() {
            return;
        }
        if let Some(answer) = answer(&packet, zone, false) {
            let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
            let _ = stream.write_all(&framed);
        }
    }
}

fn answer(query: &[u8], zone: &Mutex<Zone>, udp: bool) -> Option<Vec<u8>> {
    let (name, end) = read_name(query)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let question = query.get(12..end + 4)?;
    let says = {
        let mut zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
        *zone.asked.entry(name.clone()).or_default() += 1;
        zone.names.get(&name).cloned().unwrap_or(Says::Nothing)
    };
    let (says, truncated) = match says {
        Says::Silence => return None,
        Says::Truncated(_) if udp => (Says::At(1, Vec::new()), true),
        Says::Truncated(more) => (*more, false),
        says => (says, false),
    };
    let records = records(&says, kind);
    let code = if matches!(says, Says::Nothing) { 3 } else { 0 };
    let flags: u16 = 0x8180 | code | if truncated { 0x0200 } else { 0 };
    let mut out = query[..2].to_vec();
    for field in [flags, 1, records.len() as u16, 0, 0] {
        out.extend(field.to_be_bytes());
    }
    out.extend(question);
    for (ttl, data) in records {
        // Of the name in the question.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

fn records(says: &Says, kind: u16) -> Vec<(u32, Vec<u8>)> {
    match says {
        Says::At(ttl, addresses) if kind == A => {
            addresses.iter().map(|address| (*ttl, address.octets().to_vec())).collect()
        }
        Says::Srv(ttl, targets) if kind == SRV => {
            let data = |(priority, weight, port, host): &(u16, u16, u16, &str)| {
                let mut data = Vec::new();
                for field in [priority, weight, port] {
                    data.extend(field.to_be_bytes());
                }
                for label in host.split('.').filter(|label| !label.is_empty()) {
                    data.push(label.len() as u8);
                    data.extend(label.as_bytes());
                }
                data.push(0);
                data
            };
            targets.iter().map(|target| (*ttl, data(target))).collect()
        }
        _ => Vec::new(),
    }
}

/// The name that is asked for, and where it ends.
fn read_name(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let size = usize::from(*query.get(at)?);
        at += 1;
        if size == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + size)?).to_ascii_lowercase());
        at += size;
    }
}
