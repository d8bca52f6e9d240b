//! A checker of linearizability, the things that it knows, and what it must find and let pass.

mod check;

mod locks;
mod orders;
mod queues;
mod registers;
mod running;

use check::Operation;

/// An operation that was called and answered then.
fn done<C, A>(client: u32, (called, answered): (u64, u64), call: C, answer: A) -> Operation<C, A> {
    Operation { client, call, called, answer: Some((answer, answered)) }
}

/// An operation that was called then and never answered.
fn lost<C, A>(client: u32, called: u64, call: C) -> Operation<C, A> {
    Operation { client, call, called, answer: None }
}
