//! Heads of requests and answers, read strictly: what two parsers in a row might read differently is
//! refused (RFC 9112 section 2.2, 3 and 5.1).

use std::mem::MaybeUninit;

use http::Method;

use super::fields::{Fields, Span};

/// Fields that are parsed without an allocation.
const FIELDS_INLINE: usize = 100;
/// Most fields of an answer. Envoy takes 100, nginx any number that fits: a service with a hundred cookies
/// is odd, but no attack on its own clients.
pub(crate) const ANSWER_FIELDS_MAX: usize = 512;

/// Fields that a request gets on its way: its id, its trace and for whom it is forwarded.
const REQUEST_ADDED: usize = 8;
/// Fields that an answer gets.
const ANSWER_ADDED: usize = 2;

/// A request's head.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
    /// Path and query.
    target: Span,
    path_length: u32,
    /// The host that an absolute address or `:authority` names.
    authority: Option<Span>,
}

/// The version that a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    Http11,
    Http2,
}

/// An answer's head.
#[derive(Clone, Debug)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
}

/// How much of a head is there.
pub(crate) enum Parsed<T> {
    /// Not all of it.
    Partial,
    /// All, in so many bytes.
    Whole(T, usize),
}

/// Why a head is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// More bytes or fields than are allowed.
    TooLarge,
    /// Not HTTP, for this reason.
    Malformed(&'static str),
}

impl RequestHead {
    /// Reads a head from the beginning of `bytes`.
    pub(crate) fn parse(
        bytes: &[u8],
        bytes_max: usize,
        fields_max: usize,
    ) -> Result<Parsed<RequestHead>, Refused> {
        let mut inline = [const { MaybeUninit::uninit() }; FIELDS_INLINE];
        let mut heap = Vec::new();
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(bytes, room(&mut inline, &mut heap, fields_max));
        let length = match whole(parsed, bytes, bytes_max)? {
            None => return Ok(Parsed::Partial),
            Some(length) => length,
        };
        let (method, target) = (request.method.unwrap_or(""), request.path.unwrap_or(""));
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Refused::Malformed("the method is not valid"))?;
        let mut fields = Fields::over(&bytes[..length], request.headers.len(), REQUEST_ADDED);
        take_fields(&mut fields, bytes, request.headers);
        let start = place(bytes, target.as_bytes()).start;
        let (authority, target) = split_target(target, start, &method)?;
        let mut head = RequestHead {
            method,
            version: if request.version == Some(0) { Version::Http10 } else { Version::Http11 },
            fields,
            target: Span::default(),
            path_length: 0,
            authority: authority.map(Span::new),
        };
        match bytes.get(target.start) {
            // An absolute address may come without a path (RFC 9112 section 3.2.1).
            _ if target.is_empty() => head.set_target(b"/"),
            Some(b'?') => head.set_target(&[b"/", &bytes[target]].concat()),
            _ => head.point_target(Span::new(target)),
        }
        Ok(Parsed::Whole(head, length))
    }

    /// The head of an HTTP/2 request.
    pub(crate) fn from_http2(parts: &http::request::Parts) -> RequestHead {
        let mut fields = Fields::over(&[], parts.headers.len(), REQUEST_ADDED);
        // A user in it makes it no host (RFC 9113 section 8.3.1).
        let authority = parts.uri.authority().map(|authority| fields.keep(authority.as_str().as_bytes()));
        for (name, value) in &parts.headers {
            fields.push(name.as_str().as_bytes(), value.as_bytes());
        }
        let mut head = RequestHead {
            method: parts.method.clone(),
            version: Version::Http2,
            fields,
            target: Span::default(),
            path_length: 0,
            authority,
        };
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        head.set_target(target.as_bytes());
        head
    }

    fn set_target(&mut self, target: &[u8]) {
        let span = self.fields.keep(target);
        self.point_target(span);
    }

    fn point_target(&mut self, target: Span) {
        self.target = target;
        let text = self.fields.at(target);
        self.path_length = text.iter().position(|byte| *byte == b'?').unwrap_or(text.len()) as u32;
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        std::str::from_utf8(self.fields.at(self.target)).unwrap_or("/")
    }

    pub(crate) fn path(&self) -> &str {
        &self.target()[..self.path_length as usize]
    }

    /// With its question mark; empty if there is none.
    pub(crate) fn query(&self) -> &str {
        &self.target()[self.path_length as usize..]
    }

    /// The host that an absolute address or `:authority` names.
    pub(crate) fn authority(&self) -> Option<&[u8]> {
        self.authority.map(|authority| self.fields.at(authority))
    }
}

