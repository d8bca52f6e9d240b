//! One request from its head to its answer: where it goes, what is changed on the way, and the
//! call that carries it.

use std::cell::RefCell;
use std::rc::Rc;

use http::Method;
use policy::Deadline;
use telemetry::TraceContext;

use crate::call::key::{Key, Sender};
use crate::call::limit::{self, Asked, Quota};
use crate::call::{self, LocalCall, Outgoing};
use crate::client::serve::Client;
use crate::clock;
use crate::config::Protocol;
use crate::core::Core;
use crate::message::fields::Id;
use crate::message::head::{RequestHead, Version};
use crate::request::answer::Answer;
use crate::request::body::{self, Source};
use crate::request::grpc;
use crate::request::headers::{self, Hop};
use crate::request::interim::Interim;
use crate::request::last_hop;
use crate::request::outgoing::Message;
use crate::request::problem::{Kind, Problem};
use crate::request::route::{self, Fit};
use crate::request::split::Target;
use crate::request::websocket;
use crate::spans::Trace;
use crate::table::{LocalListener, LocalRole, LocalRoute};

/// A request as a client's connection gives it.
pub(crate) struct Received {
    pub(crate) head: RequestHead,
    /// What was meant for this hop, and is out of the head.
    pub(crate) hop: Hop,
    pub(crate) body: Option<Rc<RefCell<Source>>>,
    /// Size of the body as the client declared it.
    pub(crate) size: Option<u64>,
    pub(crate) interim: Interim,
}

/// Answers a request, by an upstream or by a problem.
pub(crate) async fn handle(core: &Core, client: &Client, mut received: Received, trace: &Trace) -> Answer {
    let listener = client.listener(core);
    let edge = matches!(listener.role, LocalRole::Gateway { .. });
    let id = headers::request_id(&mut received.head.fields, &mut core.rng.borrow_mut());
    let grpc = headers::is_grpc(&received.head.fields);
    let mut quota = Quota::default();
    let answer = match last_hop::answer(&mut received.head, edge) {
        Some(own) => sound_head(&received.head).and(own),
        None => send_on(core, client, &listener, received, trace, grpc, &mut quota).await,
    };
    let problem = answer.as_ref().err().map(|problem| problem.kind);
    let mut answer = match answer {
        Ok(mut answer) => {
            if edge {
                answer.fields.remove(Id::RequestId);
                answer.fields.push(b"x-request-id", &id);
            }
            answer
        }
        Err(problem) if grpc => grpc::answer(&problem, &id),
        Err(problem) => problem.answer(Some(&id)),
    };
    quota.tell(&mut answer.fields);
    trace.answered(answer.status.as_u16(), &answer.fields, problem);
    answer
}

/// Sends a request on if it may go on.
async fn send_on(
    core: &Core,
    client: &Client,
    listener: &LocalListener,
    mut received: Received,
    trace: &Trace,
    grpc: bool,
    quota: &mut Quota,
) -> Result<Answer, Problem> {
    let context = headers::take_trace(&mut received.head.fields, &mut core.rng.borrow_mut());
    trace.begin(core, context, &received.head, &listener.place, Some(client.peer.ip()));
    let trace = (trace, context.0);
    match admit(core, client, listener, &received, trace.0, quota) {
        Ok(chosen) => forward(core, client, listener, chosen, received, trace, grpc).await,
        Err(problem) => {
            let waits = received.head.fields.has(Id::Expect);
            if let (Some(body), false) = (&received.body, problem.kind.is_clients_fault() || waits) {
                body::read_away(body).await;
            }
            Err(problem)
        }
    }
}

/// Where an admitted request goes.
struct Chosen {
    host: Vec<u8>,
    call: Rc<LocalCall>,
    /// What the client is given to come back to the same call.
    side: Key,
    /// The new path, if the route rewrites it.
    path: Option<String>,
}

/// Decides by the head alone whether a request goes on.
fn admit(
    core: &Core,
    client: &Client,
    listener: &LocalListener,
    received: &Received,
    trace: &Trace,
    quota: &mut Quota,
) -> Result<Chosen, Problem> {
    let head = &received.head;
    let host = sound_head(head)?;
    let (to, path) = choose(listener, head, std::str::from_utf8(&host).unwrap_or(""), trace)?;
    let (call, side) = to.call(core, client, head);
    limit::check(&call, Asked { client: client.peer.ip(), head }, quota)?;
    check_size(listener, received.size)?;
    Ok(Chosen { host, call, side, path })
}

