//! What happened, as OpenTelemetry describes it: spans, which make up traces, and records of logs.
//!
//! The model is that of the OpenTelemetry specification (Trace and Logs Data Model), with names of its semantic conventions as
//! keys of attributes. Two things are said once more than there, since all that is asked for goes by them: whose a span is
//! (`service.name`, `service.instance.id` of its resource) are fields and not attributes.
//!
//! Whatever comes from outside is cut to size by [`Span::bound`] and [`LogRecord::bound`] before it goes anywhere: a peer that
//! sends a megabyte as an attribute's value costs no more than one that does not.

mod limits;
mod size;
mod value;

pub use limits::{ATTRIBUTES_MAX, EVENTS_MAX, KEY_BYTES_MAX, LINKS_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
pub use value::{Text, Value};

/// Something that took a while: a request, a try of a call, the wait for a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace that it is part of. Not all zero.
    pub trace_id: [u8; 16],
    /// Its own. Not all zero.
    pub span_id: [u8; 8],
    /// The span that caused it; none: the trace begins with it.
    pub parent: Option<[u8; 8]>,
    /// `tracestate` as W3C has it; empty if there is none.
    pub trace_state: Text,
    /// Whose it is: `service.name`. Spans of what Colony does for a service are that service's, those of the gateway `gateway`'s.
    pub service: Text,
    /// Which instance: `service.instance.id`; empty if that is not known.
    pub instance: Text,
    /// Who has recorded it: `colony`, or the name of an instrumentation's scope.
    pub scope: Text,
    /// Of few kinds, as the conventions ask for: `GET /api/orders/{id}`, `publish order-placed`.
    pub name: Text,
    /// Which side of what it is.
    pub kind: Kind,
    /// When it began, in nanoseconds since 1970.
    pub start_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How it ended.
    pub status: Status,
    /// What else is known of it, at most [`ATTRIBUTES_MAX`].
    pub attributes: Vec<(Text, Value)>,
    /// What happened meanwhile, at most [`EVENTS_MAX`].
    pub events: Vec<Event>,
    /// Spans that have to do with it and are not its parent, at most [`LINKS_MAX`].
    pub links: Vec<Link>,
    /// How many attributes, events and links were left out.
    pub dropped: u32,
}

/// Which side of what a span is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// None: something within.
    #[default]
    Internal,
    /// Answers a request.
    Server,
    /// Asks somebody and waits for the answer.
    Client,
    /// Hands a message over for somebody to have it later.
    Producer,
    /// Works on a message.
    Consumer,
}

/// How something ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Status {
    /// Nobody says that it failed.
    #[default]
    Unset,
    /// Who recorded it says that it is well, whatever it looks like.
    Ok,
    /// It failed, for this reason; which may be empty.
    Error(Text),
}

/// Something that happened at a moment of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// What: `exception`, `retry`.
    pub name: Text,
    /// What else is known of it.
    pub attributes: Vec<(Text, Value)>,
}

/// A span that another has to do with: that which published what this one consumes.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The other's trace.
    pub trace_id: [u8; 16],
    /// The other.
    pub span_id: [u8; 8],
    /// What is known of the link.
    pub attributes: Vec<(Text, Value)>,
}

/// Something that was written down: a line of a service, or what an SDK sends as a log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When it was written, in nanoseconds since 1970.
    pub at_ns: u64,
    /// How much it matters, by OpenTelemetry's numbers: 1 to 24, of which 9 is INFO and 17 ERROR; 0 if that is not known.
    pub severity: u8,
    /// Who has written it.
    pub service: Text,
    /// Which instance; empty if that is not known.
    pub instance: Text,
    /// What it is about for programs: `rollout`, `exception`; empty for what is only for people.
    pub event: Text,
    /// What it says.
    pub body: Text,
    /// What else is known of it, at most [`ATTRIBUTES_MAX`].
    pub attributes: Vec<(Text, Value)>,
    /// The trace that it belongs to.
    pub trace_id: Option<[u8; 16]>,
    /// The span that it belongs to.
    pub span_id: Option<[u8; 8]>,
}

impl Span {
    /// Whether it failed.
    pub fn is_error(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }

    /// When it ended, in nanoseconds since 1970.
    pub fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.duration_ns)
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        find(&self.attributes, key)
    }
}

impl LogRecord {
    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        find(&self.attributes, key)
    }
}

fn find<'v>(attributes: &'v [(Text, Value)], key: &str) -> Option<&'v Value> {
    attributes.iter().find_map(|(known, value)| (&**known == key).then_some(value))
}

#[cfg(test)]
pub(crate) mod tests;