impl AnswerHead {
    /// Reads a head from the beginning of `bytes`.
    pub(crate) fn parse(bytes: &[u8], bytes_max: usize) -> Result<Parsed<AnswerHead>, Refused> {
        let mut inline = [const { MaybeUninit::uninit() }; FIELDS_INLINE];
        let mut heap = Vec::new();
        let mut answer = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let mut parsed = parser.parse_response_with_uninit_headers(&mut answer, bytes, &mut inline);
        if parsed == Err(httparse::Error::TooManyHeaders) {
            heap.resize_with(ANSWER_FIELDS_MAX, MaybeUninit::uninit);
            answer = httparse::Response::new(&mut []);
            parsed = parser.parse_response_with_uninit_headers(&mut answer, bytes, &mut heap);
        }
        let length = match whole(parsed, bytes, bytes_max)? {
            None => return Ok(Parsed::Partial),
            Some(length) => length,
        };
        let mut fields = Fields::over(&bytes[..length], answer.headers.len(), ANSWER_ADDED);
        take_fields(&mut fields, bytes, answer.headers);
        let status = answer.code.filter(|code| (100..600).contains(code));
        let head = AnswerHead {
            status: status.ok_or(Refused::Malformed("the status is not between 100 and 599"))?,
            version: if answer.version == Some(0) { Version::Http10 } else { Version::Http11 },
            fields,
        };
        Ok(Parsed::Whole(head, length))
    }
}

type Room<'h, 'b> = &'h mut [MaybeUninit<httparse::Header<'b>>];

/// Room for as many fields as are allowed.
fn room<'h, 'b>(
    inline: &'h mut [MaybeUninit<httparse::Header<'b>>; FIELDS_INLINE],
    heap: &'h mut Vec<MaybeUninit<httparse::Header<'b>>>,
    fields_max: usize,
) -> Room<'h, 'b> {
    match fields_max {
        0..=FIELDS_INLINE => &mut inline[..fields_max],
        more => {
            heap.resize_with(more, MaybeUninit::uninit);
            heap
        }
    }
}

/// The length of a whole head. None: there is more to come.
fn whole(parsed: httparse::Result<usize>, bytes: &[u8], bytes_max: usize) -> Result<Option<usize>, Refused> {
    match parsed {
        Ok(httparse::Status::Complete(length)) if length > bytes_max => Err(Refused::TooLarge),
        Ok(httparse::Status::Complete(length)) if has_bare_lf(&bytes[..length]) => {
            Err(Refused::Malformed("a line does not end in CR LF"))
        }
        Ok(httparse::Status::Complete(length)) => Ok(Some(length)),
        Ok(httparse::Status::Partial) if bytes.len() < bytes_max => Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(Refused::TooLarge),
        Err(error) => Err(Refused::Malformed(explain(error, bytes))),
    }
}

/// Whether a line ends in LF alone: others in the chain may not take that for an end. Looks at all of the
/// head without a branch, which is quicker than to stop at what hardly ever comes.
fn has_bare_lf(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.iter().skip(1));
    head.first() == Some(&b'\n')
        || pairs.fold(false, |bare, (before, byte)| bare | ((*byte == b'\n') & (*before != b'\r')))
}

#[cold]
fn explain(error: httparse::Error, bytes: &[u8]) -> &'static str {
    let mut lines = bytes.split(|byte| *byte == b'\n').skip_while(|line| line.trim_ascii().is_empty());
    let first = lines.next().unwrap_or_default();
    let first_ends_in_space =
        first.trim_ascii_end().len() + usize::from(first.ends_with(b"\r")) < first.len();
    match error {
        httparse::Error::HeaderName => explain_name(lines),
        httparse::Error::HeaderValue => "the value of a field is not valid",
        httparse::Error::NewLine | httparse::Error::Version if first_ends_in_space => {
            "the first line ends in white space"
        }
        httparse::Error::NewLine => "a line does not end in CR LF",
        httparse::Error::Status => "the status line is not valid",
        httparse::Error::Version => "the version is neither HTTP/1.0 nor HTTP/1.1",
        _ => "the first line is not valid",
    }
}

