//! The wall between the policies' [`Time`] and the machine's clock: one origin for all cores.

use std::sync::OnceLock;
use std::time::Instant;

use policy::Time;

/// Now, in nanoseconds since the process first asked (plus one, so that it is never zero).
pub(crate) fn now() -> Time {
    Time::from_nanos(origin().elapsed().as_nanos() as u64 + 1)
}

/// The instant of a policy time, for timers.
pub(crate) fn instant(at: Time) -> tokio::time::Instant {
    (origin() + std::time::Duration::from_nanos(at.as_nanos())).into()
}

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[allow(clippy::disallowed_methods, reason = "the one place where the data plane reads a clock")]
    *ORIGIN.get_or_init(Instant::now)
}
