//! Serves one HTTP/1.1 connection: head by head, each request to the end of its answer.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::client::serve::{Client, Spoken};
use crate::client::tunnel;
use crate::client::wire::Wire;
use crate::config::Limits;
use crate::core::{Admitted, Core, End, Exchange};
use crate::io::{Outbox, Stream};
use crate::message::fields::{Fields, Id, write_field};
use crate::message::framing::{Decoder, Framing, write_chunk, write_last_chunk};
use crate::message::head::{Refused, RequestHead, Version};
use crate::request::answer::{Answer, Body, Tunnel};
use crate::request::body::{self, Broken, Origin, PIECE_BYTES_MAX, Source};
use crate::request::forward::{self, Received};
use crate::request::headers::{self, Hop};
use crate::request::idle::IdleTimer;
use crate::request::interim::Interim;
use crate::request::problem::{Kind, Problem};
use crate::spans::{Bound, Trace};

/// Most bytes of what nobody wants that are taken in after the last answer, so that the client gets to
/// read it: a connection that is closed with bytes unread is reset.
const LINGER_BYTES_MAX: usize = 256 << 10;
/// Longest time spent on that.
const LINGER_TIME_MAX: Duration = Duration::from_millis(500);

/// Serves a connection to its end.
pub(crate) async fn serve(core: &Core, admitted: &Admitted, client: &Client, stream: Stream) {
    let wire = Rc::new(Wire::new(stream));
    loop {
        let listener = client.listener(core);
        let limits = &listener.limits;
        let Some(head) = next_head(admitted, &wire, limits).await else { return };
        let mut exchange = admitted.connection.begin();
        let next = match open(client, &wire, limits, head) {
            Ok(opened) => answer(core, &mut exchange, admitted, client, &wire, limits, opened).await,
            Err(problem) => {
                let reply = Reply { to_head: false, http10: false, close: true, keep_alive: false };
                let _ =
                    send(core, &wire, problem.answer(None), reply, limits.body_idle, &None, &exchange.trace)
                        .await;
                Next::Close
            }
        };
        drop(exchange);
        match next {
            Next::Request => {}
            Next::Close => return linger(&wire).await,
            Next::Gone => return,
        }
    }
}

/// What becomes of the connection.
enum Next {
    Request,
    /// It ends, in peace.
    Close,
    /// It has ended.
    Gone,
}

/// The next head. None: there will be none.
async fn next_head(
    admitted: &Admitted,
    wire: &Wire,
    limits: &Limits,
) -> Option<Result<RequestHead, Refused>> {
    let connection = &admitted.connection;
    let mut seen = End::No;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(head) = wire.poll_head(cx, limits.header_bytes, limits.headers) {
                return Poll::Ready(head);
            }
            match ready!(connection.poll_end(seen, cx)) {
                End::Graceful if wire.has_more() => seen = End::Graceful,
                _ => return Poll::Ready(None),
            }
        }
    })
    .await
}

/// A request whose head is understood.
struct Opened {
    received: Received,
    /// The client has more than this head to say.
    body: Option<Rc<RefCell<Source>>>,
    reply: Reply,
}

/// How an answer is to be written.
#[derive(Clone, Copy)]
struct Reply {
    /// To a HEAD, without a body.
    to_head: bool,
    http10: bool,
    close: bool,
    /// An HTTP/1.0 client that wants to go on must be told that it may.
    keep_alive: bool,
}

