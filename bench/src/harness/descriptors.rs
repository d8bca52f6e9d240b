//! Thousands of connections take as many file descriptors, here and in every system, which inherits
//! this program's limit.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Error, Result};

/// Sees to it that this program and what it starts may have `needed` descriptors each.
pub fn allow(needed: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|error| Error::new("read the limit of open descriptors", error))?;
    let Some((soft, hard)) = raised(soft, hard, needed) else { return Ok(()) };
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(|error| refused(error, needed))
}

/// The limits to ask for; none if they will do. Going beyond the hard one takes a privilege.
fn raised(soft: u64, hard: u64, needed: u64) -> Option<(u64, u64)> {
    (soft < needed).then(|| (needed, hard.max(needed)))
}

fn refused(error: Errno, needed: u64) -> Error {
    Error::new(
        format!(
            "open {needed} descriptors a process; run as root, raise `ulimit -Hn`, or take fewer connections"
        ),
        error,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_only_rises_and_only_as_far_as_needed() {
        assert_eq!(raised(1024, 4096, 512), None);
        assert_eq!(raised(1024, 4096, 2048), Some((2048, 4096)));
        assert_eq!(raised(1024, 4096, 8192), Some((8192, 8192)));
    }
}
