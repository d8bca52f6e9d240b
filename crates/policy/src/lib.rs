//! The call policies, as pure state machines of (time, outcome).
//!
//! Nothing here reads a clock, does I/O or draws randomness: time and seed are arguments, so the
//! live data plane and a simulator run the same code and a run can be repeated exactly.

