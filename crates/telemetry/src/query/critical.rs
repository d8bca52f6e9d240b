//! The critical path of a trace: where the time went that its first span took. What is shorter there makes the whole shorter.
//!
//! From the end backwards, as in "CRISP: Critical Path Analysis of Large-Scale Microservice Architectures" (Zhang et al., USENIX ATC
//! 2022): of what a span caused, that which ended last is where it waited; before that began, the one that ended last before it.
//! What is left is the span's own time. Spans that go on after the one that caused them hold nobody up, and are not on it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::part::entry;
use crate::span::Span;

/// Deepest chain of causes that is followed.
const DEPTH_MAX: usize = 512;

/// A stretch of the critical path: the own time of one span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// Whose.
    #[serde(serialize_with = "hexadecimal")]
    pub span_id: [u8; 8],
    /// When it begins, in nanoseconds from the beginning of the trace.
    pub offset_ns: u64,
    /// How long it is.
    pub duration_ns: u64,
}

/// The path, from the first stretch to the last. `start_ns` is when the trace began.
pub(super) fn path(spans: &[Arc<Span>], start_ns: u64) -> Vec<Stretch> {
    let mut caused: HashMap<[u8; 8], Vec<&Span>> = HashMap::new();
    for span in spans {
        if let Some(parent) = span.parent {
            caused.entry(parent).or_default().push(span);
        }
    }
    for all in caused.values_mut() {
        all.sort_unstable_by_key(|span| std::cmp::Reverse(span.end_ns()));
    }
    let mut walk = Walk { caused, path: Vec::new(), start_ns };
    if let Some(first) = entry(spans.iter()) {
        walk.back(first, first.end_ns(), 0);
    }
    walk.path.reverse();
    walk.path
}

struct Walk<'s> {
    /// Of each span what it caused, that which ended last first. Taken out when it is walked: a circle of causes ends.
    caused: HashMap<[u8; 8], Vec<&'s Span>>,
    path: Vec<Stretch>,
    start_ns: u64,
}

impl<'s> Walk<'s> {
    /// From `to_ns`, the end of `span` or earlier, back to its beginning.
    fn back(&mut self, span: &'s Span, to_ns: u64, depth: usize) {
        let mut at_ns = to_ns;
        let caused = self.caused.remove(&span.span_id).unwrap_or_default();
        for child in caused.into_iter().filter(|_| depth < DEPTH_MAX) {
            if child.end_ns() <= at_ns && child.start_ns >= span.start_ns {
                self.own(span, child.end_ns(), at_ns);
                self.back(child, child.end_ns(), depth + 1);
                at_ns = child.start_ns;
            }
        }
        self.own(span, span.start_ns, at_ns);
    }

    fn own(&mut self, span: &Span, from_ns: u64, to_ns: u64) {
        if to_ns > from_ns {
            let offset_ns = from_ns.saturating_sub(self.start_ns);
            self.path.push(Stretch { span_id: span.span_id, offset_ns, duration_ns: to_ns - from_ns });
        }
    }
}

fn hexadecimal<S: Serializer>(bytes: &[u8; 8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;
    use proptest::prelude::*;

    fn made(id: u8, parent: Option<u8>, start_ns: u64, end_ns: u64) -> Arc<Span> {
        let parent = parent.map(|id| [id; 8]);
        Arc::new(Span {
            span_id: [id; 8],
            parent,
            start_ns,
            duration_ns: end_ns.saturating_sub(start_ns),
            ..span()
        })
    }

    fn told(spans: &[Arc<Span>]) -> Vec<(u8, u64, u64)> {
        path(spans, 0).iter().map(|one| (one.span_id[0], one.offset_ns, one.duration_ns)).collect()
    }

    #[test]
    fn the_last_to_end_is_waited_for() {
        let spans = [
            made(1, None, 0, 100),
            made(2, Some(1), 10, 40),
            made(3, Some(1), 20, 70),
            made(4, Some(3), 30, 60),
            made(5, Some(1), 80, 90),
            made(6, Some(1), 80, 500),
        ];
        let wanted =
            [(1, 0, 20), (3, 20, 10), (4, 30, 30), (3, 60, 10), (1, 70, 10), (5, 80, 10), (1, 90, 10)];
        assert_eq!(told(&spans), wanted);
    }

    proptest! {
        /// However odd the spans are, stretches follow each other and come to no more than the first span took.
        #[test]
        fn stretches_do_not_overlap(
            spans in prop::collection::vec((0_u8..8, prop::option::of(0_u8..8), 0_u64..100, 0_u64..100), 1..12),
        ) {
            let mut spans: Vec<_> = spans.into_iter().map(|(id, parent, start, took)| made(id, parent, start, start + took)).collect();
            let first = made(99, None, 0, 200);
            spans.push(first);
            let path = told(&spans);
            prop_assert!(path.windows(2).all(|pair| pair[0].1 + pair[0].2 <= pair[1].1), "{:?}", path);
            prop_assert!(path.iter().map(|one| one.2).sum::<u64>() <= 200);
        }
    }
}