/// Says of the first of these lines that begins with no valid name what it begins with.
fn explain_name<'l>(lines: impl Iterator<Item = &'l [u8]>) -> &'static str {
    for line in lines {
        let name = &line[..line.iter().position(|byte| *byte == b':').unwrap_or(line.len())];
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return "a line begins with white space: fields that go on in the next line are not taken";
        }
        if name.len() < line.len() && name.trim_ascii_end().len() < name.len() {
            return "there is white space before the colon of a field";
        }
        if http::HeaderName::from_bytes(name).is_err() {
            break;
        }
    }
    "the name of a field is not valid"
}

/// Finds the fields in the text.
fn take_fields(fields: &mut Fields, bytes: &[u8], found: &[httparse::Header<'_>]) {
    for field in found {
        fields.add(Span::new(place(bytes, field.name.as_bytes())), Span::new(place(bytes, field.value)));
    }
}

/// Where `part` lies in `whole`, which it was cut out of.
fn place(whole: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    match part.is_empty() {
        true => 0..0,
        false => {
            let start = part.as_ptr().addr() - whole.as_ptr().addr();
            start..start + part.len()
        }
    }
}

type Place = std::ops::Range<usize>;

/// The places of the authority, if the address is absolute, and of path and query.
fn split_target(target: &str, start: usize, method: &Method) -> Result<(Option<Place>, Place), Refused> {
    let bad = Err(Refused::Malformed("the address is not valid"));
    if !target.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'#') {
        return bad;
    }
    let end = start + target.len();
    if target.starts_with('/') || (target == "*" && method == Method::OPTIONS) {
        return Ok((None, start..end));
    }
    if method == Method::CONNECT {
        return Ok((Some(start..end), start..start));
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
    });
    let Some(scheme) = scheme else { return bad };
    let rest = &target[scheme.len()..];
    let length = rest.find(['/', '?']).unwrap_or(rest.len());
    if rest[..length].contains('@') {
        // RFC 9110 section 4.2.4: its only use is to make one host look like another.
        return Err(Refused::Malformed("the address has a user in it"));
    }
    let host = start + scheme.len();
    let path = host + length;
    if host == path {
        return bad;
    }
    Ok((Some(host..path), path..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::fields::Id;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Parsed<RequestHead>, Refused> {
        RequestHead::parse(text.as_bytes(), 8192, 20)
    }

    fn whole(text: &str) -> RequestHead {
        match parse(text) {
            Ok(Parsed::Whole(head, length)) if length == text.len() => head,
            Ok(Parsed::Whole(_, length)) => panic!("{length} bytes of {}", text.len()),
            Ok(Parsed::Partial) => panic!("not whole: {text}"),
            Err(refused) => panic!("{refused:?}: {text}"),
        }
    }

    #[test]
    fn a_head_is_taken_apart() {
        let head = whole("GET /a/b?c=1 HTTP/1.1\r\nHost: shop\r\nX-Empty:\r\nCookie:  a=1 \r\n\r\n");
        assert_eq!((head.target(), head.path(), head.query()), ("/a/b?c=1", "/a/b", "?c=1"));
        assert_eq!((head.method.as_str(), head.version), ("GET", Version::Http11));
        assert_eq!(head.fields.get(Id::Host), Some(&b"shop"[..]));
        assert_eq!(head.fields.named("x-empty"), Some(&b""[..]));
        assert_eq!(head.fields.get(Id::Cookie), Some(&b"a=1"[..]));
    }

    #[test]
    fn an_absolute_address_has_a_host_of_its_own() {
        for (address, host, target) in [
            ("http://shop", "shop", "/"),
            ("HTTP://shop:81/x?y", "shop:81", "/x?y"),
            ("http://shop?y", "shop", "/?y"),
        ] {
            let head = whole(&format!("GET {address} HTTP/1.1\r\n\r\n"));
            assert_eq!(head.authority(), Some(host.as_bytes()), "{address}");
            assert_eq!(head.target(), target, "{address}");
        }
        assert_eq!(whole("OPTIONS * HTTP/1.0\r\n\r\n").target(), "*");
    }

    #[test]
    fn what_may_be_read_two_ways_is_refused() {
        for text in [
            "GET / HTTP/1.1\nHost: shop\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: shop\n\r\n",
            "GET / HTTP/1.1\r\nA: 1\r\n B: 2\r\n\r\n",
            "GET / HTTP/1.1\r\nA : 1\r\n\r\n",
            "GET / HTTP/1.1\r\nA: 1\rB: 2\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET /a#b HTTP/1.1\r\n\r\n",
            "GET a HTTP/1.1\r\n\r\n",
            "GET http:// HTTP/1.1\r\n\r\n",
            "GET https://me:secret@shop/x HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: shop\r\n\n",
            "GET / HTTP/1.1\r\n\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
        ] {
            assert!(matches!(parse(text), Err(Refused::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn why_a_head_is_refused_is_told() {
        for (text, why) in [
            ("GET / HTTP/1.1 \r\n\r\n", "ends in white space"),
            ("GET / HTTP/1.1\nA: 1\r\n\r\n", "does not end in CR LF"),
            ("GET / HTTP/1.1\r\nA: 1\r\n B: 2\r\n\r\n", "go on in the next line"),
            ("GET / HTTP/1.1\r\nA : 1\r\n\r\n", "white space before the colon"),
            ("GET / HTTP/1.1\r\nA(: 1\r\n B: 2\r\n\r\n", "the name of a field is not valid"),
            ("GET / HTTP/3.0\r\n\r\n", "the version is neither"),
        ] {
            let Err(Refused::Malformed(said)) = parse(text) else { panic!("{text:?}") };
            assert!(said.contains(why), "{text:?}: {said}");
        }
    }

    #[test]
    fn an_answer_may_have_many_fields_and_no_more() {
        let answer = |count: usize| {
            let many: String = (0..count).map(|nth| format!("A{nth}: 1\r\n")).collect();
            AnswerHead::parse(format!("HTTP/1.1 200 OK\r\n{many}\r\n").as_bytes(), 1 << 20)
        };
        for count in [0, FIELDS_INLINE, FIELDS_INLINE + 1, ANSWER_FIELDS_MAX] {
            let Ok(Parsed::Whole(head, _)) = answer(count) else { panic!("{count}") };
            assert_eq!(head.fields.iter().count(), count);
        }
        assert_eq!(answer(ANSWER_FIELDS_MAX + 1).err(), Some(Refused::TooLarge));
    }

    #[test]
    fn a_head_is_bounded() {
        let many: String = (0..21).map(|nth| format!("A{nth}: 1\r\n")).collect();
        assert_eq!(parse(&format!("GET / HTTP/1.1\r\n{many}\r\n")).err(), Some(Refused::TooLarge));
        let long = "a".repeat(8192);
        assert_eq!(parse(&format!("GET / HTTP/1.1\r\nA: {long}")).err(), Some(Refused::TooLarge));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_whole_stays_whole(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' ')], 0..200)
        ) {
            for text in [bytes.clone(), [b"GET / HTTP/1.1\r\n", &bytes[..], b"\r\n\r\n"].concat()] {
                if let Ok(Parsed::Whole(head, length)) = RequestHead::parse(&text, 8192, 20) {
                    prop_assert!(length <= text.len());
                    prop_assert!(head.fields.iter().all(|(_, name, _)| !name.is_empty()));
                    let again = RequestHead::parse(&text[..length], 8192, 20);
                    prop_assert!(matches!(again, Ok(Parsed::Whole(_, same)) if same == length));
                    prop_assert!(!matches!(RequestHead::parse(&text[..length - 1], 8192, 20), Ok(Parsed::Whole(..))));
                }
                let _ = AnswerHead::parse(&text, 8192);
            }
        }
    }
}
