//! Keeps each core's thread on a CPU of its own.
//!
//! Left alone, the kernel at times runs two of these threads on one CPU while another has less to do,
//! and what waits in the queue of one of them waits for milliseconds. Where there are other than one
//! thread a CPU, or only one, the kernel knows better.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Puts the calling thread, the `index`th of `threads`, on its CPU. A thread that cannot be put
/// there runs anywhere.
pub(crate) fn pin(index: usize, threads: usize) {
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else { return };
    let allowed: Vec<usize> =
        (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let mut own = CpuSet::new();
    if let Some(cpu) = place(&allowed, index, threads)
        && own.set(cpu).is_ok()
    {
        let _ = sched_setaffinity(Pid::from_raw(0), &own);
    }
}

/// The CPU for a thread. None: anywhere.
fn place(allowed: &[usize], index: usize, threads: usize) -> Option<usize> {
    let one_each = threads > 1 && threads == allowed.len();
    if one_each { allowed.get(index).copied() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_a_cpu_of_its_own_where_there_is_one_for_each() {
        assert_eq!([0, 1].map(|index| place(&[4, 6], index, 2)), [Some(4), Some(6)]);
        assert_eq!(place(&[0, 1, 2, 3], 1, 2), None);
        assert_eq!(place(&[0], 0, 2), None);
        assert_eq!(place(&[3], 0, 1), None);
    }

    #[test]
    fn a_pinned_thread_stays_where_it_was_put() {
        let seen = std::thread::spawn(|| {
            let free = sched_getaffinity(Pid::from_raw(0)).expect("known");
            let cpus = (0..CpuSet::count()).filter(|cpu| free.is_set(*cpu) == Ok(true)).count();
            pin(0, cpus);
            let pinned = sched_getaffinity(Pid::from_raw(0)).expect("known");
            (cpus, (0..CpuSet::count()).filter(|cpu| pinned.is_set(*cpu) == Ok(true)).count())
        });
        let (before, after) = seen.join().expect("ended");
        assert_eq!(after, 1, "of {before}");
    }
}
