//! Ctrl-C and SIGTERM end a run in order: every wait looks here, so that what was started is ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::{Error, Result};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on signals are noted instead of ending this process.
pub fn watch() -> Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores to an atomic and does nothing else.
        unsafe { sigaction(signal, &action) }.map_err(|error| Error::new("watch for signals", error))?;
    }
    Ok(())
}

extern "C" fn note(_: i32) {
    ASKED.store(true, Ordering::Relaxed);
}

/// An error once the run was asked to end.
pub fn check() -> Result<()> {
    if ASKED.load(Ordering::Relaxed) {
        Err(Error::say("stopped before the end; nothing was kept"))
    } else {
        Ok(())
    }
}

/// Sleeps a moment between two looks at something.
pub fn pause() -> Result<()> {
    std::thread::sleep(Duration::from_millis(20));
    check()
}
