//! Reading configuration, which takes no entry.

use std::ops::ControlFlow;

use super::{Item, change_list, item_key, items_key};
use crate::changes::{self, Changes};
use crate::context::{decode, read};
use crate::key::{Key, Table};
use crate::refusal::Refusal;
use crate::state::{Order, Read, names};

/// The item `key` of `store`.
pub fn get(state: &(impl Read + ?Sized), store: &str, key: &str) -> Option<Item> {
    read(state, &item_key(store, key))
}

/// Up to `max` stores that have or had items in this shard, by name: those after `after`.
pub fn stores(state: &(impl Read + ?Sized), after: Option<&str>, max: usize) -> Vec<String> {
    names(state, &Key::new(Table::Config), "", after, max)
}

/// The items of `store` by key from after the key `after` on, `max` of them at most.
pub fn list(state: &(impl Read + ?Sized), store: &str, after: &str, max: usize) -> Vec<(String, Item)> {
    let all = items_key(store);
    // The smallest key greater than `after` is that with a zero byte more.
    let from = item_key(store, after).u8(0);
    let mut items = Vec::new();
    state.scan(from.as_bytes(), all.end().as_bytes(), Order::Forwards, &mut |key, value| {
        if items.len() == max {
            return ControlFlow::Break(());
        }
        let name = String::from_utf8_lossy(all.rest_of(key).unwrap_or_default());
        items.push((name.into_owned(), decode(key, value.clone())));
        ControlFlow::Continue(())
    });
    items
}

/// The changes of `store` after the position `after`, `max` of them at most.
///
/// # Errors
///
/// [`crate::Code::Gone`] if some have been given up, [`crate::Code::Invalid`] if the position has not been
/// reached.
pub fn changes(
    state: &(impl Read + ?Sized),
    store: &str,
    after: u64,
    max: usize,
) -> Result<Changes, Refusal> {
    changes::after(state, &change_list(store), after, max)
}

/// The position of the last change of `store`: to be read before everything is, by who watches from there.
pub fn position(state: &(impl Read + ?Sized), store: &str) -> u64 {
    changes::span(state, &change_list(store)).last
}
