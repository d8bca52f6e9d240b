//! One request from its head to its answer: where it goes, what is changed on the way, and the
//! call that carries it.

use std::rc::Rc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::call::{self, LocalCall, Outgoing};
use crate::client::serve::{Client, Spoken};
use crate::clock;
use crate::config::Protocol;
use crate::core::{Core, Upgrade};
use crate::request::body::{self, Body, Source};
use crate::request::headers;
use crate::request::problem::{Kind, Problem};
use crate::request::route::{self, Fit};
use crate::table::{LocalListener, LocalRole, LocalRoute};

/// Answers a request, by an upstream or by a problem.
pub(crate) async fn handle(core: &Core, client: &Client, request: Request<Incoming>) -> Response<Body> {
    let listener = client.listener(core);
    let edge = matches!(listener.role, LocalRole::Gateway { .. });
    let (mut head, incoming) = request.into_parts();
    let id = headers::request_id(&mut head.headers, &mut core.rng.borrow_mut());
    let admitted = admit(client, &listener, &head, &incoming);
    let answer = match admitted {
        Ok(chosen) => forward(core, client, &listener, chosen, head, incoming).await,
        Err(problem) => {
            if !problem.kind.is_clients_fault() && !head.headers.contains_key(header::EXPECT) {
                body::read_away(incoming).await;
            }
            Err(problem)
        }
    };
    match answer {
        Ok(mut answer) => {
            finish(&mut answer, edge.then_some(id));
            answer
        }
        Err(problem) => problem.answer(Some(&id)),
    }
}

/// Where an admitted request goes.
struct Chosen {
    host: HeaderValue,
    call: Rc<LocalCall>,
    /// The new path, if the route rewrites it.
    path: Option<String>,
}

/// Decides by the head alone whether a request goes on.
fn admit(
    client: &Client,
    listener: &LocalListener,
    head: &Parts,
    incoming: &Incoming,
) -> Result<Chosen, Problem> {
    let host = sound(client, head)?;
    let (call, path) = choose(listener, head, &host)?;
    check_limits(&call, client, head)?;
    check_size(listener, incoming)?;
    Ok(Chosen { host, call, path })
}

/// Makes an upstream's answer ours.
fn finish(answer: &mut Response<Body>, id: Option<HeaderValue>) {
    *answer.version_mut() = Version::HTTP_11;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        headers::strip_hop_by_hop(answer.headers_mut());
    }
    if let Some(id) = id {
        answer.headers_mut().insert(&headers::X_REQUEST_ID, id);
    }
}

async fn forward(
    core: &Core,
    client: &Client,
    listener: &LocalListener,
    Chosen { host, call, path }: Chosen,
    mut head: Parts,
    incoming: Incoming,
) -> Result<Response<Body>, Problem> {
    let body = open_body(listener, &call, &head, incoming);
    let upgrade_to = headers::strip_hop_by_hop(&mut head.headers);
    if let (Some(protocol), Protocol::Http2) = (&upgrade_to, call.upstream.shared.config.protocol) {
        return Err(no_upgrade(&call, protocol));
    }
    let upgrade = upgrade_to.as_ref().map(|_| Upgrade {
        on: hyper::upgrade::on(Request::from_parts(take_extensions(&mut head), ())),
        place: client.place.clone(),
    });
    match &listener.role {
        LocalRole::Gateway { .. } => {
            headers::forwarded(&mut head.headers, client.peer.ip(), &host, client.spoken.tls());
        }
        LocalRole::Call { .. } | LocalRole::Sidecar { .. } => {}
    }
    headers::trace(&mut head.headers, &mut core.rng.borrow_mut());
    if client.spoken.http2() {
        headers::join_cookies(&mut head.headers);
    }
    head.headers.remove(header::EXPECT);
    let path = match path {
        None => head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")),
        Some(path) => with_query(&path, head.uri.query())?,
    };
    let chunked = body.as_ref().is_some_and(|body| !body.borrow().has_length());
    let target = Target { host, path, chunked };
    target.address(&mut head, &call)?;
    if let Some(protocol) = upgrade_to {
        headers::ask_upgrade(&mut head.headers, protocol);
    }
    let idempotent = headers::is_idempotent(&head.method, &head.headers);
    let body_idle = listener.limits.body_idle;
    let outgoing = Outgoing { head, target, body, idempotent, upgrade, body_idle };
    call::run(core, &call, outgoing).await
}