fn open(
    client: &Client,
    wire: &Rc<Wire>,
    limits: &Limits,
    head: Result<RequestHead, Refused>,
) -> Result<Opened, Problem> {
    if client.spoken == Spoken::CleartextForTls {
        let detail = "this is HTTP in cleartext, sent to a port for HTTPS; ask for `https://`";
        return Err(Problem::new(Kind::BadRequest, detail));
    }
    let mut head = head.map_err(|refused| refusal(refused, limits))?;
    let framing = Framing::of_request(&head).map_err(|why| Problem::new(Kind::BadRequest, why))?;
    let mut hop = headers::strip_hop_by_hop(&mut head.fields);
    if head.version == Version::Http10 {
        // RFC 9110 section 7.8.
        hop.upgrade = None;
    }
    let size = match framing {
        Framing::Length(size) => Some(size),
        _ => None,
    };
    let body = (framing != Framing::None).then(|| {
        let waits =
            head.fields.get(Id::Expect).is_some_and(|what| what.eq_ignore_ascii_case(b"100-continue"));
        if waits && head.version == Version::Http11 {
            wire.give_leave_when_asked();
        }
        let origin = Origin::Http1 { wire: wire.clone(), decoder: Decoder::new(framing) };
        Source::new(origin, limits.body_bytes, limits.body_idle)
    });
    let reply = reply(&head, &hop);
    let interim = match reply.http10 {
        // It knows none (RFC 9110 section 15.2).
        true => Interim::nowhere(),
        false => Interim::to(wire.clone()),
    };
    Ok(Opened { received: Received { head, hop, body: body.clone(), size, interim }, body, reply })
}

fn reply(head: &RequestHead, hop: &Hop) -> Reply {
    let http10 = head.version == Version::Http10;
    let close = hop.close || (http10 && !hop.keep_alive);
    Reply { to_head: head.method == http::Method::HEAD, http10, close, keep_alive: http10 && !close }
}

fn refusal(refused: Refused, limits: &Limits) -> Problem {
    match refused {
        Refused::Malformed(why) => Problem::new(Kind::BadRequest, why),
        Refused::TooLarge => Problem::new(
            Kind::HeadTooLarge,
            format!("more than {} bytes or {} fields", limits.header_bytes, limits.headers),
        ),
    }
}

async fn answer(
    core: &Core,
    exchange: &mut Exchange,
    admitted: &Admitted,
    client: &Client,
    wire: &Rc<Wire>,
    limits: &Limits,
    Opened { received, body, mut reply }: Opened,
) -> Next {
    let mut handling = Box::pin(forward::handle(core, client, received, &exchange.trace));
    let answered = poll_fn(|cx| {
        if let Poll::Ready(answer) = handling.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        match wire.poll_interim(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            Poll::Ready(Ok(())) | Poll::Pending => poll_gone(wire, &body, cx).map(|()| None),
        }
    })
    .await;
    drop(handling);
    let Some(answer) = answered else { return Next::Gone };
    let unsent = body.as_ref().is_some_and(|body| !body.borrow().ended());
    reply.close |=
        answer.close || admitted.connection.end.get() != End::No || (unsent && wire.waits_for_leave());
    let sent = match send(core, wire, answer, reply, limits.body_idle, &body, &exchange.trace).await {
        Ok(sent) => sent,
        Err(Gone) => return Next::Gone,
    };
    match sent {
        Sent::Tunnel(tunnel) => {
            exchange.becomes_tunnel();
            tunnel::run(wire, tunnel).await;
            Next::Gone
        }
        Sent::Whole { close: true } => Next::Close,
        Sent::Whole { close: false } => match &body {
            Some(body) if !body.borrow().ended() => {
                body::read_away(body).await;
                if body.borrow().ended() { Next::Request } else { Next::Close }
            }
            _ => Next::Request,
        },
    }
}

/// Ready when the client has gone, as far as that can be seen: what it still has to send comes first.
fn poll_gone(wire: &Wire, body: &Option<Rc<RefCell<Source>>>, cx: &mut Context<'_>) -> Poll<()> {
    match body {
        Some(body) if !body.borrow().ended() => Poll::Pending,
        _ => wire.poll_gone(cx),
    }
}

enum Sent {
    Whole { close: bool },
    Tunnel(Tunnel),
}

/// The client went away, or the answer broke off.
struct Gone;

/// How an answer's body is framed.
#[derive(Clone, Copy, PartialEq)]
enum Frame {
    None,
    /// By its length, or by the end of the connection.
    Raw,
    Chunked,
}

