//! What all that write items have in common: their ETag is looked at first, and they are written then.

use super::Item;
use crate::body::Body;
use crate::context::Context;
use crate::key::Key;
use crate::refusal::{Code, Refusal};
use crate::time::Time;
use crate::timer::Owner;

/// The item's ETag; zero if there is none, or it has expired.
pub(super) fn etag(item: Option<&Item>, now: Time) -> u64 {
    item.filter(|item| item.is_live(now)).map_or(0, |item| item.etag)
}

/// Refuses a write that relies on another ETag.
pub(super) fn matches(wanted: Option<u64>, is: u64, key: &[u8]) -> Result<(), Refusal> {
    let wrong = match (wanted, is) {
        (None, _) => return Ok(()),
        (Some(wanted), is) if wanted == is => return Ok(()),
        (Some(0), _) => "is there already, and was to be made anew",
        (Some(_), 0) => "is no longer there: its ETag does not match",
        (Some(_), _) => "has been changed: its ETag does not match; read it again",
    };
    Err(Refusal::new(Code::Conflict, format!("the item \"{}\" {wrong}", key.escape_ascii())))
}

/// How many timers more there are when the item is put.
pub(super) fn more_timers(before: Option<&Item>, ttl_ms: u64) -> u64 {
    u64::from(ttl_ms > 0 && before.is_none_or(|before| before.timer_ms == 0))
}

/// Puts the item in place of `before`. That there is room for its timer has been looked at; that there is
/// no such payload is seen before anything is written.
pub(super) fn put(
    context: &mut Context<'_>,
    key: Key,
    before: Option<Item>,
    body: Body,
    ttl_ms: u64,
) -> Result<(), Refusal> {
    let value = context.store(body)?;
    let set = before.as_ref().and_then(Item::timer);
    if let Some(before) = before {
        context.release(&before.value);
    }
    let expires = (ttl_ms > 0).then(|| context.time().after(ttl_ms));
    let timer = context.move_timer(set, expires, Owner::Kv, key.as_bytes());
    let item = Item {
        etag: context.sequence(),
        value,
        expires_ms: expires.map_or(0, Time::as_millis),
        timer_ms: timer.map_or(0, Time::as_millis),
    };
    context.put(key, &item);
    Ok(())
}

/// Takes the item `before` away.
pub(super) fn delete(context: &mut Context<'_>, key: Key, before: &Item) {
    context.release(&before.value);
    context.move_timer(before.timer(), None, Owner::Kv, key.as_bytes());
    context.delete(key);
}

/// What an item's timer does: it takes the item away, or is set anew if that lives longer by now.
pub(crate) fn expire(context: &mut Context<'_>, key: &[u8]) {
    let key = Key::from(key);
    let Some(item) = context.get::<Item>(&key) else {
        debug_assert!(false, "a timer without its item: {key:?}");
        return;
    };
    let item = Item { timer_ms: 0, ..item };
    if !item.is_live(context.time()) {
        delete(context, key, &item);
        return;
    }
    let timer = context.move_timer(None, item.expires(), Owner::Kv, key.as_bytes());
    context.put(key, &Item { timer_ms: timer.map_or(0, Time::as_millis), ..item });
}
