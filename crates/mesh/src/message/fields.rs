//! Header fields in the order in which they came, in one buffer: nothing is hashed, and nothing
//! allocated for each.

use std::ops::Range;

/// Which field this is, if it is one that the data plane knows. `Gone` was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(clippy::enum_variant_names, reason = "they are named as the fields are")]
pub(crate) enum Id {
    Gone,
    Other,
    Connection,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    ForwardedFor,
    ForwardedHost,
    ForwardedProto,
    GrpcStatus,
    GrpcTimeout,
    Host,
    IdempotencyKey,
    KeepAlive,
    ProxyConnection,
    RequestDeadline,
    RequestId,
    RetryAfter,
    Te,
    TraceParent,
    TraceState,
    TransferEncoding,
    Upgrade,
}

impl Id {
    /// By a name in any case.
    pub(crate) fn of(name: &[u8]) -> Id {
        let candidates: &[(&str, Id)] = match name.len() {
            2 => &[("te", Id::Te)],
            4 => &[("host", Id::Host), ("date", Id::Date)],
            6 => &[("cookie", Id::Cookie), ("expect", Id::Expect)],
            7 => &[("upgrade", Id::Upgrade)],
            9 => &[("forwarded", Id::Forwarded)],
            10 => &[
                ("connection", Id::Connection),
                ("keep-alive", Id::KeepAlive),
                ("tracestate", Id::TraceState),
            ],
            11 => &[
                ("traceparent", Id::TraceParent),
                ("retry-after", Id::RetryAfter),
                ("grpc-status", Id::GrpcStatus),
            ],
            12 => &[
                ("content-type", Id::ContentType),
                ("x-request-id", Id::RequestId),
                ("grpc-timeout", Id::GrpcTimeout),
            ],
            14 => &[("content-length", Id::ContentLength)],
            15 => &[("x-forwarded-for", Id::ForwardedFor), ("idempotency-key", Id::IdempotencyKey)],
            16 => &[("x-forwarded-host", Id::ForwardedHost), ("proxy-connection", Id::ProxyConnection)],
            17 => &[("transfer-encoding", Id::TransferEncoding), ("x-forwarded-proto", Id::ForwardedProto)],
            18 => &[("x-request-deadline", Id::RequestDeadline)],
            _ => &[],
        };
        let known = candidates.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        known.map_or(Id::Other, |(_, id)| *id)
    }

    fn bit(self) -> u32 {
        1 << self as u8
    }
}

#[derive(Clone, Copy, Debug)]
struct Field {
    id: Id,
    name: Span,
    value: Span,
}

/// A place in the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn new(range: Range<usize>) -> Span {
        Span { start: range.start as u32, end: range.end as u32 }
    }
}

/// The fields of a message, with the text that they are places in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    text: Vec<u8>,
    all: Vec<Field>,
    /// Of every id that may be among them one bit.
    seen: u32,
}

impl Fields {
    /// No fields, over a text in which [`Fields::add`] will find them.
    pub(crate) fn over(text: &[u8], count: usize) -> Fields {
        Fields { text: text.to_vec(), all: Vec::with_capacity(count + 2), seen: 0 }
    }

    /// Adds what lies at these places of the text.
    pub(crate) fn add(&mut self, name: Span, value: Span) {
        let id = Id::of(self.at(name));
        self.seen |= id.bit();
        self.all.push(Field { id, name, value });
    }

    /// Adds a field that is not in the text yet.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let (name, value) = (self.keep(name), self.keep(value));
        self.add(name, value);
    }

    /// Appends to the text.
    pub(crate) fn keep(&mut self, text: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        Span::new(start..self.text.len())
    }

    /// The text at a place.
    pub(crate) fn at(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..span.end as usize]
    }

    /// Ids, names and values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &[u8], &[u8])> {
        let present = self.all.iter().filter(|field| field.id != Id::Gone);
        present.map(|field| (field.id, self.at(field.name), self.at(field.value)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.iter().all(|field| field.id == Id::Gone)
    }

    /// Values of a field that is known.
    pub(crate) fn all(&self, id: Id) -> impl Iterator<Item = &[u8]> {
        let among = if self.has(id) { self.all.as_slice() } else { &[] };
        among.iter().filter(move |field| field.id == id).map(|field| self.at(field.value))
    }

    /// The first value of a field that is known.
    pub(crate) fn get(&self, id: Id) -> Option<&[u8]> {
        self.all(id).next()
    }

    /// The first value of any field.
    pub(crate) fn named(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(_, other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, _, value)| value)
    }

    pub(crate) fn has(&self, id: Id) -> bool {
        self.seen & id.bit() != 0
    }

    /// Takes a field out.
    pub(crate) fn remove(&mut self, id: Id) {
        if self.has(id) {
            self.all.iter_mut().filter(|field| field.id == id).for_each(|field| field.id = Id::Gone);
            self.seen &= !id.bit();
        }
    }

    /// The same by name.
    pub(crate) fn remove_named(&mut self, name: &[u8]) {
        match Id::of(name) {
            Id::Other => {
                for at in 0..self.all.len() {
                    if self.all[at].id == Id::Other && self.at(self.all[at].name).eq_ignore_ascii_case(name) {
                        self.all[at].id = Id::Gone;
                    }
                }
            }
            id => self.remove(id),
        }
    }

    /// Writes them as lines.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (_, name, value) in self.iter() {
            write_field(out, name, value);
        }
    }
}

/// Writes one field as a line.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_known_in_any_case() {
        for (name, id) in [
            ("Connection", Id::Connection),
            ("CONTENT-LENGTH", Id::ContentLength),
            ("content-type", Id::ContentType),
            ("Cookie", Id::Cookie),
            ("Date", Id::Date),
            ("Expect", Id::Expect),
            ("Forwarded", Id::Forwarded),
            ("grpc-status", Id::GrpcStatus),
            ("Grpc-Timeout", Id::GrpcTimeout),
            ("host", Id::Host),
            ("Idempotency-Key", Id::IdempotencyKey),
            ("Keep-Alive", Id::KeepAlive),
            ("Proxy-Connection", Id::ProxyConnection),
            ("Retry-After", Id::RetryAfter),
            ("TE", Id::Te),
            ("traceparent", Id::TraceParent),
            ("tracestate", Id::TraceState),
            ("Transfer-Encoding", Id::TransferEncoding),
            ("Upgrade", Id::Upgrade),
            ("X-Forwarded-For", Id::ForwardedFor),
            ("X-Forwarded-Host", Id::ForwardedHost),
            ("X-Forwarded-Proto", Id::ForwardedProto),
            ("X-Request-Deadline", Id::RequestDeadline),
            ("X-Request-Id", Id::RequestId),
            ("x-mine", Id::Other),
        ] {
            assert_eq!(Id::of(name.as_bytes()), id, "{name}");
        }
    }

    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_keeps_its_order() {
        let mut fields = Fields::default();
        for (name, value) in [("a", "1"), ("Host", "x"), ("A", "2"), ("b", "3"), ("host", "y")] {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(fields.all(Id::Host).collect::<Vec<_>>(), [b"x", b"y"]);
        fields.remove(Id::Host);
        fields.remove_named(b"a");
        assert!(fields.get(Id::Host).is_none() && fields.named("a").is_none());
        fields.push(b"host", b"z");
        let mut out = Vec::new();
        fields.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "b: 3\r\nhost: z\r\n");
    }
}