/// The extensions of a head, in a head of their own: an upgrade lies among them.
fn take_extensions(head: &mut Parts) -> Parts {
    let mut parts = Request::new(()).into_parts().0;
    parts.extensions = std::mem::take(&mut head.extensions);
    parts
}

/// Refuses what no honest client sends, and returns the host that the request is for.
fn sound(client: &Client, head: &Parts) -> Result<HeaderValue, Problem> {
    let bad = |detail: &str| Err(Problem::new(Kind::BadRequest, detail));
    if client.spoken == Spoken::CleartextForTls {
        return bad("this is HTTP in cleartext, sent to a port for HTTPS; ask for `https://`");
    }
    let chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
    if client.watch.conflict() || (chunked && head.headers.contains_key(header::CONTENT_LENGTH)) {
        return bad("the request has both `Transfer-Encoding` and `Content-Length`");
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return bad("the body has a transfer coding other than `chunked`; send it as `Content-Encoding`");
    }
    if head.method == Method::CONNECT {
        return bad("`CONNECT` is not served here");
    }
    if route::has_dot_segment(head.uri.path()) {
        return bad("the path has a `.` or `..` segment; send the path it means");
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return bad("the request has more than one `Host`");
    }
    if let Some(authority) = head.uri.authority() {
        // A user is no part of the host (RFC 9110 section 4.2.4).
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        return HeaderValue::from_str(host).or_else(|_| bad("the host is not valid"));
    }
    match first {
        Some(host) if !route::is_host(host.as_bytes()) => bad("the `Host` is not a host"),
        Some(host) => Ok(host.clone()),
        None if head.version == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        None => bad("the request has no `Host`"),
    }
}

/// The call that carries the request, and the new path if the route rewrites it.
fn choose(
    listener: &LocalListener,
    head: &Parts,
    host: &HeaderValue,
) -> Result<(Rc<LocalCall>, Option<String>), Problem> {
    let host = host.to_str().unwrap_or("");
    match &listener.role {
        LocalRole::Call { call } => Ok((call.clone(), None)),
        LocalRole::Gateway { routes } => by_route(routes, head, host),
        LocalRole::Sidecar { caller, calls, known } => {
            let name = route::without_port(host);
            match calls.get(name) {
                Some(call) => Ok((call.clone(), None)),
                None => Err(undeclared(caller, name, calls.keys(), known)),
            }
        }
    }
}

