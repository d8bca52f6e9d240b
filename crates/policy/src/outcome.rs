//! How a try at an upstream ended, in the terms that policies decide on: was there an answer, and
//! if there was none, could the upstream have seen the request?

use std::time::Duration;

/// How one try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer's head arrived.
    Answered {
        /// Its HTTP status.
        status: u16,
        /// The wait that its `Retry-After` asks for, where it has one.
        retry_after: Option<Duration>,
        /// The status of gRPC, where the head has one: an answer that failed before it began.
        grpc: Option<u16>,
    },
    /// Nothing was sent: no connection could be made, or it was closed before the request was
    /// written.
    NotSent,
    /// The connection was lost after the request was sent, maybe in part, and before the answer's
    /// head.
    Reset,
    /// No answer's head in time.
    TimedOut,
}

impl Outcome {
    /// Whether this speaks of the upstream's ill health: anything but an answer below 500.
    ///
    /// 501 says that a method is not known, which is the caller's doing, and 429 that this caller
    /// is too fast: neither is a failure. A status of gRPC counts as the HTTP status that Envoy's
    /// outlier detection takes it for, which is that of Google's API design guide.
    pub fn is_failure(&self) -> bool {
        match *self {
            Outcome::Answered { status, grpc, .. } => {
                status >= 500 && status != NOT_IMPLEMENTED || grpc.is_some_and(is_grpc_failure)
            }
            Outcome::NotSent | Outcome::Reset | Outcome::TimedOut => true,
        }
    }
}

const NOT_IMPLEMENTED: u16 = 501;

/// Whether a status of gRPC speaks of the upstream's ill health.
///
/// UNKNOWN, INTERNAL and DATA_LOSS are taken for 500, UNAVAILABLE for 503, DEADLINE_EXCEEDED for 504, and
/// what gRPC does not know for 500. RESOURCE_EXHAUSTED is 429 and UNIMPLEMENTED 501.
pub fn is_grpc_failure(status: u16) -> bool {
    matches!(status, 2 | 4 | 13 | 14 | 15 | 17..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ill_health_is_a_failure() {
        let answered = |status| Outcome::Answered { status, retry_after: None, grpc: None };
        for healthy in [200, 304, 404, 429, 499, 501] {
            assert!(!answered(healthy).is_failure(), "{healthy}");
        }
        for ill in [500, 502, 503, 504, 599] {
            assert!(answered(ill).is_failure(), "{ill}");
        }
        let of_grpc = |grpc| Outcome::Answered { status: 200, retry_after: None, grpc: Some(grpc) };
        let failures: Vec<u16> = (0..20).filter(|grpc| of_grpc(*grpc).is_failure()).collect();
        assert_eq!(failures, [2, 4, 13, 14, 15, 17, 18, 19]);
        assert!([Outcome::NotSent, Outcome::Reset, Outcome::TimedOut].iter().all(Outcome::is_failure));
    }
}