async fn forward(
    core: &Core,
    client: &Client,
    listener: &LocalListener,
    Chosen { host, call, side, path }: Chosen,
    Received { mut head, hop, body, size, interim }: Received,
    (trace, context): (&Trace, TraceContext),
    grpc: bool,
) -> Result<Answer, Problem> {
    if hop.upgrade.is_some() {
        ready_upgrade(core, &call, &mut head, &hop, body.is_some())?;
    }
    match &listener.role {
        LocalRole::Gateway { .. } => {
            headers::forwarded(&mut head.fields, &client.text, &host, client.spoken.tls());
        }
        LocalRole::Call { .. } | LocalRole::Sidecar { .. } => {}
    }
    if head.version == Version::Http2 {
        headers::join_cookies(&mut head.fields);
    }
    let started = clock::now();
    trace.starts(&call.names, grpc, started);
    let deadline =
        Deadline::after(started, headers::take_time_left(&mut head.fields, grpc, started, core.node));
    let edge = matches!(listener.role, LocalRole::Gateway { .. });
    let class = headers::priority(&mut head.fields, call.state.config.priority, edge);
    let idempotent = headers::is_idempotent(&head.method, &head.fields);
    // A server of HTTP/2 may say that it did nothing with a request, which then can be repeated whatever it is.
    let repeatable = idempotent || call.upstream.shared.config.protocol == Protocol::Http2;
    if let (Some(body), Some(bytes), true) = (&body, call.state.config.replay_bytes(), repeatable) {
        body.borrow_mut().keep(bytes);
    }
    if let (Some(body), true) = (&body, grpc) {
        // A stream of messages may rightly be silent for long.
        body.borrow_mut().wait_for_ever();
    }
    let chunked = body.is_some() && size.is_none();
    let key =
        call.state.config.balance.key.as_ref().map_or_else(Key::default, |by| {
            Key::of(by, &head, Sender::of(client), &mut core.rng.borrow_mut())
        });
    let message = Message::new(head, host, path, hop, chunked);
    let body_idle = listener.limits.body_idle;
    let outgoing = Outgoing {
        message,
        body,
        interim,
        idempotent,
        key: key.hash,
        class,
        body_idle,
        grpc,
        deadline,
        trace,
        context,
    };
    let mut answer = call::run(core, &call, outgoing, started).await?;
    key.give(&mut answer.fields);
    side.give(&mut answer.fields);
    Ok(answer)
}

/// Refuses what no honest client sends, and returns the host that the request is for.
pub(crate) fn sound_head(head: &RequestHead) -> Result<Vec<u8>, Problem> {
    let bad = |detail: &str| Err(Problem::new(Kind::BadRequest, detail));
    if head.method == Method::CONNECT {
        return bad("`CONNECT` is not served here");
    }
    // Of HTTP/1.1 nothing else has come so far.
    if !head.target().is_ascii() {
        return bad("the address has bytes that are not ASCII; percent-encode them");
    }
    if route::has_dot_segment(head.path()) {
        return bad("the path has a `.` or `..` segment; send the path it means");
    }
    let mut hosts = head.fields.all(Id::Host);
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return bad("the request has more than one `Host`");
    }
    if let (Version::Http2, Some(authority), Some(host)) = (head.version, head.authority(), first)
        && !authority.eq_ignore_ascii_case(host)
    {
        return bad("`:authority` and `Host` are not the same");
    }
    match head.authority().or(first) {
        Some(host) if !route::is_host(host) => bad("the `Host` is not a host"),
        Some(host) => Ok(host.to_vec()),
        None if head.version == Version::Http10 => Ok(Vec::new()),
        None => bad("the request has no `Host`"),
    }
}

/// Where the request goes, and the new path if the route rewrites it.
fn choose<'l>(
    listener: &'l LocalListener,
    head: &RequestHead,
    host: &str,
    trace: &Trace,
) -> Result<(&'l Target, Option<String>), Problem> {
    match &listener.role {
        LocalRole::Call { to } => Ok((to, None)),
        LocalRole::Gateway { routes } => by_route(routes, head, host, trace),
        LocalRole::Sidecar { caller, calls, known } => {
            let name = route::without_port(host);
            match calls.get(name) {
                Some(to) => Ok((to, None)),
                None => Err(undeclared(caller, name, calls.keys(), known)),
            }
        }
    }
}

