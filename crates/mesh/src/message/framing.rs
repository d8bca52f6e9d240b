//! Where a body ends (RFC 9112 section 6), and its bytes without the framing.

use bytes::{Buf, BytesMut};

use super::fields::{Fields, Id};
use super::head::{AnswerHead, RequestHead, Version};

/// Most bytes of chunk extensions in a body: nobody uses them but to flood.
const EXTENSION_BYTES_MAX: usize = 4 << 10;
/// Most bytes of trailers.
const TRAILER_BYTES_MAX: usize = 16 << 10;
/// Most trailers.
const TRAILERS_MAX: usize = 64;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

impl Framing {
    /// Of a request.
    ///
    /// # Errors
    /// Why its end is doubtful.
    pub(crate) fn of_request(head: &RequestHead) -> Result<Framing, &'static str> {
        let length = content_length(&head.fields)?;
        if head.fields.all(Id::ContentLength).any(|digits| digits.len() > 1 && digits[0] == b'0') {
            // Somebody further on may read eight in "010".
            return Err("`Content-Length` begins with a zero");
        }
        match (is_chunked(&head.fields)?, length) {
            (true, Some(_)) => Err("the request has both `Transfer-Encoding` and `Content-Length`"),
            (true, None) if head.version == Version::Http10 => Err("HTTP/1.0 has no `Transfer-Encoding`"),
            (true, None) => Ok(Framing::Chunked),
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }

    /// Of the answer to a request.
    ///
    /// # Errors
    /// Why its end is doubtful.
    pub(crate) fn of_answer(head: &AnswerHead, to_head: bool) -> Result<Framing, &'static str> {
        let length = content_length(&head.fields)?;
        if to_head || head.status < 200 || matches!(head.status, 204 | 304) {
            return Ok(Framing::None);
        }
        match (is_chunked(&head.fields)?, length) {
            (true, _) if head.version == Version::Http10 => Err("HTTP/1.0 has no `Transfer-Encoding`"),
            (true, Some(_)) => Err("it has both `Transfer-Encoding` and `Content-Length`"),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::Close),
        }
    }

    /// Checks that an interim answer, which has no body, does not say that it has one (RFC 9110 section 8.6, RFC
    /// 9112 section 6.1): who believes it takes the answer for the body.
    ///
    /// # Errors
    /// Why its end is doubtful.
    pub(crate) fn check_interim(head: &AnswerHead) -> Result<(), &'static str> {
        let empty = matches!(content_length(&head.fields)?, None | Some(0));
        match empty && !head.fields.has(Id::TransferEncoding) {
            true => Ok(()),
            false => Err("an interim answer (1xx) says that it has a body"),
        }
    }
}

fn content_length(fields: &Fields) -> Result<Option<u64>, &'static str> {
    let mut found = None;
    for value in fields.all(Id::ContentLength) {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err("`Content-Length` is not a number");
        }
        let digits = std::str::from_utf8(value).unwrap_or("");
        let length: u64 = digits.parse().map_err(|_| "`Content-Length` is too large")?;
        if found.replace(length).is_some() {
            return Err("there is more than one `Content-Length`");
        }
    }
    Ok(found)
}

fn is_chunked(fields: &Fields) -> Result<bool, &'static str> {
    let mut codings = fields.all(Id::TransferEncoding);
    let Some(coding) = codings.next() else { return Ok(false) };
    match coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
        true => Ok(true),
        false => Err("the body has a transfer coding other than `chunked`; send it as `Content-Encoding`"),
    }
}

