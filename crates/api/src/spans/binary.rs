//! `grpc-trace-bin`: where a request stands in its trace, as OpenCensus wrote it into the metadata of gRPC and Dapr's runtime and older
//! SDKs still do. A version, zero, then fields with a number each: the trace (0), the span (1), the flags (2). Other fields end it.
//!
//! Source: "BinaryEncoding" of the OpenCensus specifications. Where `traceparent` is there, too, that counts.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderValue};
use telemetry::TraceContext;
use telemetry::trace::SAMPLED;
use tonic::metadata::{AsciiMetadataValue, MetadataMap, MetadataValue};

use super::TRACEPARENT;

/// Its name.
pub(crate) const BINARY: &str = "grpc-trace-bin";

/// Has a request that says its trace in this form only say it as all others do.
pub(crate) fn of_binary(headers: &mut HeaderMap) {
    if headers.contains_key(TRACEPARENT) {
        return;
    }
    let context = headers.get(BINARY).and_then(|value| parse(&BASE64.decode(value.as_bytes()).ok()?));
    if let Some(value) = context.and_then(|context| HeaderValue::from_bytes(&context.encode()).ok()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// The same as the value of a header.
pub(crate) fn binary(context: &TraceContext) -> HeaderValue {
    HeaderValue::try_from(BASE64.encode(bytes(context))).unwrap_or(HeaderValue::from_static(""))
}

/// Has a call say to which trace it belongs, in both of the ways that there are.
pub(crate) fn tell(metadata: &mut MetadataMap, trace: Option<HeaderValue>) {
    let Some(trace) = trace else { return };
    if let Some(context) = TraceContext::parse(trace.as_bytes()) {
        metadata.insert_bin(BINARY, MetadataValue::from_bytes(&bytes(&context)));
    }
    if let Ok(trace) = AsciiMetadataValue::try_from(trace.as_bytes()) {
        metadata.insert(TRACEPARENT, trace);
    }
}

/// The fields.
fn bytes(context: &TraceContext) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[2..18].copy_from_slice(&context.trace_id);
    bytes[18] = 1;
    bytes[19..27].copy_from_slice(&context.span_id);
    (bytes[27], bytes[28]) = (2, context.flags & SAMPLED);
    bytes
}

fn parse(bytes: &[u8]) -> Option<TraceContext> {
    let (version, mut rest) = bytes.split_first()?;
    let (mut trace_id, mut span_id, mut flags) = (None, None, 0);
    while let (0, Some((field, after))) = (*version, rest.split_first()) {
        rest = match field {
            0 => take(after, &mut trace_id)?,
            1 => take(after, &mut span_id)?,
            2 => {
                let (one, after) = after.split_first()?;
                flags = one & SAMPLED;
                after
            }
            _ => break,
        };
    }
    let named = |id: &[u8]| id.iter().any(|byte| *byte != 0);
    let (trace_id, span_id): ([u8; 16], [u8; 8]) = (trace_id?, span_id?);
    (named(&trace_id) && named(&span_id)).then_some(TraceContext { trace_id, span_id, flags })
}

fn take<'b, const N: usize>(from: &'b [u8], to: &mut Option<[u8; N]>) -> Option<&'b [u8]> {
    let (taken, rest) = from.split_first_chunk::<N>()?;
    *to = Some(*taken);
    Some(rest)
}

/// Written without padding, as gRPC's are, and read with it or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const LEN: usize = 29;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::from_iter([(BINARY.parse().unwrap(), HeaderValue::from_static(value))]);
        of_binary(&mut headers);
        headers.get(TRACEPARENT).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let wanted = "00-404142434445464748494a4b4c4d4e4f-6162636465666768-01";
        for value in ["AABAQUJDREVGR0hJSktMTU5PAWFiY2RlZmdoAgE", "AABAQUJDREVGR0hJSktMTU5PAWFiY2RlZmdoAgE="] {
            assert_eq!(said(value).as_deref(), Some(wanted));
        }
        for wrong in ["", "AAE", "AQBAQUJDREVGR0hJSktMTU5PAWFiY2RlZmdoAgE", "not base64"] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(random: [u64; 3], sampled: bool, chance: Vec<u8>, cut in 0_usize..29) {
            let context = TraceContext::root(random, sampled);
            let read = parse(&bytes(&context)).unwrap();
            prop_assert_eq!((read.trace_id, read.span_id), (context.trace_id, context.span_id));
            prop_assert_eq!(read.is_sampled(), sampled);
            let _ = (parse(&chance), parse(&bytes(&context)[..cut]));
        }
    }
}
