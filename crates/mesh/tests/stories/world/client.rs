//! An HTTP/2 client by prior knowledge, and request bodies that a story sends piece by piece.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::soon;
use super::wire::Answer;

/// One HTTP/2 connection.
#[derive(Clone)]
pub struct H2 {
    sender: SendRequest<Pieces>,
}

/// The end of a body that is fed; dropping it ends the body.
pub struct Sending {
    frames: mpsc::UnboundedSender<Frame<Bytes>>,
}

/// The end of a body that is read.
pub struct Pieces {
    frames: mpsc::UnboundedReceiver<Frame<Bytes>>,
}

/// A body and what feeds it.
pub fn sending() -> (Sending, Pieces) {
    let (sender, frames) = mpsc::unbounded_channel();
    (Sending { frames: sender }, Pieces { frames })
}

impl Sending {
    pub fn data(&self, bytes: impl Into<Bytes>) {
        let _ = self.frames.send(Frame::data(bytes.into()));
    }

    pub fn trailers(&self, name: &'static str, value: &str) {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, value.parse().expect("a header value"));
        let _ = self.frames.send(Frame::trailers(trailers));
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_closed() && self.frames.is_empty()
    }
}

impl H2 {
    pub async fn connect(address: SocketAddr) -> H2 {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("HTTP/2 is spoken");
        tokio::spawn(connection);
        H2 { sender }
    }

    /// Sends a request and returns the answer with its body still to come.
    pub async fn stream(&self, request: Request<Pieces>) -> Response<Incoming> {
        let mut sender = self.sender.clone();
        soon("an answer over HTTP/2", sender.send_request(request)).await.expect("an answer")
    }

    /// Sends a request with all of its body and reads the whole answer.
    pub async fn send(&self, request: http::request::Builder, body: &str) -> Answer {
        let (feed, pieces) = sending();
        if !body.is_empty() {
            feed.data(body.to_owned());
        }
        drop(feed);
        let answer = self.stream(request.body(pieces).expect("a request")).await;
        whole(answer).await
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri), "").await
    }
}

/// Reads an answer to its end.
pub async fn whole(answer: Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let collected = soon("the answer's body", body.collect()).await.expect("a whole body");
    let fields = |map: &HeaderMap| {
        let lines = map.iter();
        lines.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned())).collect()
    };
    Answer {
        status: head.status.as_u16(),
        headers: fields(&head.headers),
        trailers: collected.trailers().map(fields).unwrap_or_default(),
        body: collected.to_bytes().to_vec(),
    }
}
