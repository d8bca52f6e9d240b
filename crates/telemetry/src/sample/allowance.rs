//! How much may be written a second, for the window to reach as far back as it shall.
//!
//! What the window holds, divided by how long it shall reach back, comes in every second; what is not used is saved, up to a
//! quarter of the window, and spent over the next ten minutes. So a system that was just started, or has little to do, keeps all
//! there is, and one that is busy for hours keeps a share. What must be kept is charged, too.

/// The saving that all begin with, and the most of it, as a share of the window.
const SAVED_MAX: f64 = 0.25;
/// Over how many seconds savings are spent.
const SPENT_OVER_S: f64 = 600.0;
/// Errors and the slow are kept whole until they alone would fill the window in so many seconds.
const MUST_FILL_S: f64 = 600.0;
/// What a span takes on the disk for each byte in memory, until that is known.
const PACKED: f64 = 0.12;

/// In bytes on the disk.
#[derive(Debug)]
pub(super) struct Allowance {
    window: f64,
    a_second: f64,
    saved: f64,
    packed: f64,
}

impl Allowance {
    pub(super) fn new(window_bytes: u64, window_s: u64) -> Allowance {
        let window = window_bytes as f64;
        let a_second = window / window_s.max(1) as f64;
        Allowance { window, a_second, saved: window * SAVED_MAX, packed: PACKED }
    }

    /// So many bytes in memory became so many on the disk.
    pub(super) fn written(&mut self, memory: usize, disk: usize) {
        if memory > 0 {
            let packed = disk as f64 / memory as f64;
            self.packed += 0.1 * (packed.clamp(0.005, 2.0) - self.packed);
        }
        self.saved = (self.saved - disk as f64).max(0.0);
    }

    /// A second is over.
    pub(super) fn settle(&mut self) {
        self.saved = (self.saved + self.a_second).min(self.window * SAVED_MAX);
    }

    /// What may be kept a second of what need not be, in bytes in memory.
    pub(super) fn rest(&self) -> f64 {
        (self.saved / SPENT_OVER_S).max(self.a_second * 0.1) / self.packed
    }

    /// The same for errors and the slow.
    pub(super) fn must(&self) -> f64 {
        self.window / MUST_FILL_S / self.packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;

    #[test]
    fn a_day_of_load_fits_the_window() {
        let window = 512 << 20;
        let mut allowance = Allowance::new(window, DAY_S);
        let mut written = 0.0;
        for _ in 0..DAY_S {
            let memory = allowance.rest();
            let disk = memory * 0.12;
            allowance.written(memory as usize, disk as usize);
            allowance.settle();
            written += disk;
        }
        let share = written / window as f64;
        assert!((1.0..1.3).contains(&share), "the saving of a quarter included: {share}");
    }

    #[test]
    fn who_has_just_started_keeps_much() {
        let allowance = Allowance::new(512 << 20, DAY_S);
        assert!(allowance.rest() > 200.0 * 1_000.0 / PACKED);
        assert!(allowance.must() > allowance.rest());
    }
}
