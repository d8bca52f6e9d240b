//! The colony binary.

fn main() {}