fn by_route(
    routes: &[LocalRoute],
    head: &Parts,
    host: &str,
) -> Result<(Rc<LocalCall>, Option<String>), Problem> {
    let path = head.uri.path();
    let mut allowed = Vec::new();
    for route in routes {
        match route.matcher.fit(host, path, &head.method, &head.headers) {
            Fit::Yes => {
                let rewritten = route.rewrite.as_ref().and_then(|to| route.matcher.path().rewrite(path, to));
                return Ok((route.call.clone(), rewritten));
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

fn check_limits(call: &LocalCall, client: &Client, head: &Parts) -> Result<(), Problem> {
    if call.state.limiters.is_empty() {
        return Ok(());
    }
    let now = clock::now();
    for limiter in &call.state.limiters {
        if let Err(wait) = limiter.check(now, client.peer.ip(), &head.headers) {
            call.tally().limited.add(1);
            let detail = format!("over the limit of {}", limiter.config.text);
            let mut problem = Problem::new(Kind::RateLimited, detail).retry_after(wait);
            problem.call = Some(call.state.config.id.clone());
            problem.upstream = Some(call.state.config.upstream.clone());
            return Err(problem);
        }
    }
    Ok(())
}

/// HTTP/2 has no upgrade (RFC 9113 section 8.6).
fn no_upgrade(call: &LocalCall, protocol: &HeaderValue) -> Problem {
    let (id, upstream) = (&call.state.config.id, &call.state.config.upstream);
    let detail = format!(
        "{upstream} is spoken to in HTTP/2, which has no upgrade to {}",
        protocol.to_str().unwrap_or("another protocol")
    );
    let mut problem = Problem::new(Kind::NoUpgrade, detail)
        .remedy(format!("declare `protocol: http1` for {upstream} if it can speak that"));
    problem.call = Some(id.clone());
    problem.upstream = Some(upstream.clone());
    problem
}

fn check_size(listener: &LocalListener, incoming: &Incoming) -> Result<(), Problem> {
    match (listener.limits.body_bytes, incoming.size_hint().exact()) {
        (Some(max), Some(size)) if size > max => {
            let detail = format!("the request body has {size} bytes; {max} are allowed");
            Err(Problem::new(Kind::BodyTooLarge, detail))
        }
        _ => Ok(()),
    }
}

/// The request's body, if it has one.
fn open_body(
    listener: &LocalListener,
    call: &LocalCall,
    head: &Parts,
    incoming: Incoming,
) -> Option<Rc<std::cell::RefCell<Source>>> {
    if incoming.is_end_stream() {
        return None;
    }
    let bytes_max = listener.limits.body_bytes;
    let retries = call.state.config.retries.as_ref();
    let keep = retries.filter(|_| headers::is_idempotent(&head.method, &head.headers)).map(|r| r.body_bytes);
    Some(Source::new(incoming, bytes_max, keep, listener.limits.body_idle))
}

/// What a request asks for, whichever upstream is asked.
pub(crate) struct Target {
    host: HeaderValue,
    /// Rewritten, but without the prefix of an external.
    path: PathAndQuery,
    /// The body comes without a length.
    chunked: bool,
}

impl Target {
    /// Writes the address as the call's upstream wants it.
    pub(crate) fn address(&self, head: &mut Parts, call: &LocalCall) -> Result<(), Problem> {
        let upstream = &call.upstream.shared.config;
        let external = upstream.external.as_ref();
        let host = match external {
            Some(external) => host_of(external)?,
            None if self.host.is_empty() => HeaderValue::from_str(&call.upstream.shared.name)
                .unwrap_or(HeaderValue::from_static("localhost")),
            None => self.host.clone(),
        };
        let path = match external.map_or("", |external| external.prefix.as_str()) {
            "" => self.path.clone(),
            prefix => with_query(&format!("{prefix}{}", self.path.path()), self.path.query())?,
        };
        let http1 = upstream.protocol == Protocol::Http1;
        headers::keep_te_trailers(&mut head.headers, http1);
        if http1 {
            head.version = Version::HTTP_11;
            head.uri = Uri::from(path);
            head.headers.insert(header::HOST, host);
            if self.chunked {
                // Unless told so, hyper takes it that a GET has no body.
                head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            return Ok(());
        }
        head.headers.remove(header::TRANSFER_ENCODING);
        head.version = Version::HTTP_2;
        head.headers.remove(header::HOST);
        let tls = external.is_some_and(|external| external.tls);
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority =
            Some(Authority::try_from(host.as_bytes()).unwrap_or(Authority::from_static("localhost")));
        parts.path_and_query = Some(path);
        head.uri =
            Uri::from_parts(parts).map_err(|_| Problem::new(Kind::BadRequest, "the address is not valid"))?;
        Ok(())
    }
}

fn host_of(external: &crate::config::External) -> Result<HeaderValue, Problem> {
    let default = if external.tls { 443 } else { 80 };
    let text = match external.port == default {
        true => external.host.clone(),
        false => format!("{}:{}", external.host, external.port),
    };
    HeaderValue::try_from(text)
        .map_err(|_| Problem::new(Kind::BadRequest, "the external's host is not valid"))
}

fn with_query(path: &str, query: Option<&str>) -> Result<PathAndQuery, Problem> {
    let whole = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    whole.map_err(|_| Problem::new(Kind::BadRequest, "the rewritten path is not valid"))
}
