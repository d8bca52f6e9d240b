//! The call policies, as pure state machines of (time, outcome).
//!
//! Nothing here reads a clock, does I/O or draws randomness: time and seed are arguments, so the
//! live data plane and a simulator run the same code and a run can be repeated exactly. Nothing
//! allocates per call after construction, for each of these stands on the path of every request.
//!
//! A driver holds the machines, tells them what happened and does what they answer:
//!
//! 1. [`Gcra::check`] may refuse the request at the door, [`Shares`] and [`Line`] where as many are in
//!    flight as its class may fill, [`Breaker::admit`] before the upstream, and nothing is begun whose
//!    [`Deadline`] has passed;
//! 2. a [`Balancer`] picks an instance among those that [`Ejection`] leaves in, by default with
//!    [`choose`] by [`PeakEwma::load`];
//! 3. the try ends in an [`Outcome`], told to the breaker, the ejection and the average;
//!    where the upstream's concurrency is found out, its latency to the [`Gradient`];
//! 4. [`Retrier::decide`] says whether to try again, within the upstream's [`Budget`]; one that keeps
//!    its caller waiting may have been sent once more by then, as [`Hedge::another`] says.
//!
//! Which of several calls gets a request is for [`Split::side`] to say. Where an instance shall seem ill on purpose, [`Fault::decide`] says what it does to a try.

#![forbid(unsafe_code)]
#![warn(clippy::iter_over_hash_type, clippy::unwrap_used, clippy::expect_used)]

pub mod balance;
pub mod breaker;
pub mod bulkhead;
pub mod deadline;
pub mod ejection;
pub mod fault;
pub mod hedge;
pub mod limit;
pub mod outcome;
pub mod retry;
pub mod rng;
pub mod shed;
pub mod split;
pub mod time;

mod ring;

pub use balance::ewma::PeakEwma;
pub use balance::slow_start::SlowStart;
pub use balance::zone::ZonePreference;
pub use balance::{BalanceConfig, Balancer, Open, View, choose};
pub use breaker::counted::{Counted, CountedConfig, Counts, Pass, Refusal};
pub use breaker::{Admission, Breaker, BreakerConfig, BreakerState, Ending, Force, Ticket};
pub use bulkhead::{Gradient, GradientConfig, Samples};
pub use deadline::Deadline;
pub use ejection::{Ejection, EjectionConfig};
pub use fault::{Asked, Fault, FaultConfig, Strike, Trickle};
pub use hedge::{After, Hedge, HedgeConfig};
pub use limit::{Gcra, Left};
pub use outcome::{Outcome, is_grpc_failure};
pub use retry::backoff::Backoff;
pub use retry::budget::{Budget, BudgetConfig};
pub use retry::repeat::{Pace, Repeat, RepeatConfig};
pub use retry::{Conditions, Jitter, Request, Retrier, RetryConfig, Stop, Verdict};
pub use rng::Rng;
pub use shed::{Arrival, Class, Line, Shares};
pub use split::{Point, Split};
pub use time::Time;
