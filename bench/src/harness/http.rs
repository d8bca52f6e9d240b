//! One `GET /`: enough to see whether a server is there, and to make a connection known to it.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks the port on the loopback for `/`, over a connection of its own.
pub fn get(port: u16) -> Result<Answer> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    ask(&mut TcpStream::connect_timeout(&address, PATIENCE)?, port)
}

/// Asks over a connection, which can be kept: of the answer nothing is left unread.
pub fn ask(stream: &mut TcpStream, port: u16) -> Result<Answer> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    while bytes.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut some)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&some[..count]),
        }
        if let Some(answer) = parse(&bytes) {
            return Ok(answer);
        }
    }
    Err(Error::other("the answer has no end"))
}

/// The answer, once it is whole.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ")?.get(..3)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let body = match field("content-length:") {
        Some(length) => rest.get(..length.parse().ok()?)?.to_vec(),
        None if field("transfer-encoding:") == Some("chunked") => unchunk(rest)?,
        None => return None,
    };
    Some(Answer { status, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return rest.starts_with(b"\r\n").then_some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// For each step of a request.
pub const PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_framings_are_read() {
        let plain = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        assert_eq!((plain.status, plain.body.as_slice()), (200, &b"hi"[..]));
        let chunked =
            parse(b"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n")
                .unwrap();
        assert_eq!((chunked.status, chunked.body.as_slice()), (503, &b"hi"[..]));
    }

    #[test]
    fn an_answer_is_there_when_it_is_whole() {
        for part in ["SSH-2.0", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"] {
            assert!(parse(part.as_bytes()).is_none(), "{part}");
        }
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n").is_none());
    }
}
