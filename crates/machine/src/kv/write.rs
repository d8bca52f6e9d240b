//! What all that write items have in common: their ETag is looked at first, and they are written then.

use bytes::Bytes;

use super::{Item, Store, change_list, item_key, store_key};
use crate::body::{Body, Stored};
use crate::changes::{self, Change, Recorder};
use crate::context::Context;
use crate::effect::Channel;
use crate::key::{Key, Parts};
use crate::refusal::{Code, Refusal};
use crate::time::Time;
use crate::timer::Owner;

/// An item before it is written: looked at once.
pub(super) struct Before {
    at: Key,
    item: Option<Item>,
    /// Its ETag; zero if there is none, or it has expired.
    pub(super) etag: u64,
}

impl Before {
    /// How many timers more there are when the item is put.
    pub(super) fn more_timers(&self, ttl_ms: u64) -> u64 {
        u64::from(ttl_ms > 0 && self.item.as_ref().and_then(Item::timer).is_none())
    }
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

/// Writes items of a scope, and the changes that this makes.
pub(super) struct Writer<'a, 'b> {
    context: &'a mut Context<'b>,
    store: &'a str,
    scope: &'a str,
    changes: Option<Recorder>,
}

impl<'a, 'b> Writer<'a, 'b> {
    pub(super) fn new(context: &'a mut Context<'b>, store: &'a str, scope: &'a str) -> Writer<'a, 'b> {
        let known: Store = context.recall(store_key(store));
        let changes = known.changes.map(|keep| Recorder::new(context, change_list(store), keep));
        Writer { context, store, scope, changes }
    }

    /// The item as it is.
    pub(super) fn look(&self, key: &[u8]) -> Before {
        let at = item_key(self.store, self.scope, key);
        let item: Option<Item> = self.context.get(&at);
        let live = item.as_ref().filter(|item| item.is_live(self.context.time()));
        Before { etag: live.map_or(0, |item| item.etag), at, item }
    }

    /// The item as it is, if it has the ETag that is relied on.
    pub(super) fn look_for(&self, key: &[u8], etag: Option<u64>) -> Result<Before, Refusal> {
        let before = self.look(key);
        matches(etag, before.etag, key)?;
        Ok(before)
    }

    pub(super) fn context(&self) -> &Context<'b> {
        self.context
    }

    /// Puts the item in place of what was there. That there is room for its timer has been looked at; that
    /// there is no such payload is seen before anything is written.
    pub(super) fn put(
        &mut self,
        key: &Bytes,
        before: Before,
        body: Body,
        ttl_ms: u64,
    ) -> Result<(), Refusal> {
        let value = self.context.store(body)?;
        let set = before.item.as_ref().and_then(Item::timer);
        let is_new = before.item.is_none();
        if let Some(item) = before.item {
            self.context.release(&item.value);
        }
        let expires = (ttl_ms > 0).then(|| self.context.time().after(ttl_ms));
        let timer = self.context.move_timer(set, expires, Owner::Kv, before.at.as_bytes());
        let item = Item {
            etag: self.context.sequence(),
            value,
            expires_ms: Time::record(expires),
            timer_ms: Time::record(timer),
        };
        match is_new {
            true => self.context.insert(before.at, &item),
            false => self.context.put(before.at, &item),
        }
        self.changed(key, item.etag, Some(item.value));
        Ok(())
    }

    /// Takes the item away, if there is one.
    pub(super) fn delete(&mut self, key: &Bytes, before: Before) {
        let Some(item) = before.item else { return };
        self.context.release(&item.value);
        self.context.move_timer(item.timer(), None, Owner::Kv, before.at.as_bytes());
        self.context.delete(before.at);
        self.changed(key, 0, None);
    }

    /// Once all is written.
    pub(super) fn close(self) {
        if self.changes.is_some_and(|changes| changes.close(self.context)) {
            self.context.wake(Channel::kv(self.store));
        }
    }

    fn changed(&mut self, key: &Bytes, etag: u64, value: Option<Stored>) {
        if let Some(changes) = &mut self.changes {
            let scope = self.scope.to_owned();
            changes.add(self.context, Change { scope, key: key.clone(), etag, time_ms: 0, value });
        }
    }
}

/// What an item's timer does: it takes the item away, or is set anew if that lives longer by now.
pub(crate) fn expire(context: &mut Context<'_>, key: &[u8]) {
    let at = Key::from(key);
    let Some(item) = context.get::<Item>(&at) else {
        debug_assert!(false, "a timer without its item: {key:?}");
        return;
    };
    let item = Item { timer_ms: 0, ..item };
    if item.is_live(context.time()) {
        let timer = context.move_timer(None, item.expires(), Owner::Kv, key);
        context.put(at, &Item { timer_ms: Time::record(timer), ..item });
        return;
    }
    let mut parts = Parts::of(key);
    let (Some(store), Some(scope)) = (parts.name(), parts.name()) else {
        panic!("the state holds an item whose key this program does not know: {key:?}");
    };
    let mut writer = Writer::new(context, store, scope);
    writer.delete(&Bytes::copy_from_slice(parts.rest()), Before { at, item: Some(item), etag: 0 });
    writer.close();
}

/// What the timer of a store's changes does.
pub(crate) fn clear(context: &mut Context<'_>, list: &[u8]) {
    let store = Parts::of(list).name().expect("the changes are a store's");
    let known: Store = context.get_or_default(&store_key(store));
    changes::clear(context, &Key::from(list), known.changes);
}
