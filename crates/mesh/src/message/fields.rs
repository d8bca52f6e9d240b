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
    MaxForwards,
    Priority,
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
        match name.len() {
            2 => among(name, [(b"te", Id::Te)]),
            4 => among(name, [(b"host", Id::Host), (b"date", Id::Date)]),
            6 => among(name, [(b"cookie", Id::Cookie), (b"expect", Id::Expect)]),
            7 => among(name, [(b"upgrade", Id::Upgrade)]),
            9 => among(name, [(b"forwarded", Id::Forwarded)]),
            10 => among(
                name,
                [
                    (b"connection", Id::Connection),
                    (b"keep-alive", Id::KeepAlive),
                    (b"tracestate", Id::TraceState),
                ],
            ),
            11 => among(
                name,
                [
                    (b"traceparent", Id::TraceParent),
                    (b"retry-after", Id::RetryAfter),
                    (b"grpc-status", Id::GrpcStatus),
                ],
            ),
            12 => among(
                name,
                [
                    (b"content-type", Id::ContentType),
                    (b"max-forwards", Id::MaxForwards),
                    (b"x-request-id", Id::RequestId),
                    (b"grpc-timeout", Id::GrpcTimeout),
                ],
            ),
            14 => among(name, [(b"content-length", Id::ContentLength)]),
            15 => among(
                name,
                [(b"x-forwarded-for", Id::ForwardedFor), (b"idempotency-key", Id::IdempotencyKey)],
            ),
            16 => among(
                name,
                [(b"x-forwarded-host", Id::ForwardedHost), (b"proxy-connection", Id::ProxyConnection)],
            ),
            17 => among(
                name,
                [
                    (b"transfer-encoding", Id::TransferEncoding),
                    (b"x-forwarded-proto", Id::ForwardedProto),
                    (b"x-colony-priority", Id::Priority),
                ],
            ),
            18 => among(name, [(b"x-request-deadline", Id::RequestDeadline)]),
            _ => Id::Other,
        }
    }

    fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// Which of these names, all in lower case and of the same length, it is in any case. With lengths that
/// are known this is a comparison of a word or two for each.
fn among<const N: usize, const COUNT: usize>(name: &[u8], known: [(&[u8; N], Id); COUNT]) -> Id {
    let Ok(name) = <&[u8; N]>::try_from(name) else { return Id::Other };
    // What is no letter may become another byte by this, but never a letter, nor a dash if it can be in a name.
    let lower = name.map(|byte| byte | 0x20);
    known.iter().find(|(known, _)| lower == **known).map_or(Id::Other, |(_, id)| *id)
}

#[derive(Clone, Copy, Debug)]
struct Field {
    id: Id,
    name: Span,
    value: Span,
}

/// Room for a field that is added on the way; `traceparent` takes 66, `x-request-id` 44.
const ADDED_BYTES: usize = 48;

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
    /// No fields, over a text in which [`Fields::add`] will find `count`, with room for `more` and their
    /// text.
    pub(crate) fn over(text: &[u8], count: usize, more: usize) -> Fields {
        let mut own = Vec::with_capacity(text.len() + more * ADDED_BYTES);
        own.extend_from_slice(text);
        Fields { text: own, all: Vec::with_capacity(count + more), seen: 0 }
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
            ("Max-Forwards", Id::MaxForwards),
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
            ("X-Colony-Priority", Id::Priority),
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
