//! The named maximum of everything that a caller can make grow. Those of sizes are looked at before
//! an entry gets into a log ([`crate::Entry::check`]), so what is in a log is within them.

use crate::refusal::{Code, Refusal};

/// Longest name of a store, topic, queue, group, stream, job or lock, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest key of an application's own, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Largest payload in bytes, unless the engine is configured otherwise: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Largest entry in bytes, all payloads and headers together: 8 MiB.
pub const ENTRY_BYTES_MAX: usize = 8 << 20;
/// Most payloads in an entry.
pub const ENTRY_BODIES_MAX: usize = 10_000;
/// Most commands that an entry sends to other shards.
pub const ENTRY_SENDS_MAX: usize = 1_000;
/// Most headers of a message.
pub const HEADERS_MAX: usize = 64;
/// Largest headers of a message in bytes, names and values together: 16 KiB.
pub const HEADERS_BYTES_MAX: usize = 16 << 10;
/// Most timers of a shard: ten million.
pub const TIMERS_MAX: u64 = 10_000_000;
/// Most timers that one command fires, so that no entry takes long.
pub const TIMERS_FIRED_MAX: usize = 256;
/// Up to how many bytes a payload is kept beside what points to it instead of in the log: looking it
/// up twice would cost more than copying it.
pub const INLINE_BYTES_MAX: usize = 128;

const _: () = assert!(BODY_BYTES_MAX <= ENTRY_BYTES_MAX);
const _: () = assert!(INLINE_BYTES_MAX < BODY_BYTES_MAX);

/// Refuses what is more than its maximum: `what` says in the plural of what there are `is`.
///
/// # Errors
///
/// If `is` is greater than `max`.
pub(crate) fn within(what: &str, is: usize, max: usize) -> Result<(), Refusal> {
    if is > max {
        return Err(Refusal::new(Code::Invalid, format!("{what}: {is}; {max} are the most")));
    }
    Ok(())
}

/// Refuses what cannot be the name of a `kind`.
///
/// # Errors
///
/// If it is empty, longer than [`NAME_BYTES_MAX`] or contains a control character.
pub fn name(kind: &str, name: &str) -> Result<(), Refusal> {
    let wrong = if name.is_empty() {
        format!("the name of a {kind} is empty")
    } else if name.len() > NAME_BYTES_MAX {
        format!("the name of a {kind} has {} bytes; {NAME_BYTES_MAX} are the most", name.len())
    } else if name.chars().any(char::is_control) {
        format!("the name of a {kind} contains a control character: {name:?}")
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::Invalid, wrong))
}

/// Refuses what cannot be a scope: whose something is, as a rule a service's name. It may be empty.
///
/// # Errors
///
/// As [`name`].
pub fn scope(scope: &str) -> Result<(), Refusal> {
    if scope.is_empty() { Ok(()) } else { name("scope", scope) }
}

/// Refuses what cannot be a key of an application's own.
///
/// # Errors
///
/// If it is longer than [`KEY_BYTES_MAX`].
pub fn key(kind: &str, key: &[u8]) -> Result<(), Refusal> {
    if key.len() > KEY_BYTES_MAX {
        let wrong = format!("the key of a {kind} has {} bytes; {KEY_BYTES_MAX} are the most", key.len());
        return Err(Refusal::new(Code::Invalid, wrong));
    }
    Ok(())
}
