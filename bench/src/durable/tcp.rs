//! Peers asked over their own protocols, a connection a task: the least of each that such a load takes.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::tasks::{Load, closed_loop};
use super::{ITEMS, PAYLOAD_BYTES};
use crate::harness::{Error, Result};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Redis: an entry added to a stream.
    Xadd,
    /// Redis: a string set.
    Set,
    /// Redis: a string got.
    Get,
    /// JetStream: a message published, with its acknowledgement.
    Publish,
}

/// Asks for `seconds`.
pub fn load(work: Work, tasks: u32, seconds: u32, port: u16) -> Result<Load> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new("start a runtime", error))?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for number in 0..tasks {
            let connection = Connection::open(work, number, port).await;
            connections.push(connection.map_err(|error| Error::new("reach the peer", error))?);
        }
        let time = Duration::from_secs(u64::from(seconds));
        Ok(closed_loop(connections, time, move |mut connection, call| async move {
            connection.ask(call).await.expect("the peer answers what it is asked");
            (connection, 1)
        })
        .await)
    })
}

struct Connection {
    work: Work,
    number: u32,
    stream: BufReader<TcpStream>,
    payload: String,
    line: String,
    skipped: Vec<u8>,
}

impl Connection {
    async fn open(work: Work, number: u32, port: u16) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            work,
            number,
            stream: BufReader::new(stream),
            payload: "x".repeat(PAYLOAD_BYTES),
            line: String::new(),
            skipped: Vec::new(),
        };
        match work {
            Work::Publish => connection.begin_nats().await?,
            Work::Get => connection.fill_redis().await?,
            Work::Xadd | Work::Set => {}
        }
        Ok(connection)
    }

    async fn ask(&mut self, call: u64) -> std::io::Result<()> {
        let number = u64::from(self.number);
        let key = format!("key-{}", (number * 7919 + call * 31) % ITEMS);
        match self.work {
            Work::Xadd => {
                let stream = format!("stream-{}", (number + call * 7) % 8);
                let payload = self.payload.clone();
                self.redis(&["XADD", &stream, "*", "p", &payload]).await
            }
            Work::Set => {
                let payload = self.payload.clone();
                self.redis(&["SET", &key, &payload]).await
            }
            Work::Get => self.redis(&["GET", &key]).await,
            Work::Publish => {
                let subject = format!("orders.{}", (number + call * 7) % 8);
                let payload = self.payload.clone();
                self.nats(&subject, payload.as_bytes()).await
            }
        }
    }

    async fn redis(&mut self, words: &[&str]) -> std::io::Result<()> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.write_all(request.as_bytes()).await?;
        self.read_line().await?;
        match self.line.split_at(1) {
            ("$", length) => {
                let length: usize = length.trim().parse().map_err(|_| odd(&self.line))?;
                self.skip(length + 2).await
            }
            ("+" | ":", _) => Ok(()),
            _ => Err(odd(&self.line)),
        }
    }

    /// Each task sets its share of the items.
    async fn fill_redis(&mut self) -> std::io::Result<()> {
        let payload = self.payload.clone();
        let share = ITEMS / 64;
        let number = u64::from(self.number);
        let mut request = String::new();
        for item in number * share..((number + 1) * share + 64).min(ITEMS) {
            let key = format!("key-{item}");
            request.push_str(&format!(
                "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{payload}\r\n",
                key.len(),
                payload.len()
            ));
        }
        let count = request.matches("\r\nSET\r\n").count();
        let (reader, mut writer) = self.stream.get_mut().split();
        let mut reader = BufReader::new(reader);
        let read = async {
            let mut line = String::new();
            for _ in 0..count {
                line.clear();
                reader.read_line(&mut line).await?;
            }
            Ok(())
        };
        let (written, read): (_, std::io::Result<()>) =
            tokio::join!(writer.write_all(request.as_bytes()), read);
        written.and(read)
    }

    async fn begin_nats(&mut self) -> std::io::Result<()> {
        self.read_line().await?;
        let number = self.number;
        let subscribe =
            format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB _INBOX.{number} 1\r\nPING\r\n");
        self.stream.write_all(subscribe.as_bytes()).await?;
        self.read_line().await?;
        if number == 0 {
            let stream = "{\"name\":\"orders\",\"subjects\":[\"orders.>\"],\"storage\":\"file\"}";
            self.nats("$JS.API.STREAM.CREATE.orders", stream.as_bytes()).await?;
        }
        Ok(())
    }

    async fn nats(&mut self, subject: &str, payload: &[u8]) -> std::io::Result<()> {
        let mut request = format!("PUB {subject} _INBOX.{} {}\r\n", self.number, payload.len()).into_bytes();
        request.extend_from_slice(payload);
        request.extend_from_slice(b"\r\n");
        self.stream.write_all(&request).await?;
        loop {
            self.read_line().await?;
            if self.line.starts_with("PING") {
                self.stream.write_all(b"PONG\r\n").await?;
            } else if self.line.starts_with("MSG") {
                let length = self.line.split_whitespace().next_back().and_then(|word| word.parse().ok());
                let length: usize = length.ok_or_else(|| odd(&self.line))?;
                self.skip(length + 2).await?;
                let refused = self.skipped.windows(7).any(|word| word == b"\"error\"");
                return if refused { Err(odd(&String::from_utf8_lossy(&self.skipped))) } else { Ok(()) };
            } else if self.line.starts_with("-ERR") {
                return Err(odd(&self.line));
            }
        }
    }

    async fn read_line(&mut self) -> std::io::Result<()> {
        self.line.clear();
        match self.stream.read_line(&mut self.line).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn skip(&mut self, length: usize) -> std::io::Result<()> {
        self.skipped.resize(length, 0);
        self.stream.read_exact(&mut self.skipped).await.map(drop)
    }
}

fn odd(answer: &str) -> std::io::Error {
    std::io::Error::other(format!("an answer that was not expected: {}", answer.trim()))
}
