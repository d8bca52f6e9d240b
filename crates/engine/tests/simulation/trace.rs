//! What was done last, for whoever looks for what went wrong.

use std::cell::RefCell;
use std::collections::VecDeque;

/// The last steps of a simulation.
#[derive(Default)]
pub struct Trace {
    lines: RefCell<VecDeque<String>>,
    /// Whether there is anybody to read them: to write them down costs more than the simulation itself.
    is_on: bool,
}

impl Trace {
    /// One that keeps what it is told, or does not.
    pub fn new(is_on: bool) -> Trace {
        Trace { is_on, ..Trace::default() }
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if !self.is_on {
            return;
        }
        let mut lines = self.lines.borrow_mut();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(what().chars().take(LINE_CHARS_MAX).collect());
    }

    /// All of them, the last one last.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().iter().cloned().collect()
    }
}

const LINES_MAX: usize = 60;
const LINE_CHARS_MAX: usize = 400;
