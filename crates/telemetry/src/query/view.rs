//! What a query sees: what is in memory, and the blocks on the disk with what is known of each without reading it.

use std::sync::Arc;

use crate::part::{KeptLog, Part};
use crate::window::{Block, Reader};

/// At one moment.
pub(crate) struct View {
    /// Parts that are not on the disk in their block, those of traces that are not decided on included.
    pub(crate) parts: Vec<Part>,
    /// Records that are not.
    pub(crate) logs: Vec<Arc<KeptLog>>,
    /// Blocks of spans, in no order.
    pub(crate) spans: Vec<Arc<Block>>,
    /// Blocks of records, in no order.
    pub(crate) log_blocks: Vec<Arc<Block>>,
    /// Reads them.
    pub(crate) reader: Arc<Reader>,
    /// Most spans or records to look at.
    pub(crate) looked_at_max: usize,
}

impl View {
    /// All parts of a trace, wherever they are.
    pub(crate) fn parts_of(&self, trace_id: &[u8; 16]) -> Vec<Part> {
        let mut parts: Vec<Part> =
            self.parts.iter().filter(|part| part.trace_id == *trace_id).cloned().collect();
        for block in self.spans.iter().filter(|block| block.zone.may_have(trace_id)) {
            let there = self.reader.parts(block);
            parts.extend(there.iter().filter(|part| part.trace_id == *trace_id).cloned());
        }
        parts
    }
}
