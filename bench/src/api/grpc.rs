//! Unary calls over gRPC, with the messages written by hand: the load should not be what is measured.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// A connection, which several may use at a time.
#[derive(Clone)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    port: u16,
}

impl Client {
    pub async fn connect(port: u16) -> std::io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Client { sender, port })
    }

    /// Calls a method, whose answer has to be that all is well.
    pub async fn call(&mut self, method: &str, message: Bytes) -> std::io::Result<()> {
        let request = Request::post(format!("http://127.0.0.1:{}/{method}", self.port))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(message))
            .map_err(std::io::Error::other)?;
        self.sender.ready().await.map_err(std::io::Error::other)?;
        let response = self.sender.send_request(request).await.map_err(std::io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?;
        let status = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
        let status = status.or_else(|| head.headers.get("grpc-status"));
        match status.map(|status| status.as_bytes()) {
            Some(b"0") => Ok(()),
            other => Err(std::io::Error::other(format!("refused: {other:?} {:?}", head.headers))),
        }
    }
}

/// The message of `PublishEvent`, framed.
pub fn publish(topic: &str, data: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    field(&mut message, 1, b"bench");
    field(&mut message, 2, topic.as_bytes());
    field(&mut message, 3, data);
    field(&mut message, 4, b"application/json");
    framed(&message)
}

/// The message of `BulkPublishEvent` with so many entries, framed.
pub fn publish_bulk(topic: &str, data: &[u8], entries: u64) -> Bytes {
    let mut message = BytesMut::new();
    field(&mut message, 1, b"bench");
    field(&mut message, 2, topic.as_bytes());
    for number in 0..entries {
        let mut entry = BytesMut::new();
        field(&mut entry, 1, number.to_string().as_bytes());
        field(&mut entry, 2, data);
        field(&mut entry, 3, b"application/json");
        field(&mut message, 3, &entry);
    }
    framed(&message)
}

/// A field with a length, as protobuf has it.
fn field(message: &mut BytesMut, number: u8, value: &[u8]) {
    message.put_u8(number << 3 | 2);
    let mut length = value.len();
    while length >= 0x80 {
        message.put_u8(length as u8 | 0x80);
        length >>= 7;
    }
    message.put_u8(length as u8);
    message.put_slice(value);
}

/// With the prefix of a message over gRPC.
fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}
