//! Reading items, which takes no entry.
//!
//! All take the time of whoever reads: what has expired by then is not there.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::{Define, Item, PAGE_ITEMS_MAX, PAGE_VISITED_MAX, Store, change_list, item_key, store_key};
use crate::changes::{self, Change, Changes, Span};
use crate::context::{decode, read};
use crate::key::{Key, Table};
use crate::refusal::{Code, Refusal};
use crate::state::{Order, Read, names};
use crate::time::Time;

/// The item `key` of `scope` in `store`.
pub fn get(state: &(impl Read + ?Sized), store: &str, scope: &str, key: &[u8], now: Time) -> Option<Item> {
    read(state, &item_key(store, scope, key)).filter(|item: &Item| item.is_live(now))
}

/// What [`Define`] has set for `store`.
pub fn definition(state: &(impl Read + ?Sized), store: &str) -> Define {
    let Store { changes, spread } = read(state, &store_key(store)).unwrap_or_default();
    Define { store: store.to_owned(), changes, spread }
}

/// Whether `store` has items in this shard, be it ones that have expired.
pub fn has_items(state: &(impl Read + ?Sized), store: &str) -> bool {
    let all = Key::new(Table::KvItem).name(store);
    state.first(all.as_bytes(), all.end().as_bytes(), Order::Forwards).is_some()
}

/// Up to `max` stores that have items in this shard, be it ones that have expired, by name: those after `after`.
pub fn stores(state: &(impl Read + ?Sized), after: Option<&str>, max: usize) -> Vec<String> {
    names(state, &Key::new(Table::KvItem), "", after, max)
}

/// Up to `max` scopes that have items of `store` in this shard, be it ones that have expired, by name: those after `after`.
pub fn scopes(
    state: &(impl Read + ?Sized),
    store: &str,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> Vec<String> {
    names(state, &Key::new(Table::KvItem).name(store), prefix, after, max)
}

/// How many items `scope` has in `store` in this shard, and whether these are all: no more than `max` are looked at.
pub fn count(state: &(impl Read + ?Sized), store: &str, scope: &str, max: usize, now: Time) -> (u64, bool) {
    let (mut count, mut visited, mut whole) = (0, 0, true);
    state.scan_prefix(&item_key(store, scope, b""), &mut |key, value| {
        if visited == max {
            whole = false;
            return ControlFlow::Break(());
        }
        visited += 1;
        let item: Item = decode(key, value.clone());
        count += u64::from(item.is_live(now));
        ControlFlow::Continue(())
    });
    (count, whole)
}

/// Which part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How the keys begin.
    pub prefix: Bytes,
    /// Where the page before ended: its [`Listing::next`].
    pub after: Option<Bytes>,
    /// How many items at most; no more than [`PAGE_ITEMS_MAX`] in any case.
    pub max: usize,
}

/// A page of items by ascending key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The items, each with its key.
    pub items: Vec<(Bytes, Item)>,
    /// Where the next page begins; nothing if this is the last. There may be another also after a page
    /// with few items or none, if many have just expired.
    pub next: Option<Bytes>,
}

/// A page of the items of `scope` in `store`. An item that is there all the while is on exactly one of
/// the pages, whatever else is written between them.
pub fn list(state: &(impl Read + ?Sized), store: &str, scope: &str, page: &Page, now: Time) -> Listing {
    let all = item_key(store, scope, b"");
    let first = item_key(store, scope, &page.prefix);
    // The smallest key greater than the last one is that with a zero byte more.
    let from = page.after.as_ref().map(|after| item_key(store, scope, after).u8(0));
    let from = from.filter(|from| *from > first).unwrap_or_else(|| first.clone());
    let max = page.max.min(PAGE_ITEMS_MAX);
    let mut listing = Listing::default();
    let mut last = None;
    let mut visited = 0;
    state.scan(from.as_bytes(), first.end().as_bytes(), Order::Forwards, &mut |key, value| {
        if listing.items.len() == max || visited == PAGE_VISITED_MAX {
            listing.next = last.take();
            return ControlFlow::Break(());
        }
        visited += 1;
        let rest = Bytes::copy_from_slice(all.rest_of(key).unwrap_or_default());
        let item: Item = decode(key, value.clone());
        last = Some(rest.clone());
        if item.is_live(now) {
            listing.items.push((rest, item));
        }
        ControlFlow::Continue(())
    });
    listing
}

/// The changes of `store` after the position `after`, in all scopes: `max` of them at most.
///
/// # Errors
///
/// [`Code::Gone`] if some have been given up, [`Code::Invalid`] if the position has not been reached,
/// [`Code::NotFound`] if the store keeps no changes.
pub fn changes(
    state: &(impl Read + ?Sized),
    store: &str,
    after: u64,
    max: usize,
) -> Result<Changes, Refusal> {
    keeps_changes(state, store)?;
    changes::after(state, &change_list(store), after, max)
}

/// The last changes of an item that are kept, the latest first: `max` of them at most, among the last
/// [`CHANGES_VISITED_MAX`](changes::CHANGES_VISITED_MAX) of `store` in this shard; and whether these are all that are kept.
///
/// # Errors
///
/// [`Code::NotFound`] if the store keeps no changes.
pub fn history(
    state: &(impl Read + ?Sized),
    store: &str,
    scope: &str,
    key: &[u8],
    max: usize,
) -> Result<(Vec<Change>, bool), Refusal> {
    keeps_changes(state, store)?;
    let is = |change: &Change| change.scope == scope && change.key == key;
    Ok(changes::last(state, &change_list(store), is, max))
}

/// Where the changes of `store` begin and end.
///
/// # Errors
///
/// If the store keeps no changes.
pub fn span(state: &(impl Read + ?Sized), store: &str) -> Result<Span, Refusal> {
    keeps_changes(state, store)?;
    Ok(changes::span(state, &change_list(store)))
}

fn keeps_changes(state: &(impl Read + ?Sized), store: &str) -> Result<(), Refusal> {
    let known: Option<Store> = read(state, &store_key(store));
    if known.is_none_or(|known| known.changes.is_none()) {
        let none = format!("the store {store:?} keeps no changes; define for how long it shall");
        return Err(Refusal::new(Code::NotFound, none));
    }
    Ok(())
}
