//! What must hold of any bytes that are sent as OTLP, for the fuzz target in `fuzz`. The corpus is played by the tests.

use crate::otlp::{Batch, Signal, logs, metrics, to_protobuf, traces};
use crate::series::foreign::Board;
use crate::span::{ATTRIBUTES_MAX, EVENTS_MAX, LINKS_MAX, NAME_BYTES_MAX};
use crate::{LogRecord, Span};

/// Reads the rest of `bytes` as the first of them says, as one of the signals, in protobuf or JSON: nothing panics, nothing is more than it
/// may be, and what was read is the same when it is written and read again.
pub fn otlp(bytes: &[u8]) {
    let Some((form, bytes)) = bytes.split_first() else { return };
    let signal = Signal::ALL[usize::from(form % 3)];
    let read = match form / 3 % 2 {
        0 => Some(bytes.to_vec()),
        _ => to_protobuf(signal, bytes, 1 << 20).ok(),
    };
    let Some(request) = read else { return };
    match signal {
        Signal::Traces => read_spans(&request).iter().for_each(written_and_read),
        Signal::Logs => read_logs(&request).iter().for_each(logged_and_read),
        Signal::Metrics => {
            let board = Board::new(0);
            let taken = metrics(&request, &mut |point| board.take(1, &point)).unwrap_or_default();
            assert!(taken.accepted <= request.len() as u64);
            let mut samples = Vec::new();
            board.samples(1, &mut samples);
            assert!(samples.len() as u64 <= taken.accepted);
        }
    }
}

fn read_spans(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    let _ = traces(request, &mut |span| {
        spans.push(span);
        true
    });
    spans
}

fn read_logs(request: &[u8]) -> Vec<LogRecord> {
    let mut records = Vec::new();
    let _ = logs(request, 1, &mut |log| {
        records.push(log);
        true
    });
    records
}

fn written_and_read(span: &Span) {
    assert!(span.attributes.len() <= ATTRIBUTES_MAX && span.name.len() <= NAME_BYTES_MAX);
    assert!(span.events.len() <= EVENTS_MAX && span.links.len() <= LINKS_MAX);
    let mut batch = Batch::default();
    batch.span(span);
    // By how they look, for a number may be none.
    assert_eq!(format!("{:?}", read_spans(&batch.request())), format!("{:?}", [span]));
}

fn logged_and_read(log: &LogRecord) {
    let mut batch = Batch::default();
    batch.log(log);
    assert_eq!(format!("{:?}", read_logs(&batch.request())), format!("{:?}", [log]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_corpus_holds() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/otlp");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 6);
        files.iter().for_each(|file| otlp(&std::fs::read(file).unwrap()));
    }

    proptest! {
        #[test]
        fn chance_makes_nothing_of_it(form in 0..6_u8, bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            otlp(&[vec![form], bytes].concat());
        }
    }
}
