//! The wall between the policies' [`Time`] and the machine's clock: one origin for all cores.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

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

/// What added to [`now`] makes nanoseconds since 1970. The time of day may be put forward or back, so it is looked up
/// every now and then.
pub(crate) fn wall() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "the one place where the data plane reads the time of day")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_nanos() as u64).saturating_sub(now().as_nanos())
}

/// The value of a `Date` field (RFC 9110 section 6.6.1).
pub(crate) fn http_date() -> String {
    #[allow(clippy::disallowed_methods, reason = "the one place where the data plane reads the time of day")]
    httpdate::fmt_http_date(SystemTime::now())
}
