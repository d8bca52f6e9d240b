//! Which route a request would take, and why none of the others, told without a data plane that runs:
//! by its parser, its checks and its matchers, so that the two cannot differ.

use std::time::Duration;

use policy::Time;
use policy::deadline::header::Node;

use crate::config::{Pattern, Route};
use crate::message::framing::Framing;
use crate::message::head::{Parsed, Refused, RequestHead};
use crate::request::problem::Kind;
use crate::request::route::{Fit, Matcher, Path, without_port};
use crate::request::split::{self, Side};
use crate::request::{forward, headers};

/// A request to a gateway, by its head.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Host, maybe with a port.
    pub host: &'a str,
    /// Names and values.
    pub headers: &'a [(String, String)],
}

/// What a gateway would do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The host that the request is for, as it came: of an absolute address the host there.
    pub host: String,
    /// How it went with each route, in the order in which they are tried.
    pub routes: Vec<Tried>,
    /// Which of them takes the request.
    pub taken: Option<usize>,
    /// How it is sent to its side, where several calls share that route's requests.
    pub side: Option<Side>,
    /// The path that goes on, without the query. As it came if no route takes the request.
    pub path: String,
    /// With its question mark; empty if there is none.
    pub query: String,
    /// Whether the request may be sent twice, also where something of it was sent.
    pub idempotent: bool,
    /// How long the caller says that it waits.
    pub left: Option<Duration>,
}

/// How it went with one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The request takes it.
    Taken,
    /// The request fits, but one tried before took it.
    Later,
    /// The request does not fit.
    Misfit(Misfit),
}

/// The first part of a route that a request does not fit, in the order of [`Part`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Which part.
    pub part: Part,
    /// What is wanted there. None: nothing, for the path is longer than the route's.
    pub wanted: Option<String>,
    /// What the request has in its place. None: nothing.
    pub given: Option<String>,
}

/// A part of a route; those named later are looked at later, so who fails there came further.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The host.
    Host,
    /// The path, at the segment of this number, from 0.
    Path(usize),
    /// The header of this name.
    Header(String),
    /// The method.
    Method,
}

impl Preview {
    /// What answers where no route takes the request.
    pub fn refusal(&self) -> Option<Refusal> {
        let but_method = |tried: &Tried| matches!(tried, Tried::Misfit(Misfit { part: Part::Method, .. }));
        match self.taken {
            Some(_) => None,
            None if self.routes.iter().any(but_method) => Some(Refusal::of(Kind::MethodNotAllowed)),
            None => Some(Refusal::of(Kind::NoRoute)),
        }
    }
}

/// An answer of the gateway's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// The last part of the problem's type, `no-route`.
    pub problem: &'static str,
}

impl Refusal {
    /// Where a request is refused before any route is tried.
    pub fn unsound() -> Refusal {
        Refusal::of(Kind::BadRequest)
    }

    /// Where the caller waits no more before anything was sent.
    pub fn too_late() -> Refusal {
        Refusal::of(Kind::Timeout)
    }

    fn of(kind: Kind) -> Refusal {
        let (status, problem, ..) = kind.parts();
        Refusal { status: status.as_u16(), problem }
    }
}

/// What a gateway with these routes would do with a request.
///
/// # Errors
/// Why it would be refused before any route is tried, with [`Refusal::unsound`].
pub fn preview(routes: &[Route], asked: &Asked) -> Result<Preview, String> {
    let mut head = parse(asked)?;
    Framing::of_request(&head).map_err(str::to_owned)?;
    headers::strip_hop_by_hop(&mut head.fields);
    let host = forward::sound_head(&head).map_err(|problem| problem.detail)?;
    let host = std::str::from_utf8(&host).unwrap_or("");
    let mut preview = Preview {
        host: host.to_owned(),
        routes: Vec::with_capacity(routes.len()),
        taken: None,
        side: None,
        path: head.path().to_owned(),
        query: head.query().to_owned(),
        idempotent: headers::is_idempotent(&head.method, &head.fields),
        left: None,
    };
    for (at, route) in routes.iter().enumerate() {
        let Some(matcher) = Matcher::new(&route.matcher) else {
            return Err("a route has a method that is not valid HTTP".to_owned());
        };
        let tried = match matcher.fit(host, head.path(), &head.method, &head.fields) {
            Fit::Yes if preview.taken.is_some() => Tried::Later,
            Fit::Yes => {
                preview.taken = Some(at);
                preview.side = route.call.split.as_ref().and_then(|split| split::preview(split, &head));
                let new = route.rewrite.as_ref().and_then(|to| matcher.path().rewrite(head.path(), to));
                preview.path = new.unwrap_or(preview.path);
                Tried::Taken
            }
            Fit::NotMethod | Fit::No => Tried::Misfit(misfit(route, &matcher, host, &head)),
        };
        preview.routes.push(tried);
    }
    let grpc = headers::is_grpc(&head.fields);
    preview.left = headers::take_time_left(&mut head.fields, grpc, Time::ZERO, Node::of(0));
    Ok(preview)
}

/// The head as a client would send it. A line end inside of a line would make it two, which the parser
/// cannot know.
fn parse(asked: &Asked) -> Result<RequestHead, String> {
    let mut text = format!("{} {} HTTP/1.1\r\n", asked.method, asked.target);
    let has_host = asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = (!has_host).then(|| ("host".to_owned(), asked.host.to_owned()));
    for (name, value) in host.iter().chain(asked.headers) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let lines = 1 + asked.headers.len() + usize::from(!has_host);
    if text.matches(['\r', '\n']).count() != 2 * lines {
        return Err("a line of the request ends before its time".to_owned());
    }
    text.push_str("\r\n");
    match RequestHead::parse(text.as_bytes(), text.len(), lines) {
        Ok(Parsed::Whole(head, length)) if length == text.len() => Ok(head),
        Err(Refused::Malformed(why)) => Err(why.to_owned()),
        _ => Err("the request is not one of HTTP".to_owned()),
    }
}

fn misfit(route: &Route, matcher: &Matcher, host: &str, head: &RequestHead) -> Misfit {
    let some = |text: &str| Some(text.to_owned());
    if !matcher.takes_host(host) {
        let wanted = route.matcher.host.clone();
        return Misfit { part: Part::Host, wanted, given: some(without_port(host)) };
    }
    if !matcher.path().matches(head.path()) {
        return path_misfit(&route.matcher.path, head.path());
    }
    if let Some((name, value)) = matcher.missed_header(&head.fields) {
        let given = head.fields.named(name).map(|given| String::from_utf8_lossy(given).into_owned());
        return Misfit { part: Part::Header(name.clone()), wanted: some(value), given };
    }
    let wanted = Some(route.matcher.methods.join(", "));
    Misfit { part: Part::Method, wanted, given: some(head.method.as_str()) }
}

/// Where a path that does not match stops matching: the first segment with which the pattern, cut off
/// behind it, does not match any more.
fn path_misfit(pattern: &Pattern, path: &str) -> Misfit {
    let matches_up_to = |count: usize| {
        let cut = Pattern { segments: pattern.segments[..count].to_vec(), rest: true };
        Path::new(&cut).matches(path)
    };
    let whole = pattern.segments.len();
    let at = (1..=whole).find(|count| !matches_up_to(*count)).map_or(whole, |count| count - 1);
    let wanted = pattern.segments.get(at).map(|segment| segment.clone().unwrap_or_else(|| "*".to_owned()));
    let given = path.split('/').nth(at + 1).filter(|segment| !segment.is_empty() || wanted.is_none());
    Misfit { part: Part::Path(at), wanted, given: given.map(str::to_owned) }
}