async fn send(
    core: &Core,
    wire: &Wire,
    answer: Answer,
    mut reply: Reply,
    stall: Duration,
    upload: &Option<Rc<RefCell<Source>>>,
    trace: &Trace,
) -> Result<Sent, Gone> {
    let Answer { status, mut fields, body, .. } = answer;
    let frame = frame(status.as_u16(), &mut fields, &body, &mut reply);
    let mut outbox = wire.answer_with(head(core, status, &fields, frame, reply));
    let mut sending = Sending { body, frame, over: frame == Frame::None, broken: false, piece: Vec::new() };
    let mut stall = IdleTimer::new(Some(stall));
    let sent = poll_fn(|cx| sending.poll(cx, wire, &mut outbox, &mut stall, upload)).await;
    match sent {
        Ok(()) => trace.reached(Bound::Whole),
        Err(Gone) if sending.broken => trace.reached(Bound::Broken),
        Err(Gone) => {}
    }
    if let Some(trailers) = sending.body.trailers() {
        trace.trailers(trailers);
    }
    sent?;
    Ok(match sending.body {
        Body::Tunnel(tunnel) => Sent::Tunnel(tunnel),
        Body::Full(_) | Body::Upstream(_) => Sent::Whole { close: reply.close },
    })
}

/// Decides how the body is framed, and says its length where it is known.
fn frame(status: u16, fields: &mut Fields, body: &Body, reply: &mut Reply) -> Frame {
    if status < 200 || status == 204 {
        fields.remove(Id::ContentLength);
        return Frame::None;
    }
    if reply.to_head || status == 304 {
        return Frame::None;
    }
    match body {
        Body::Full(bytes) if !fields.has(Id::ContentLength) => {
            fields.push(b"content-length", bytes.len().to_string().as_bytes());
            Frame::Raw
        }
        _ if fields.has(Id::ContentLength) => Frame::Raw,
        _ if reply.http10 => {
            reply.close = true;
            Frame::Raw
        }
        _ => Frame::Chunked,
    }
}

fn head(core: &Core, status: http::StatusCode, fields: &Fields, frame: Frame, reply: Reply) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
    fields.write(&mut out);
    if status.as_u16() >= 200 {
        if !fields.has(Id::Date) {
            core.date(|date| write_field(&mut out, b"date", date));
        }
        if reply.close {
            out.extend_from_slice(b"connection: close\r\n");
        } else if reply.keep_alive {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
    }
    if frame == Frame::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// An answer's body on its way.
struct Sending {
    body: Body,
    frame: Frame,
    over: bool,
    /// It broke off: what came is passed on, and then the connection ends as the body did.
    broken: bool,
    piece: Vec<u8>,
}

impl Sending {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wire: &Wire,
        outbox: &mut Outbox,
        stall: &mut IdleTimer,
        upload: &Option<Rc<RefCell<Source>>>,
    ) -> Poll<Result<(), Gone>> {
        loop {
            while !self.over && !self.broken && outbox.len() < PIECE_BYTES_MAX {
                match self.take(cx, &mut outbox.bytes) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => self.broken = true,
                    Poll::Pending => break,
                }
            }
            if outbox.is_empty() {
                return match (self.over, self.broken) {
                    (true, _) => Poll::Ready(Ok(())),
                    (false, true) => Poll::Ready(Err(Gone)),
                    (false, false) => poll_gone(wire, upload, cx).map(|()| Err(Gone)),
                };
            }
            match wire.poll_send(cx, outbox) {
                Poll::Ready(Ok(())) => stall.reset(),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Gone)),
                Poll::Pending => return stall.poll(cx).map(|()| Err(Gone)),
            }
        }
    }

    /// Takes a piece of the body and frames it.
    fn take(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<(), Broken>> {
        let more = if self.frame == Frame::Chunked {
            self.piece.clear();
            let more = ready!(self.body.poll(cx, &mut self.piece))?;
            match more {
                true => write_chunk(out, &self.piece),
                false => write_last_chunk(out, self.body.trailers()),
            }
            more
        } else {
            ready!(self.body.poll(cx, out))?
        };
        self.over = !more;
        Poll::Ready(Ok(()))
    }
}

/// Ends a connection so that the client can read the last answer.
async fn linger(wire: &Wire) {
    let mut left = LINGER_BYTES_MAX;
    let ending = async {
        let _ = poll_fn(|cx| wire.poll_shutdown(cx)).await;
        poll_fn(|cx| wire.poll_discard(cx, &mut left)).await;
    };
    let _ = tokio::time::timeout(LINGER_TIME_MAX, ending).await;
}
