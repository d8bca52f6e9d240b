//! Sleeps until the next arrival is due, more finely than the runtime's own timer.
//!
//! The runtime's timer counts in whole milliseconds and rounds up, which would add half a
//! millisecond to every latency counted from the intended send time. On Linux a timer descriptor
//! in the runtime's own poll wakes it within some tens of microseconds instead.

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
mod fine {
    use std::os::fd::{AsFd, AsRawFd, RawFd};

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::unix::AsyncFd;

    use super::{Instant, io};

    /// A timer descriptor that the runtime polls.
    pub(crate) struct Pacer(AsyncFd<Timer>);

    /// Lends its descriptor, which the timer itself does only as a borrowed one.
    struct Timer(TimerFd);

    impl AsRawFd for Timer {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Pacer {
        /// Must be called on the runtime.
        pub(crate) fn new() -> io::Result<Pacer> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            // SAFETY: the timer owns its descriptor, which stays the same and open as long as it is registered.
            let timer = unsafe { AsyncFd::register(Timer(timer)) };
            Ok(Pacer(timer.map_err(|refused| refused.into_parts().1)?))
        }

        /// Returns at `due` or a little later; at once when it has passed.
        pub(crate) async fn until(&mut self, due: Instant) -> io::Result<()> {
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            let once = Expiration::OneShot(TimeSpec::from_duration(wait));
            self.0.get_ref().0.set(once, TimerSetTimeFlags::empty())?;
            loop {
                let mut ready = self.0.readable().await?;
                match self.0.get_ref().0.wait() {
                    Ok(()) => return Ok(()),
                    Err(nix::errno::Errno::EAGAIN) => ready.clear_ready(),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod fine {
    use super::{Instant, io};

    /// The runtime's own timer.
    pub(crate) struct Pacer;

    impl Pacer {
        pub(crate) fn new() -> io::Result<Pacer> {
            Ok(Pacer)
        }

        pub(crate) async fn until(&mut self, due: Instant) -> io::Result<()> {
            tokio::time::sleep_until(due.into()).await;
            Ok(())
        }
    }
}

pub(crate) use fine::Pacer;
