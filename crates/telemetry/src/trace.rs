//! The `traceparent` header of W3C Trace Context, levels 1 and 2: which trace a request belongs to
//! and which span sent it.
//!
//! `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`: version, trace, parent span, flags. A
//! header that breaks a rule is as good as none: the receiver begins a trace of its own. A future
//! version is read by the four fields it shares with this one and passed on as version 00.

/// Where a request stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace: all requests that one request caused. Not all zero.
    pub trace_id: [u8; 16],
    /// The span that sends the request. Not all zero.
    pub span_id: [u8; 8],
    /// [`SAMPLED`] and [`RANDOM`]; other bits are zero.
    pub flags: u8,
}

/// The sender records this trace.
pub const SAMPLED: u8 = 0b01;

/// The trace's id is random, at least in its last 7 bytes (level 2).
pub const RANDOM: u8 = 0b10;

/// The length of a `traceparent`, in bytes.
pub const TRACEPARENT_LEN: usize = 55;

impl TraceContext {
    /// Reads a `traceparent`, without white space around it; none if it breaks a rule.
    pub fn parse(header: &[u8]) -> Option<TraceContext> {
        let (fields, rest) = header.split_first_chunk::<TRACEPARENT_LEN>()?;
        let dashes = fields[2] == b'-' && fields[35] == b'-' && fields[52] == b'-';
        let [version] = decode(&fields[0..2])?;
        let length_is_right = rest.is_empty() || (version > VERSION && rest[0] == b'-');
        if !dashes || version == VERSION_FORBIDDEN || !length_is_right {
            return None;
        }
        let trace_id: [u8; 16] = decode(&fields[3..35])?;
        let span_id: [u8; 8] = decode(&fields[36..52])?;
        let [flags] = decode(&fields[53..55])?;
        let named = trace_id != [0; 16] && span_id != [0; 8];
        named.then_some(TraceContext { trace_id, span_id, flags: flags & (SAMPLED | RANDOM) })
    }

    /// The beginning of a trace. `random` becomes its ids.
    pub fn root(random: [u64; 3], sampled: bool) -> TraceContext {
        let [high, low, span] = random;
        let low = if high == 0 { not_zero(low) } else { low };
        let trace = (u128::from(high) << 64) | u128::from(low);
        TraceContext {
            trace_id: trace.to_be_bytes(),
            span_id: not_zero(span).to_be_bytes(),
            flags: if sampled { SAMPLED | RANDOM } else { RANDOM },
        }
    }

    /// A span of its own within the same trace. `random` becomes its id.
    pub fn child(&self, random: u64) -> TraceContext {
        TraceContext { span_id: not_zero(random).to_be_bytes(), ..*self }
    }

    /// Whether the sender records this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The `traceparent` to send, in ASCII.
    pub fn encode(&self) -> [u8; TRACEPARENT_LEN] {
        let mut header = [b'-'; TRACEPARENT_LEN];
        encode(&[VERSION], &mut header[0..2]);
        encode(&self.trace_id, &mut header[3..35]);
        encode(&self.span_id, &mut header[36..52]);
        encode(&[self.flags], &mut header[53..55]);
        header
    }
}

const VERSION: u8 = 0;
const VERSION_FORBIDDEN: u8 = 0xff;

/// An id of all zeros is invalid; one in 2^64 random ones is that.
fn not_zero(random: u64) -> u64 {
    random.max(1)
}

fn encode(bytes: &[u8], hex: &mut [u8]) {
    for (byte, digits) in bytes.iter().zip(hex.chunks_exact_mut(2)) {
        digits.copy_from_slice(&DIGITS[usize::from(*byte)]);
    }
}

/// Reads `2 * N` lower-case digits. Checks once at the end: a digit that isn't one sets a high bit.
fn decode<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut seen = 0;
    for (digits, byte) in hex.chunks_exact(2).zip(&mut bytes) {
        let (high, low) = (VALUES[usize::from(digits[0])], VALUES[usize::from(digits[1])]);
        seen |= high | low;
        *byte = (high << 4) | (low & 0xf);
    }
    (seen & NOT_A_DIGIT == 0).then_some(bytes)
}

const NOT_A_DIGIT: u8 = 0x80;

/// The two digits of each byte.
static DIGITS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    table
};

/// The value of each lower-case digit.
static VALUES: [u8; 256] = {
    let mut table = [NOT_A_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(header: &str) -> Option<TraceContext> {
        TraceContext::parse(header.as_bytes())
    }

    #[test]
    fn reads_the_example_of_the_recommendation() {
        let context = parse(HEADER).unwrap();
        assert_eq!(context.trace_id[..3], [0x4b, 0xf9, 0x2f]);
        assert_eq!(context.span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        assert!(context.is_sampled());
        assert_eq!(context.encode(), HEADER.as_bytes());
    }

    #[test]
    fn refuses_what_breaks_a_rule() {
        let bad = [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "FF-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01a",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-012",
        ];
        for header in bad {
            assert_eq!(parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_future_version_is_read_by_what_it_shares() {
        let same = parse(HEADER);
        assert_eq!(parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), same);
        assert_eq!(parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-else"), same);
    }

    #[test]
    fn unknown_flags_are_not_passed_on() {
        let context = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe").unwrap();
        assert_eq!((context.flags, context.is_sampled()), (RANDOM, false));
    }

    #[test]
    fn chance_cannot_make_an_invalid_id() {
        let root = TraceContext::root([0, 0, 0], true);
        assert_eq!(TraceContext::parse(&root.encode()), Some(root));
        let child = root.child(0);
        assert_eq!(TraceContext::parse(&child.encode()), Some(child));
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(random: [u64; 3], span: u64, sampled: bool) {
            let root = TraceContext::root(random, sampled);
            let child = root.child(span);
            prop_assert_eq!(child.trace_id, root.trace_id);
            prop_assert_eq!(child.is_sampled(), sampled);
            prop_assert_eq!(TraceContext::parse(&root.encode()), Some(root));
            prop_assert_eq!(TraceContext::parse(&child.encode()), Some(child));
        }

        #[test]
        fn one_wrong_byte_is_no_panic(at in 0_usize..55, byte: u8, cut in 0_usize..60) {
            let mut header = HEADER.as_bytes().to_vec();
            header[at] = byte;
            header.truncate(cut);
            let text_is_clean = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte) || byte == b'-';
            let read = TraceContext::parse(&header);
            prop_assert!(read.is_none() || (cut >= 55 && text_is_clean));
        }

        #[test]
        fn any_bytes_are_no_panic(header in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(TraceContext::parse(&header), None);
        }
    }
}
