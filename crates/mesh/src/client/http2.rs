//! Serves one HTTP/2 connection. The protocol itself is hyper's; its requests become ours.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::client::serve::Client;
use crate::client::tunnel;
use crate::client::wire::Wire;
use crate::config::Limits;
use crate::core::{Admitted, Core, End, Exchange};
use crate::executor::LocalExecutor;
use crate::io::{Batched, Stream};
use crate::message::fields::Id;
use crate::message::head::RequestHead;
use crate::request::answer::{Answer, Body, Http2Body};
use crate::request::body::{Broken, Origin, Source};
use crate::request::forward::{self, Received};
use crate::request::headers;
use crate::request::http2::to_map;
use crate::request::problem::{Kind, Problem};
use crate::request::websocket;

/// Streams that a client may have open at a time on one connection.
const STREAMS_MAX: u32 = 256;

/// Serves a connection to its end.
pub(crate) async fn serve(core: &Rc<Core>, admitted: &Admitted, client: &Rc<Client>, stream: Stream) {
    let limits = client.listener(core).limits.clone();
    let state = admitted.connection.clone();
    let service = service_fn(|mut request: Request<Incoming>| {
        let (core, client, state) = (core.clone(), client.clone(), state.clone());
        async move {
            let exchange = state.begin();
            let to_head = request.method() == Method::HEAD;
            let stream = (request.method() == Method::CONNECT).then(|| hyper::upgrade::on(&mut request));
            let received = receive(request, &client.listener(&core).limits);
            let answer = forward::handle(&core, &client, received).await;
            Ok::<_, Infallible>(match stream {
                Some(stream) => connect(answer, stream, exchange),
                None => respond(answer, to_head, exchange),
            })
        }
    });
    let stream = Batched::new(stream);
    let serving = builder(&limits).serve_connection(TokioIo::new(stream.clone()), service);
    drive(admitted, &stream, pin!(serving), |serving| serving.graceful_shutdown()).await;
}

fn receive(request: Request<Incoming>, limits: &Limits) -> Received {
    let (parts, incoming) = request.into_parts();
    let mut head = RequestHead::from_http2(&parts);
    let mut hop = headers::strip_hop_by_hop(&mut head.fields);
    if let Some(protocol) = parts.extensions.get::<Protocol>() {
        // An extended CONNECT means what in HTTP/1.1 is a GET with an upgrade (RFC 8441 section 5).
        head.method = Method::GET;
        hop.upgrade = Some(protocol.as_str().as_bytes().to_vec());
    }
    let size = incoming.size_hint().exact();
    let body = (!incoming.is_end_stream())
        .then(|| Source::new(Origin::Http2(incoming), limits.body_bytes, limits.body_idle));
    Received { head, hop, body, size }
}

/// The answer to a CONNECT. Only a success opens the stream, so nothing else may look like one.
fn connect(answer: Answer, stream: OnUpgrade, mut exchange: Exchange) -> Response<Answered> {
    match answer {
        Answer { mut fields, body: Body::Tunnel(tunnel), .. } => {
            headers::strip_hop_by_hop(&mut fields);
            let fields = websocket::without_keys(&fields);
            let open = Answer { status: StatusCode::OK, fields, body: Body::empty(), close: false };
            exchange.becomes_tunnel();
            tokio::task::spawn_local(async move {
                let _under_way = exchange;
                if let Ok(stream) = stream.await {
                    let client = Wire::new(Stream::Http2(Box::new(TokioIo::new(stream))));
                    tunnel::run(&client, tunnel).await;
                }
            });
            response(&open, Body::empty(), None)
        }
        answer if answer.status.is_success() => {
            let detail = format!("the upgrade was answered with {}, which opens none", answer.status);
            let refused = Problem::new(Kind::BadAnswer, detail).answer(answer.fields.get(Id::RequestId));
            respond(refused, false, exchange)
        }
        refused => respond(refused, false, exchange),
    }
}

fn respond(mut answer: Answer, to_head: bool, exchange: Exchange) -> Response<Answered> {
    if let (Body::Full(bytes), false) = (&answer.body, answer.fields.has(Id::ContentLength)) {
        answer.fields.push(b"content-length", bytes.len().to_string().as_bytes());
    }
    let body = std::mem::replace(&mut answer.body, Body::empty());
    let body = if to_head { Body::empty() } else { body };
    response(&answer, body, Some(exchange))
}

fn response(answer: &Answer, body: Body, exchange: Option<Exchange>) -> Response<Answered> {
    let mut response = Response::new(Answered { body: Http2Body::new(body), _exchange: exchange });
    *response.status_mut() = answer.status;
    *response.headers_mut() = to_map(&answer.fields);
    response
}

/// An answer's body, whose end is the end of the exchange, if that does not go on in a tunnel.
struct Answered {
    body: Http2Body,
    _exchange: Option<Exchange>,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.body).poll_frame(cx)
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

fn builder(limits: &Limits) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder.max_header_list_size(limits.header_bytes.try_into().unwrap_or(u32::MAX));
    builder.max_concurrent_streams(STREAMS_MAX).adaptive_window(true);
    builder.enable_connect_protocol();
    builder
}
