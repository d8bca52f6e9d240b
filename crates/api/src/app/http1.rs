//! Connections of HTTP/1.1, each with one call at a time.
//!
//! No task drives a connection: the call that has it does, from the task that waits for the answer, so that an answer wakes
//! nobody but who wants it. Between calls a connection rests and is not looked at; whether it is still there is seen when it is
//! taken up again.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tonic::body::Body;

use super::io::Io;
use super::{Unanswered, Way};

/// Connections at rest, the one used last behind.
#[derive(Default)]
pub(super) struct Pool(Mutex<VecDeque<Box<Line>>>);

/// A connection.
pub(super) struct Line {
    sender: SendRequest<Body>,
    connection: Connection<TokioIo<Io>, Body>,
    /// Whether it has come to its end, after which it is not driven any more.
    ended: bool,
    resting_since: Instant,
}

/// Sends a request over a connection that rests, or a new one.
pub(super) async fn send(
    way: &Arc<Way>,
    pool: &Pool,
    mut request: Request<Body>,
) -> Result<(Response<Incoming>, Box<Line>), Unanswered> {
    *request.version_mut() = Version::HTTP_11;
    while let Some(mut line) = pool.take() {
        match line.exchange(request).await {
            Ok(response) => return Ok((response, line)),
            // It has ended just now, before anything was sent.
            Err(Failed { unsent: Some(unsent), .. }) => request = *unsent,
            Err(Failed { why, .. }) => return Err(Unanswered::Broken(why)),
        }
    }
    let mut line = Line::new(way.connect().await?).await?;
    match line.exchange(request).await {
        Ok(response) => Ok((response, line)),
        Err(Failed { why, .. }) => Err(Unanswered::Broken(why)),
    }
}

struct Failed {
    why: String,
    /// The request, if nothing of it was sent.
    unsent: Option<Box<Request<Body>>>,
}

impl Line {
    async fn new(io: Io) -> Result<Box<Line>, Unanswered> {
        let (sender, connection) = http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| Unanswered::Unreachable(engine::with_causes(&error)))?;
        Ok(Box::new(Line { sender, connection, ended: false, resting_since: Instant::now() }))
    }

    async fn exchange(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Failed> {
        // It is ready to be sent over before the connection has been driven for the first time.
        poll_fn(|context| {
            self.drive(context);
            match self.ended {
                true => Poll::Ready(()),
                false => self.sender.poll_ready(context).map(drop),
            }
        })
        .await;
        let answer = self.sender.try_send_request(request);
        let (mut answer, connection, ended) = (pin!(answer), &mut self.connection, &mut self.ended);
        poll_fn(move |context| {
            *ended = *ended || Pin::new(&mut *connection).poll(context).is_ready();
            match answer.as_mut().poll(context) {
                Poll::Ready(answered) => Poll::Ready(answered.map_err(|mut failed| Failed {
                    unsent: failed.take_message().map(Box::new),
                    why: engine::with_causes(failed.error()),
                })),
                Poll::Pending if *ended => {
                    Poll::Ready(Err(Failed { why: "the connection has ended".to_owned(), unsent: None }))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Reads and writes what can be.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        self.ended = self.ended || Pin::new(&mut self.connection).poll(context).is_ready();
    }

    /// Whether it can carry another call.
    fn is_free(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

impl Pool {
    fn take(&self) -> Option<Box<Line>> {
        loop {
            let line = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
            let mut line = line?;
            if line.resting_since.elapsed() < REST_MAX && line.is_free() {
                return Some(line);
            }
        }
    }

    /// Lets a connection rest whose call is over, if it can carry another.
    pub(super) fn give_back(&self, mut line: Box<Line>) {
        if !line.is_free() {
            return;
        }
        line.resting_since = Instant::now();
        let mut over = None;
        {
            let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_over = |oldest: &Line| line.resting_since - oldest.resting_since >= REST_MAX;
            if resting.len() >= RESTING_MAX || resting.front().is_some_and(|oldest| is_over(oldest)) {
                over = resting.pop_front();
            }
            resting.push_back(line);
        }
        drop(over);
    }
}

/// For how long a connection rests that nobody uses.
const REST_MAX: Duration = Duration::from_secs(90);
/// Most connections at rest.
const RESTING_MAX: usize = 512;
