//! What must hold of any bytes that a peer may send, for the fuzz targets in `fuzz`: each function takes
//! bytes and panics if something does not hold. The corpus that fuzzing has found is played by the tests.

use bytes::BytesMut;
use policy::Rng;

use crate::config;
use crate::message::fields::{Fields, Id};
use crate::message::framing::{Decoder, Framing, write_chunk, write_last_chunk};
use crate::message::head::{AnswerHead, Parsed, Refused, RequestHead};
use crate::request::headers::{self, ClientText};
use crate::request::route::{self, Path};

const HEAD_BYTES_MAX: usize = 8 << 10;
const FIELDS_MAX: usize = 32;

fn parse(bytes: &[u8]) -> Result<Parsed<RequestHead>, Refused> {
    RequestHead::parse(bytes, HEAD_BYTES_MAX, FIELDS_MAX)
}

fn whole(bytes: &[u8]) -> Option<(RequestHead, usize)> {
    match parse(bytes) {
        Ok(Parsed::Whole(head, length)) => Some((head, length)),
        _ => None,
    }
}

fn lines(fields: &Fields) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|(_, name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// As it would be sent on.
fn written(head: &RequestHead) -> Vec<u8> {
    let mut out = format!("{} {} HTTP/1.1\r\n", head.method, head.target()).into_bytes();
    head.fields.write(&mut out);
    out.extend_from_slice(b"\r\n");
    out
}

/// A head is whole when its last byte is there and not before, and is read back as it is written.
pub fn request_head(bytes: &[u8]) {
    let Some((head, length)) = whole(bytes) else { return };
    assert!(length <= bytes.len());
    for end in [0, length / 3, length / 2, length - 1] {
        assert!(matches!(parse(&bytes[..end]), Ok(Parsed::Partial)), "refused or whole at {end} of {length}");
    }
    let text = written(&head);
    let Some((again, all)) = whole(&[&text[..], b"GET /more HTTP/1.1\r\n\r\n"].concat()) else {
        assert!(text.len() > HEAD_BYTES_MAX, "what is sent on is refused: {}", text.escape_ascii());
        return;
    };
    assert_eq!(all, text.len(), "what is sent on ends elsewhere: {}", text.escape_ascii());
    assert_eq!((&again.method, again.target()), (&head.method, head.target()));
    assert_eq!(lines(&again.fields), lines(&head.fields));
    if head.version == again.version {
        assert_eq!(Framing::of_request(&again), Framing::of_request(&head));
    }
}

/// An answer's head is whole when its last byte is there and not before; its end is told or refused.
pub fn answer_head(bytes: &[u8]) {
    let parse = |bytes| AnswerHead::parse(bytes, HEAD_BYTES_MAX);
    let Ok(Parsed::Whole(head, length)) = parse(bytes) else { return };
    assert!(length <= bytes.len() && (100..600).contains(&head.status));
    for end in [0, length / 3, length / 2, length - 1] {
        assert!(matches!(parse(&bytes[..end]), Ok(Parsed::Partial)), "refused or whole at {end} of {length}");
    }
    for to_head in [false, true] {
        let _ = Framing::of_answer(&head, to_head);
    }
    let mut text = format!("HTTP/1.1 {} x\r\n", head.status).into_bytes();
    head.fields.write(&mut text);
    text.extend_from_slice(b"\r\n");
    match parse(&text) {
        Ok(Parsed::Whole(again, all)) => {
            assert_eq!((all, lines(&again.fields)), (text.len(), lines(&head.fields)));
        }
        _ => assert!(text.len() > HEAD_BYTES_MAX, "what is sent on is refused: {}", text.escape_ascii()),
    }
}

/// What became of a body.
#[derive(Debug, PartialEq)]
struct Decoded {
    body: Vec<u8>,
    /// Bytes behind its end. None: it is broken.
    behind: Option<usize>,
    done: bool,
    trailers: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

fn decoded<'b>(pieces: impl Iterator<Item = &'b [u8]>, room: usize) -> Decoded {
    let (mut decoder, mut inbox, mut body) = (Decoder::new(Framing::Chunked), BytesMut::new(), Vec::new());
    let mut broken = false;
    for piece in pieces {
        inbox.extend_from_slice(piece);
        while !broken && !inbox.is_empty() && !decoder.is_done() {
            broken = decoder.decode(&mut inbox, &mut body, room).is_err();
        }
    }
    let done = decoder.is_done();
    let trailers = done.then(|| decoder.take_trailers()).flatten().map(|fields| lines(&fields));
    Decoded { body, behind: (!broken).then_some(inbox.len()), done, trailers }
}

/// A chunked body is the same in whatever pieces it comes, and when it is chunked anew. The first two
/// bytes say how it is cut.
pub fn chunks(bytes: &[u8]) {
    let Some((&[cut, room], bytes)) = bytes.split_first_chunk() else { return };
    let once = decoded(std::iter::once(bytes), usize::MAX);
    let piecewise = decoded(bytes.chunks(usize::from(cut) + 1), usize::from(room) + 1);
    assert_eq!(once, piecewise);
    if !once.done {
        return;
    }
    let mut anew = Vec::new();
    once.body.chunks(usize::from(cut) + 1).for_each(|piece| write_chunk(&mut anew, piece));
    let mut fields = Fields::default();
    once.trailers.iter().flatten().for_each(|(name, value)| fields.push(name, value));
    write_last_chunk(&mut anew, (!fields.is_empty()).then_some(&fields));
    let again = decoded(std::iter::once(&anew[..]), usize::MAX);
    assert_eq!(again, Decoded { behind: Some(0), ..once });
}

fn pattern(text: &str) -> config::Pattern {
    let (text, rest) = match text.strip_suffix("/**") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let segments = text.split('/').filter(|segment| !segment.is_empty());
    config::Pattern { segments: segments.map(|s| (s != "*").then(|| s.to_owned())).collect(), rest }
}

/// Whether a path matches, said in another way: segment by segment.
fn matches_slowly(pattern: &config::Pattern, path: &str) -> bool {
    let mut segments: Vec<&str> = path.split('/').skip(1).collect();
    if pattern.segments.is_empty() {
        return pattern.rest || segments == [""];
    }
    if !pattern.rest && segments.len() != pattern.segments.len() || segments.len() < pattern.segments.len() {
        return false;
    }
    segments.truncate(pattern.segments.len());
    pattern.segments.iter().zip(segments).all(|(wanted, segment)| match wanted {
        Some(literal) => literal == segment,
        None => !segment.is_empty(),
    })
}

/// Three lines, a pattern, what it becomes, and a path: the path matches if its segments do, and no
/// rewriting makes a path climb that did not.
pub fn routes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.splitn(3, '\n');
    let (Some(from), Some(to), Some(path)) = (parts.next(), parts.next(), parts.next()) else { return };
    // No request has another.
    if !path.starts_with('/') {
        return;
    }
    let climbs = [from, to, path].iter().any(|text| route::has_dot_segment(&format!("/{text}")));
    let (from, to) = (pattern(from), pattern(to));
    let compiled = Path::new(&from);
    assert_eq!(compiled.matches(path), matches_slowly(&from, path), "{from:?} and {path:?}");
    let Some(rewritten) = compiled.rewrite(path, &to) else { return assert!(!compiled.matches(path)) };
    assert!(rewritten.starts_with('/'), "{rewritten:?}");
    assert!(climbs || !route::has_dot_segment(&rewritten), "{rewritten:?} climbs");
}

