//! What is done with the systems, one file a case. A case gives one [`Sample`](crate::report::Sample)
//! a system and round; what becomes of them is the same for all.

pub mod proxy;
