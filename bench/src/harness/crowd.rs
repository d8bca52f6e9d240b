//! Many connections that have each had one answer and then stay: visitors who read.

use std::io::{Error as IoError, ErrorKind, Result as IoResult};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::{Error, Result, http, interrupt};

/// Connections that are kept open until this is dropped.
pub struct Crowd {
    streams: Vec<TcpStream>,
    /// How long each took to connect and to get its answer.
    pub each_us: Vec<u64>,
    pub took: Duration,
}

impl Crowd {
    /// Opens one connection after the other, each with one request and its whole answer.
    pub fn open(port: u16, connections: u32, body_bytes: usize) -> Result<Crowd> {
        let start = Instant::now();
        let mut crowd = Crowd { streams: Vec::new(), each_us: Vec::new(), took: Duration::ZERO };
        for index in 0..connections {
            interrupt::check()?;
            let before = Instant::now();
            let stream = visit(source(index), port, body_bytes).map_err(|error| {
                Error::new(format!("open connection {} of {connections}", index + 1), error)
            })?;
            crowd.each_us.push(before.elapsed().as_micros() as u64);
            crowd.streams.push(stream);
        }
        crowd.took = start.elapsed();
        Ok(crowd)
    }

    /// How many of the connections the other side has closed.
    pub fn lost(&self) -> usize {
        self.streams.iter().filter(|stream| is_lost(stream)).count()
    }
}

impl Drop for Crowd {
    /// Closes with a reset: ten thousand ports that linger in TIME_WAIT would be missing in the next round.
    fn drop(&mut self) {
        for stream in &self.streams {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

fn visit(from: Ipv4Addr, port: u16, body_bytes: usize) -> IoResult<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SockAddr::from(SocketAddrV4::new(from, 0)))?;
    socket.connect_timeout(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)), http::PATIENCE)?;
    let mut stream = TcpStream::from(socket);
    let answer = http::ask(&mut stream, port)?;
    if answer.status != 200 || answer.body.len() != body_bytes {
        let what = format!("it answered {} with {} bytes", answer.status, answer.body.len());
        return Err(IoError::other(what));
    }
    Ok(stream)
}

fn is_lost(stream: &TcpStream) -> bool {
    let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    !looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// 127.0.0.2 and so on: an address has only some 28,000 ports to go out from.
fn source(index: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + index / CONNECTIONS_PER_ADDRESS)
}

const CONNECTIONS_PER_ADDRESS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers `count` connections once each and gives them back open.
    fn serve(count: usize, body: &'static str) -> (u16, std::thread::JoinHandle<Vec<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let one = move |_| {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            stream
        };
        (port, std::thread::spawn(move || (0..count).map(one).collect()))
    }

    #[test]
    fn connections_stay_and_those_closed_by_the_server_are_counted() {
        let (port, server) = serve(3, "hi");
        let crowd = Crowd::open(port, 3, 2).unwrap();
        let mut streams = server.join().unwrap();
        assert_eq!((crowd.each_us.len(), crowd.lost()), (3, 0));
        drop(streams.pop());
        // The end reaches the other side a moment after it was sent.
        let deadline = Instant::now() + Duration::from_secs(5);
        while crowd.lost() == 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(crowd.lost(), 1);
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        let (port, server) = serve(1, "no");
        let error = Crowd::open(port, 1, 1024).err().unwrap();
        assert_eq!(error.with_causes(), "cannot open connection 1 of 1: it answered 200 with 2 bytes");
        server.join().unwrap();
    }

    #[test]
    fn sources_change_before_ports_run_out() {
        assert_eq!(source(9_999), Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(source(10_000), Ipv4Addr::new(127, 0, 0, 3));
    }
}