fn by_route<'l>(
    routes: &'l [LocalRoute],
    head: &RequestHead,
    host: &str,
    trace: &Trace,
) -> Result<(&'l Target, Option<String>), Problem> {
    let path = head.path();
    let mut allowed = Vec::new();
    for route in routes {
        match route.matcher.fit(host, path, &head.method, &head.fields) {
            Fit::Yes => {
                trace.routed(&route.place);
                let rewritten = route.rewrite.as_ref().and_then(|to| route.matcher.path().rewrite(path, to));
                return Ok((&route.to, rewritten));
            }
            Fit::NotMethod => allowed.extend(route.matcher.methods()),
            Fit::No => {}
        }
    }
    if allowed.is_empty() {
        let problem =
            Problem::new(Kind::NoRoute, format!("no route of the gateway matches `{path}` of host `{host}`"));
        return Err(problem.remedy("add a route under `gateway.routes` in the manifest"));
    }
    allowed.sort_by_key(|method| method.as_str());
    allowed.dedup();
    let names: Vec<&str> = allowed.iter().map(|method| method.as_str()).collect();
    let mut problem = Problem::new(Kind::MethodNotAllowed, format!("`{path}` does not take {}", head.method));
    problem.allow = Some(names.join(", "));
    Err(problem)
}

fn undeclared<'n>(
    caller: &str,
    name: &str,
    declared: impl Iterator<Item = &'n String>,
    known: &[String],
) -> Problem {
    if known.iter().any(|service| service == name) {
        return Problem::new(Kind::UndeclaredCall, format!("{caller} does not declare that it calls {name}"))
            .remedy(format!("add to the manifest:  services.{caller}.calls.{name}: {{}}"));
    }
    let declared: Vec<&str> = declared.map(String::as_str).collect();
    Problem::new(Kind::UnknownService, format!("no service or external is called `{name}`")).remedy(format!(
        "{caller} may call: {}",
        if declared.is_empty() { "nothing".into() } else { declared.join(", ") }
    ))
}

/// Makes an upgrade ready to cross from one version of HTTP to the other, where the sides differ: that
/// can be done for WebSocket only.
fn ready_upgrade(
    core: &Core,
    call: &LocalCall,
    head: &mut RequestHead,
    hop: &Hop,
    has_body: bool,
) -> Result<(), Problem> {
    let Some(protocol) = &hop.upgrade else { return Ok(()) };
    let from_http2 = head.version == Version::Http2;
    if !from_http2 && call.upstream.shared.config.protocol == Protocol::Http1 {
        return Ok(());
    }
    if !websocket::is(protocol) {
        return Err(no_upgrade(call, protocol));
    }
    if from_http2 {
        websocket::add_key(&mut head.fields, &mut core.rng.borrow_mut());
    } else if websocket::key(&head.fields).is_none() {
        return Err(Problem::new(Kind::BadRequest, "the WebSocket has no `Sec-WebSocket-Key`"));
    }
    match head.method == Method::GET && !has_body {
        true => Ok(()),
        false => Err(Problem::new(Kind::BadRequest, "a WebSocket is asked for by a GET without a body")),
    }
}

/// HTTP/2 has no upgrade but for WebSocket (RFC 9113 section 8.6, RFC 8441).
fn no_upgrade(call: &LocalCall, protocol: &[u8]) -> Problem {
    let (id, upstream) = (&call.state.config.id, &call.state.config.upstream);
    let detail = format!(
        "there is no upgrade to {} where one side speaks HTTP/2",
        std::str::from_utf8(protocol).unwrap_or("another protocol")
    );
    let mut problem = Problem::new(Kind::NoUpgrade, detail).remedy(websocket::remedy(upstream));
    problem.call = Some(id.clone());
    problem.upstream = Some(upstream.clone());
    problem
}

fn check_size(listener: &LocalListener, size: Option<u64>) -> Result<(), Problem> {
    match (listener.limits.body_bytes, size) {
        (Some(max), Some(size)) if size > max => {
            let detail = format!("the request body has {size} bytes; {max} are allowed");
            Err(Problem::new(Kind::BodyTooLarge, detail))
        }
        _ => Ok(()),
    }
}
