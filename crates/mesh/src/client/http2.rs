//! Serves one HTTP/2 connection. The protocol itself is hyper's; its requests become ours.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite;

use crate::client::batched::Batched;
use crate::client::serve::Client;
use crate::client::stall::{Guarding, Stall};
use crate::client::tunnel;
use crate::client::wire::Wire;
use crate::config::Limits;
use crate::core::{Admitted, Core, End, Exchange};
use crate::io::Stream;
use crate::message::fields::Id;
use crate::message::framing::Framing;
use crate::message::head::RequestHead;
use crate::request::answer::{Answer, Body, Http2Body};
use crate::request::body::{Broken, Origin, Source};
use crate::request::forward::{self, Received};
use crate::request::headers;
use crate::request::http2::to_map;
use crate::request::interim::Interim;
use crate::request::problem::{Kind, Problem};
use crate::request::websocket;
use crate::spans::Bound;

/// Streams that a client may have open at a time on one connection; further ones are refused, for the
/// client to send again.
const STREAMS_MAX: u32 = 256;
/// Streams that a client may take back before the connection has so much as looked at them (rapid reset,
/// CVE-2023-44487); one more ends the connection. The library's own default. What is taken back later is
/// weighed by `flood`.
const UNSEEN_RESETS_MAX: usize = 20;
/// Streams that may end by an error of the client's (CVE-2019-9514, CVE-2025-8671: who makes the server
/// reset has made it work for nothing); one more ends the connection. Refused streams count, so that it has
/// to be some times [`STREAMS_MAX`]: a client may open many before it hears of that.
const FAULTS_MAX: usize = 1024;
/// Bytes of answers that are kept of one stream for a client that opens its window too slowly. Of a
/// connection at most [`STREAMS_MAX`] times this.
const UNSENT_BYTES_MAX: usize = 128 << 10;
/// Bytes of one upload that a client may send ahead of its server: 5 MB a second at a round trip of 100 ms.
const STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// The same of all uploads on one connection. Many times a stream's, or one upload that is not taken would
/// hold up the others; and not without bound, for a client chooses how many of them there are.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Size of the table by which a client's fields are compressed: the protocol's default. A small request
/// can stand for a large one by it; how large is bounded by `header-bytes`.
const HPACK_BYTES: u32 = 4 << 10;
/// Longest time for the last frames to be taken, which say why the connection ends.
const PARTING_TIME_MAX: Duration = Duration::from_millis(500);
/// Most bytes that are taken in meanwhile.
const PARTING_BYTES_MAX: usize = 256 << 10;

/// Serves a connection to its end.
pub(crate) async fn serve(core: &Rc<Core>, admitted: &Admitted, client: &Rc<Client>, stream: Stream) {
    let limits = client.listener(core).limits.clone();
    let state = admitted.connection.clone();
    let executor = Guarding { longest: limits.body_idle, next: Rc::default() };
    let next = executor.next.clone();
    let service = service_fn(|mut request: Request<Incoming>| {
        let (core, client, state) = (core.clone(), client.clone(), state.clone());
        let stall = Rc::<Stall>::default();
        next.replace(Some(stall.clone()));
        async move {
            let exchange = state.begin();
            let to_head = request.method() == Method::HEAD;
            let stream = (request.method() == Method::CONNECT).then(|| hyper::upgrade::on(&mut request));
            let answer = match receive(request, &client.listener(&core).limits) {
                Ok(received) => forward::handle(&core, &client, received, &exchange.trace).await,
                Err(problem) => problem.answer(None),
            };
            Ok::<_, Infallible>(match stream {
                Some(stream) => connect(answer, stream, exchange, stall),
                None => respond(answer, to_head, exchange, stall),
            })
        }
    });
    let stream = Batched::new(stream);
    let serving = builder(&limits, executor).serve_connection(TokioIo::new(stream.clone()), service);
    drive(admitted, &stream, pin!(serving), |serving| serving.graceful_shutdown()).await;
    part(&stream).await;
}

/// Ends a connection so that the client can read why: with bytes unread it would be reset.
async fn part(stream: &Batched) {
    let mut left = PARTING_BYTES_MAX;
    let parting = async {
        if poll_fn(|cx| Pin::new(&mut stream.clone()).poll_shutdown(cx)).await.is_ok() {
            poll_fn(|cx| stream.poll_discard(cx, &mut left)).await;
        }
    };
    let _ = tokio::time::timeout(PARTING_TIME_MAX, parting).await;
}

fn receive(request: Request<Incoming>, limits: &Limits) -> Result<Received, Problem> {
    let (parts, incoming) = request.into_parts();
    if parts.headers.len() > limits.headers {
        return Err(Problem::new(Kind::HeadTooLarge, format!("more than {} fields", limits.headers)));
    }
    let mut head = RequestHead::from_http2(&parts);
    let mut hop = headers::strip_hop_by_hop(&mut head.fields);
    if let Some(protocol) = parts.extensions.get::<Protocol>() {
        // An extended CONNECT means what in HTTP/1.1 is a GET with an upgrade (RFC 8441 section 5).
        head.method = Method::GET;
        hop.upgrade = Some(protocol.as_str().as_bytes().to_vec());
    }
    let size = match Framing::of_request(&head).map_err(|why| Problem::new(Kind::BadRequest, why))? {
        Framing::Length(size) => Some(size),
        _ => incoming.size_hint().exact(),
    };
    let body = (!incoming.is_end_stream())
        .then(|| Source::new(Origin::Http2(incoming), limits.body_bytes, limits.body_idle));
    // The library offers no way to send one.
    Ok(Received { head, hop, body, size, interim: Interim::nowhere() })
}

