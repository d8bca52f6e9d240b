//! How many requests may be in flight.
//!
//! A fixed number needs no machine: it is a counter that the driver shares among its cores. What can
//! be decided purely is [`gradient`], which finds the number out.

pub mod gradient;

pub use gradient::{Gradient, GradientConfig, Samples};
