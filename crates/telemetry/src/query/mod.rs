//! What can be asked of what is kept: traces and records of logs by what they have, a trace whole by its id, how many took how
//! long when, who calls whom.
//!
//! Newest first, a page at a time: `next` of a page is `before` of the following one. A query looks at so much and no more; that
//! it was cut is said (`cut`), and what was found till then is given.

mod critical;
pub mod filter;
pub mod heat;
pub mod logs;
pub mod parameters;
pub mod services;
mod summary;
pub mod traces;
mod view;
mod walk;

pub use critical::Stretch;
pub use filter::{Condition, Is};
pub use heat::{Heat, HeatQuery};
pub use logs::{LogQuery, Logs};
pub use services::{Edge, Quantiles, ServiceStats, Services};
pub use summary::{Trace, TraceSummary};
pub use traces::{TraceQuery, Traces};
pub(crate) use view::View;

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::window::Zone;

/// Most traces or records on a page.
pub const LIMIT_MAX: usize = 1_000;
/// How many are on a page unless it is said.
pub const LIMIT: usize = 50;
/// Most spans or records that a query looks at.
pub(crate) const LOOKED_AT_MAX: usize = 1_000_000;

/// A place in the order of traces or records: before it, everything is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Which of those at that time: a trace's id, or a record's number.
    pub which: u128,
}

impl Cursor {
    pub(crate) const END: Cursor = Cursor { at_ns: u64::MAX, which: u128::MAX };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.at_ns, self.which)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        let wrong = || format!("`{text}` is no place in a list: take `next` of the page before");
        let (at_ns, which) = text.split_once('-').ok_or_else(wrong)?;
        let at_ns = at_ns.parse().map_err(|_| wrong())?;
        Ok(Cursor { at_ns, which: u128::from_str_radix(which, 16).map_err(|_| wrong())? })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A stretch of time, in nanoseconds since 1970, of which the end does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// From here on.
    pub from_ns: u64,
    /// Up to here.
    pub to_ns: u64,
}

impl Default for Range {
    fn default() -> Range {
        Range { from_ns: 0, to_ns: u64::MAX }
    }
}

impl Range {
    pub(crate) fn has(&self, at_ns: u64) -> bool {
        (self.from_ns..self.to_ns).contains(&at_ns)
    }

    /// Whether anything of a block may be in it.
    fn overlaps(&self, zone: &Zone) -> bool {
        zone.to_ns >= self.from_ns && zone.from_ns < self.to_ns
    }
}

#[cfg(test)]
mod tests;