/// The answer to a CONNECT. Only a success opens the stream, so nothing else may look like one.
fn connect(
    answer: Answer,
    stream: OnUpgrade,
    mut exchange: Exchange,
    stall: Rc<Stall>,
) -> Response<Answered> {
    match answer {
        Answer { mut fields, body: Body::Tunnel(tunnel), .. } => {
            headers::strip_hop_by_hop(&mut fields);
            let fields = websocket::without_keys(&fields);
            let open = Answer { status: StatusCode::OK, fields, body: Body::empty(), close: false };
            exchange.becomes_tunnel();
            tokio::task::spawn_local(async move {
                let under_way = exchange;
                if let Ok(stream) = stream.await {
                    under_way.trace.reached(Bound::Whole);
                    let client = Wire::new(Stream::Http2(Box::new(TokioIo::new(stream))));
                    tunnel::run(&client, tunnel).await;
                }
            });
            response(&open, Body::empty(), None, stall)
        }
        answer if answer.status.is_success() => {
            let detail = format!("the upgrade was answered with {}, which opens none", answer.status);
            let refused = Problem::new(Kind::BadAnswer, detail).answer(answer.fields.get(Id::RequestId));
            respond(refused, false, exchange, stall)
        }
        refused => respond(refused, false, exchange, stall),
    }
}

fn respond(mut answer: Answer, to_head: bool, exchange: Exchange, stall: Rc<Stall>) -> Response<Answered> {
    // The head of a gRPC answer that ends with it has trailers in it, among which a length is not one.
    let has_length = answer.fields.has(Id::ContentLength) || answer.fields.has(Id::GrpcStatus);
    let status = answer.status.as_u16();
    if status == 204 {
        answer.fields.remove(Id::ContentLength);
    } else if let (Body::Full(bytes), false) = (&answer.body, has_length || to_head || status == 304) {
        answer.fields.push(b"content-length", bytes.len().to_string().as_bytes());
    }
    let body = std::mem::replace(&mut answer.body, Body::empty());
    let body = if to_head { Body::empty() } else { body };
    response(&answer, body, Some(exchange), stall)
}

fn response(answer: &Answer, body: Body, exchange: Option<Exchange>, stall: Rc<Stall>) -> Response<Answered> {
    let body = Http2Body::new(body, headers::is_grpc(&answer.fields));
    if let (Some(exchange), true) = (&exchange, body.is_end_stream()) {
        exchange.trace.reached(Bound::Whole);
    }
    let mut response = Response::new(Answered { body, stall, exchange });
    *response.status_mut() = answer.status;
    *response.headers_mut() = to_map(&answer.fields);
    response
}

/// An answer's body, whose end is the end of the exchange, if that does not go on in a tunnel.
struct Answered {
    body: Http2Body,
    stall: Rc<Stall>,
    exchange: Option<Exchange>,
}

impl Answered {
    fn note(&self, polled: &Option<Result<Frame<Bytes>, Broken>>) {
        let Some(Exchange { trace, .. }) = &self.exchange else { return };
        match polled {
            Some(Err(_)) => trace.reached(Bound::Broken),
            Some(Ok(frame)) => frame.trailers_ref().into_iter().for_each(|all| trace.http2_trailers(all)),
            None => {}
        }
        if self.body.is_end_stream() {
            trace.reached(Bound::Whole);
        }
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.stall.asked();
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(_))) = &polled {
            self.stall.handed_over();
        }
        if let Poll::Ready(ready) = &polled {
            self.note(ready);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Drives a connection to its end, and towards it when it is asked to end.
async fn drive<F: Future>(
    admitted: &Admitted,
    stream: &Batched,
    mut serving: Pin<&mut F>,
    graceful: impl Fn(Pin<&mut F>),
) {
    let mut seen = End::No;
    let mut poll = |cx: &mut Context<'_>, ask: bool| {
        if ask {
            graceful(serving.as_mut());
        }
        let over = serving.as_mut().poll(cx).is_ready();
        over || matches!(stream.poll_send(cx), Poll::Ready(Err(_)))
    };
    poll_fn(|cx| {
        if poll(cx, false) {
            return Poll::Ready(());
        }
        while let Poll::Ready(end) = admitted.connection.poll_end(seen, cx) {
            seen = end;
            // With a GOAWAY.
            if poll(cx, true) {
                return Poll::Ready(());
            }
            if end == End::Now {
                if admitted.connection.is_waiting() {
                    return Poll::Ready(());
                }
                // The request that was waited for has come at the last moment.
                seen = End::Graceful;
                admitted.connection.end.set(End::Graceful);
            }
        }
        Poll::Pending
    })
    .await;
}

fn builder(limits: &Limits, executor: Guarding) -> http2::Builder<Guarding> {
    let mut builder = http2::Builder::new(executor);
    // Empty DATA frames, rows of CONTINUATION and heads far beyond `header-bytes` end the connection by
    // the library's own bounds, which have no knobs.
    builder
        .max_header_list_size(limits.header_bytes.try_into().unwrap_or(u32::MAX))
        .header_table_size(HPACK_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .max_local_error_reset_streams(FAULTS_MAX)
        .max_send_buf_size(UNSENT_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_connect_protocol();
    builder
}