/// A request that has gone through ends where it did before, and takes nothing along that was for one hop.
pub fn passage(bytes: &[u8]) {
    let Some((mut head, _)) = whole(bytes) else { return };
    let Ok(framing) = Framing::of_request(&head) else { return };
    let host = head.fields.get(Id::Host).unwrap_or_default().to_vec();
    if !route::is_host(&host) {
        return;
    }
    let mut rng = Rng::new(bytes.len() as u64);
    headers::strip_hop_by_hop(&mut head.fields);
    head.fields.remove(Id::Host);
    head.fields.remove(Id::Expect);
    headers::request_id(&mut head.fields, &mut rng);
    let client = ClientText::new(std::net::IpAddr::from([127, 0, 0, 1]));
    headers::forwarded(&mut head.fields, &client, &host, false);
    let (context, _) = headers::take_trace(&mut head.fields, &mut rng);
    head.fields.push(b"traceparent", &context.encode());
    headers::join_cookies(&mut head.fields);
    for hop in [Id::Connection, Id::KeepAlive, Id::ProxyConnection, Id::Te, Id::TransferEncoding, Id::Upgrade]
    {
        assert!(!head.fields.has(hop), "{hop:?} goes on");
    }
    head.fields.push(b"host", &host);
    if framing == Framing::Chunked {
        head.fields.push(b"transfer-encoding", b"chunked");
    }
    let text = written(&head);
    let parsed = RequestHead::parse(&text, usize::MAX, 2 * FIELDS_MAX);
    let Ok(Parsed::Whole(after, length)) = parsed else {
        panic!("what is sent on is refused: {}", text.escape_ascii());
    };
    assert_eq!((length, Framing::of_request(&after)), (text.len(), Ok(framing)), "{}", text.escape_ascii());
    assert_eq!(lines(&after.fields), lines(&head.fields));
}

#[cfg(test)]
mod tests {
    /// Plays what is kept of a target.
    fn play(target: &str, check: fn(&[u8])) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let mut played = 0;
        for entry in std::fs::read_dir(&folder).expect("a corpus").flatten() {
            #[allow(clippy::disallowed_methods, reason = "the corpus is in files")]
            check(&std::fs::read(entry.path()).expect("a file"));
            played += 1;
        }
        assert!(played > 0, "nothing is kept in {}", folder.display());
    }

    #[test]
    fn what_fuzzing_found_holds() {
        play("request_head", super::request_head);
        play("answer_head", super::answer_head);
        play("chunks", super::chunks);
        play("routes", super::routes);
        play("passage", super::passage);
    }
}
