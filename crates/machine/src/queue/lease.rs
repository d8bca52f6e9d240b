//! Leases: who has what, and until when.

use super::due;
use super::open::Queue;
use super::{RECEIPTS_MAX, check_list, lease_key};
use crate::body::Stored;
use crate::refusal::{Code, Refusal};

/// What shows that an item was handed out to whoever has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub struct Receipt {
    /// The lease: a number that is never used again.
    #[prost(uint64, tag = "1")]
    pub lease: u64,
    /// The item.
    #[prost(uint64, tag = "2")]
    pub item: u64,
}

/// Items that were handed out together: a value under [`Table::QueueLease`](crate::Table::QueueLease).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Lease {
    /// Who has them.
    #[prost(string, tag = "1")]
    pub consumer: String,
    /// When the queue looks at it: when the first of them ends, or earlier.
    #[prost(uint64, tag = "2")]
    pub look_ms: u64,
    /// The items, by ascending number.
    #[prost(message, repeated, tag = "3")]
    pub items: Vec<Held>,
}

/// An item that somebody has, with what settling it needs to know, so that its own record isn't read again.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Held {
    /// The item.
    #[prost(uint64, tag = "1")]
    pub item: u64,
    /// Until when.
    #[prost(uint64, tag = "2")]
    pub until_ms: u64,
    /// Which attempt this is, from one.
    #[prost(uint32, tag = "3")]
    pub attempt: u32,
    /// Its key, if it counts against the key's limits.
    #[prost(string, tag = "4")]
    pub key: String,
    /// Its payload, if that is in the log.
    #[prost(message, optional, tag = "5")]
    pub body: Option<Stored>,
    /// When it is too old; zero for never.
    #[prost(uint64, tag = "6")]
    pub expires_ms: u64,
    /// Whether it has a history.
    #[prost(bool, tag = "7")]
    pub history: bool,
}

/// A lease that a command works on, out of which it has taken some items.
pub(super) struct Opened {
    pub(super) number: u64,
    pub(super) lease: Lease,
    pub(super) taken: Vec<Held>,
}

pub(super) fn check_receipts(receipts: &[Receipt]) -> Result<(), Refusal> {
    check_list("receipts", receipts.len(), RECEIPTS_MAX)
}

impl Queue<'_, '_> {
    /// The leases that `receipts` name with what is taken out of them, and the receipts that are good no
    /// longer. Nothing is written.
    ///
    /// # Errors
    ///
    /// If none is good, or if one is not and `all` must be.
    pub(super) fn open_leases(
        &self,
        receipts: &[Receipt],
        all: bool,
    ) -> Result<(Vec<Opened>, Vec<Receipt>), Refusal> {
        let mut sorted = receipts.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut opened = Vec::new();
        let mut fenced = Vec::new();
        for group in sorted.chunk_by(|one, next| one.lease == next.lease) {
            let number = group[0].lease;
            let Some(mut lease) = self.context.get::<Lease>(&lease_key(self.name, number)) else {
                fenced.extend_from_slice(group);
                continue;
            };
            let named = |held: &Held| group.binary_search_by_key(&held.item, |one| one.item).is_ok();
            let (taken, rest): (Vec<Held>, Vec<Held>) =
                std::mem::take(&mut lease.items).into_iter().partition(named);
            lease.items = rest;
            if taken.len() < group.len() {
                let gone = |one: &&Receipt| taken.binary_search_by_key(&one.item, |held| held.item).is_err();
                fenced.extend(group.iter().filter(gone).copied());
            }
            opened.push(Opened { number, lease, taken });
        }
        if (all && !fenced.is_empty()) || fenced.len() == sorted.len() {
            return Err(fenced_refusal(&fenced));
        }
        Ok((opened, fenced))
    }

    /// Writes a lease with what is left in it.
    pub(super) fn put_lease(&mut self, number: u64, lease: &Lease) {
        let key = lease_key(self.name, number);
        if lease.items.is_empty() {
            self.context.delete(key);
            if lease.look_ms != 0 {
                self.unindex(lease.look_ms, due::Kind::Lease, &number.to_be_bytes());
            }
        } else {
            self.context.put(key, lease);
        }
    }

    /// Has the queue look at a lease by `at_ms`.
    pub(super) fn look_at_lease(&mut self, number: u64, lease: &mut Lease, at_ms: u64) {
        if lease.look_ms != 0 {
            self.unindex(lease.look_ms, due::Kind::Lease, &number.to_be_bytes());
        }
        lease.look_ms = at_ms;
        self.index(at_ms, due::Kind::Lease, &number.to_be_bytes(), bytes::Bytes::new());
    }
}

fn fenced_refusal(fenced: &[Receipt]) -> Refusal {
    let first = fenced.first().copied().unwrap_or_default();
    let gone = format!(
        "the lease {} of the item {} is over, and {} receipts in all: another may have it, or it is done",
        first.lease,
        first.item,
        fenced.len()
    );
    Refusal::new(Code::Fenced, gone)
}