/// Takes the framing off a body as it comes.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    extension_bytes: usize,
    trailer_text: Vec<u8>,
    trailers: Option<Fields>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Length {
        left: u64,
    },
    Close,
    Size {
        size: u64,
        digits: u32,
    },
    /// White space after the size.
    SizeEnd {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// A chunked body that breaks its rules, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Decoder {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Size { size: 0, digits: 0 },
            Framing::Close => State::Close,
        };
        Decoder { state, extension_bytes: 0, trailer_text: Vec::new(), trailers: None }
    }

    /// Whether the whole body has been seen.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Length { left: 0 })
    }

    /// What is left of a body whose length was told.
    pub(crate) fn length(&self) -> Option<u64> {
        match self.state {
            State::Length { left } => Some(left),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// Whether the end of the connection is the end of the body.
    pub(crate) fn ends_by_close(&self) -> bool {
        self.state == State::Close
    }

    /// Moves the body's bytes from `inbox` to `out`, at most `max`, until more is needed or it is done.
    pub(crate) fn decode(
        &mut self,
        inbox: &mut BytesMut,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), Malformed> {
        let mut room = max;
        while !inbox.is_empty() && room > 0 && !self.is_done() {
            match &mut self.state {
                State::Length { left } => room -= copy(left, inbox, out, room),
                State::Data { left } => {
                    room -= copy(left, inbox, out, room);
                    if *left == 0 {
                        self.state = State::DataCr;
                    }
                }
                State::Close => {
                    let mut left = u64::MAX;
                    room -= copy(&mut left, inbox, out, room);
                }
                State::Trailers => self.trailers(inbox)?,
                _ => {
                    let byte = inbox.get_u8();
                    self.step(byte)?;
                }
            }
        }
        Ok(())
    }

    /// One byte of the framing.
    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.state = match (self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                // Sixteen digits fill 64 bits.
                if digits == 16 {
                    return Err(Malformed("the size of a chunk is too large"));
                }
                let digit = u64::from((byte as char).to_digit(16).unwrap_or(0));
                State::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(Malformed(BAD_SIZE)),
            (State::Size { size, .. } | State::SizeEnd { size } | State::Extension { size }, b'\r') => {
                State::SizeLf { size }
            }
            (State::Size { size, .. } | State::SizeEnd { size }, b';') => State::Extension { size },
            (State::Size { size, .. } | State::SizeEnd { size }, b' ' | b'\t') => State::SizeEnd { size },
            (State::Extension { size }, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err(Malformed("the chunks have too many extensions"));
                }
                State::Extension { size }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailers,
            (State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            (State::DataCr | State::DataLf, _) => {
                return Err(Malformed("a chunk does not end in CR LF where its size says"));
            }
            (State::Extension { .. } | State::SizeLf { .. }, _) => {
                return Err(Malformed("the line with the size of a chunk does not end in CR LF"));
            }
            _ => return Err(Malformed(BAD_SIZE)),
        };
        Ok(())
    }

    /// Lines up to an empty one, as strict as those of a head: what is taken for a trailer here would be
    /// a request to a server that takes a bare LF for an end.
    fn trailers(&mut self, inbox: &mut BytesMut) -> Result<(), Malformed> {
        while !inbox.is_empty() {
            let byte = inbox.get_u8();
            if (self.trailer_text.last() == Some(&b'\r')) != (byte == b'\n') {
                return Err(Malformed("a line of the trailers does not end in CR LF"));
            }
            self.trailer_text.push(byte);
            if self.trailer_text == b"\r\n" {
                self.state = State::Done;
                return Ok(());
            }
            if self.trailer_text.ends_with(b"\r\n\r\n") {
                self.trailers = useful_trailers(&parse_trailers(&self.trailer_text)?);
                self.state = State::Done;
                return Ok(());
            }
            if self.trailer_text.len() > TRAILER_BYTES_MAX {
                return Err(Malformed("there are more than 16 KiB of trailers"));
            }
        }
        Ok(())
    }

    /// The trailers of a body that is done, if it has any that a receiver may use (RFC 9110 section 6.5.1:
    /// none that frame or route).
    pub(crate) fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}

/// What is wrong with what should be the size of a chunk.
const BAD_SIZE: &str = "the size of a chunk is not a hexadecimal number";

fn parse_trailers(text: &[u8]) -> Result<Fields, Malformed> {
    let mut room = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    match httparse::parse_headers(text, &mut room) {
        Ok(httparse::Status::Complete((length, found))) if length == text.len() => {
            let mut fields = Fields::default();
            found.iter().for_each(|field| fields.push(field.name.as_bytes(), field.value));
            Ok(fields)
        }
        Err(httparse::Error::TooManyHeaders) => Err(Malformed("there are more than 64 trailers")),
        _ => Err(Malformed("a trailer is not a valid field")),
    }
}

/// Those that a receiver may use after the body.
pub(crate) fn useful_trailers(all: &Fields) -> Option<Fields> {
    let mut fields = Fields::default();
    let useful = all.iter().filter(|(id, _, _)| matches!(id, Id::Other | Id::GrpcStatus));
    useful.for_each(|(_, name, value)| fields.push(name, value));
    (!fields.is_empty()).then_some(fields)
}

/// Moves at most `left` and `room` bytes; returns how many.
fn copy(left: &mut u64, inbox: &mut BytesMut, out: &mut Vec<u8>, room: usize) -> usize {
    let count = inbox.len().min(room).min(usize::try_from(*left).unwrap_or(usize::MAX));
    out.extend_from_slice(&inbox[..count]);
    inbox.advance(count);
    *left -= count as u64;
    count
}

/// Writes a chunk.
pub(crate) fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    use std::io::Write;
    let _ = write!(out, "{:x}\r\n", data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Writes the end of a chunked body.
pub(crate) fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.write(out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::head::Parsed;
    use proptest::prelude::*;

    fn request(lines: &str) -> Result<Framing, &'static str> {
        let text = format!("POST / HTTP/1.1\r\n{lines}\r\n");
        match RequestHead::parse(text.as_bytes(), 8192, 20) {
            Ok(Parsed::Whole(head, _)) => Framing::of_request(&head),
            _ => panic!("{text}"),
        }
    }

    fn decode(framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, Decoder), Malformed> {
        let (mut decoder, mut out, mut inbox) = (Decoder::new(framing), Vec::new(), BytesMut::new());
        for piece in pieces {
            inbox.extend_from_slice(piece);
            decoder.decode(&mut inbox, &mut out, usize::MAX)?;
        }
        Ok((out, decoder))
    }

    #[test]
    fn a_request_has_one_end() {
        assert_eq!(request(""), Ok(Framing::None));
        assert_eq!(request("Content-Length: 0\r\n"), Ok(Framing::None));
        assert_eq!(request("Content-Length: 3\r\n"), Ok(Framing::Length(3)));
        assert_eq!(request("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        for doubtful in [
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 03\r\n",
            "Content-Length: 3, 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            assert!(request(doubtful).is_err(), "{doubtful}");
        }
    }

    #[test]
    fn chunks_become_a_body_and_trailers_fields() {
        let text = b"3;x=1\r\nabc\r\n00a \r\n0123456789\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n";
        let (body, mut decoder) = decode(Framing::Chunked, &[text]).unwrap();
        assert_eq!(body, b"abc0123456789");
        assert!(decoder.is_done());
        let trailers = decoder.take_trailers().expect("some");
        assert_eq!(trailers.named("x-sum"), Some(&b"1"[..]));
        assert_eq!(trailers.iter().count(), 1, "what frames is no trailer");
    }

    #[test]
    fn broken_chunks_are_refused() {
        let endless = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(EXTENSION_BYTES_MAX + 1));
        for text in [
            "x\r\n",
            "\r\n",
            "-1\r\na",
            "0x1\r\na",
            "1 1\r\na",
            "1\na\r\n",
            "1\r\nab",
            "1\r\na\nb",
            "1;a\nb\r\n",
            "10000000000000000\r\n",
            "1\r\r\na",
            &endless,
        ] {
            assert!(decode(Framing::Chunked, &[text.as_bytes()]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn trailers_are_read_as_strictly_as_a_head() {
        let many: String = (0..=TRAILERS_MAX).map(|nth| format!("A{nth}: 1\r\n")).collect();
        for trailers in [
            "\nGET / HTTP/1.1\r\n\r\n",
            "A: 1\n\r\n",
            "A: 1\n\n",
            "A: 1\r\n\n",
            "A: 1\r\r\n\r\n",
            "A: 1\rB: 2\r\n\r\n",
            "A : 1\r\n\r\n",
            " A: 1\r\n\r\n",
            "A: 1\r\n B: 2\r\n\r\n",
            "A: \0\r\n\r\n",
            ": 1\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            &format!("{many}\r\n"),
        ] {
            let text = format!("1\r\na\r\n0\r\n{trailers}");
            assert!(decode(Framing::Chunked, &[text.as_bytes()]).is_err(), "{trailers:?}");
        }
    }

    proptest! {
        #[test]
        fn how_a_body_is_cut_and_chunked_does_not_matter(
            body in prop::collection::vec(any::<u8>(), 0..300),
            chunks in prop::collection::vec(1_usize..50, 1..20),
            cuts in prop::collection::vec(1_usize..40, 1..20),
            max in 1_usize..100,
        ) {
            let (mut text, mut rest, mut sizes) = (Vec::new(), body.as_slice(), chunks.iter().cycle());
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                write_chunk(&mut text, chunk);
                rest = after;
            }
            write_last_chunk(&mut text, None);
            text.extend_from_slice(b"next");
            let (mut decoder, mut out, mut inbox) = (Decoder::new(Framing::Chunked), Vec::new(), BytesMut::new());
            let (mut rest, mut cuts) = (text.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                inbox.extend_from_slice(piece);
                rest = after;
                loop {
                    let before = out.len();
                    decoder.decode(&mut inbox, &mut out, max).unwrap();
                    prop_assert!(out.len() - before <= max);
                    if out.len() == before { break; }
                }
            }
            prop_assert!(decoder.is_done());
            prop_assert_eq!(out, body);
            prop_assert_eq!(&inbox[..], b"next");
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'1')], 0..100)) {
            let _ = decode(Framing::Chunked, &[&bytes]);
        }
    }
}
