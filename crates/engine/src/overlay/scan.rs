//! Visiting the pairs of all layers in order, each key once.

use std::cmp::Ordering;
use std::collections::btree_map;
use std::ops::Range;

use bytes::Bytes;
use machine::state::Visit;
use machine::{Key, Order};

use super::below::Below;
use super::{Change, Layer};
use crate::store::{Pair, Store};

/// Visits the pairs in `range`, which is not empty, in `order`.
pub(super) fn merge<S: Store>(
    changed: &Layer,
    below: &Below<S>,
    range: Range<&[u8]>,
    order: Order,
    visit: &mut Visit<'_>,
) {
    let bounds = Key::from(range.start)..Key::from(range.end);
    let mut changed = InLayer::new(changed.range(bounds.clone()), order);
    let mut writing = below.writing.as_ref().map(|layer| InLayer::new(layer.range(bounds), order));
    let mut stored = InStore::new(below, range, order);
    loop {
        let keys = [
            changed.key(),
            writing.as_ref().and_then(InLayer::key),
            stored.pair().map(|(key, _)| key.as_slice()),
        ];
        let Some(next) = keys.iter().flatten().copied().reduce(|a, b| first(a, b, order)) else { return };
        let is_next = keys.map(|key| key == Some(next));
        let value = if is_next[0] {
            changed.value()
        } else if is_next[1] {
            writing.as_ref().and_then(InLayer::value)
        } else {
            stored.pair().map(|(_, value)| value)
        };
        if value.is_some_and(|value| visit(next, value).is_break()) {
            return;
        }
        if is_next[0] {
            changed.advance();
        }
        if let (true, Some(writing)) = (is_next[1], &mut writing) {
            writing.advance();
        }
        if is_next[2] {
            stored.advance();
        }
    }
}

/// Where a scan is in a layer.
struct InLayer<'a> {
    range: btree_map::Range<'a, Key, Change>,
    order: Order,
    at: Option<(&'a Key, &'a Change)>,
}

impl<'a> InLayer<'a> {
    fn new(range: btree_map::Range<'a, Key, Change>, order: Order) -> InLayer<'a> {
        let mut scan = InLayer { range, order, at: None };
        scan.advance();
        scan
    }

    fn advance(&mut self) {
        self.at = match self.order {
            Order::Forwards => self.range.next(),
            Order::Backwards => self.range.next_back(),
        };
    }

    fn key(&self) -> Option<&'a [u8]> {
        self.at.map(|(key, _)| key.as_bytes())
    }

    fn value(&self) -> Option<&'a Bytes> {
        self.at.and_then(|(_, change)| change.value.as_ref())
    }
}

/// Where a scan is in the store, of which it reads a few pairs first and then ever more.
struct InStore<'a, S> {
    below: &'a Below<S>,
    from: Vec<u8>,
    to: Vec<u8>,
    order: Order,
    page: Vec<Pair>,
    at: usize,
    size: usize,
    last: bool,
}

impl<'a, S: Store> InStore<'a, S> {
    fn new(below: &'a Below<S>, range: Range<&[u8]>, order: Order) -> InStore<'a, S> {
        let (from, to) = (range.start.to_vec(), range.end.to_vec());
        let mut scan =
            InStore { below, from, to, order, page: Vec::new(), at: 0, size: PAGE_FIRST, last: false };
        scan.load();
        scan
    }

    fn pair(&self) -> Option<&Pair> {
        self.page.get(self.at)
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.at == self.page.len() && !self.last {
            self.load();
        }
    }

    fn load(&mut self) {
        if let Some((key, _)) = self.page.last() {
            match self.order {
                Order::Forwards => {
                    self.from.clone_from(key);
                    self.from.push(0);
                }
                Order::Backwards => self.to.clone_from(key),
            }
        }
        self.page = self.below.page(&self.from, &self.to, self.order, self.size);
        self.last = self.page.len() < self.size;
        self.at = 0;
        self.size = (self.size * 4).min(PAGE_MAX);
    }
}

fn first<'a>(a: &'a [u8], b: &'a [u8], order: Order) -> &'a [u8] {
    match (a.cmp(b), order) {
        (Ordering::Greater, Order::Forwards) | (Ordering::Less, Order::Backwards) => b,
        _ => a,
    }
}

/// How many pairs a scan reads from the store at first, and at most at a time.
const PAGE_FIRST: usize = 4;
const PAGE_MAX: usize = 256;
