//! The repository of charges: an event for each idempotency key, and what is counted of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{CARD_LIMIT_CENTS, Charge, Receipt, declined};
use crate::chance;
use crate::problem::Problem;
use crate::recent::Recent;
use crate::remote::Reply;
use crate::store::{Follower, Journal};

/// All charges. That one is written down under its key, once, is that it is made.
pub struct Ledger {
    entries: Arc<dyn Journal<Entry>>,
    books: Arc<Books>,
    requests: AtomicU64,
    repeats: AtomicU64,
    failed_answers: AtomicU64,
}

/// What the first request with a key was, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The idempotency key.
    pub key: String,
    /// The order that is paid for.
    pub order: String,
    /// Who pays.
    pub customer: String,
    /// How much, in euro cents.
    pub amount: u64,
    /// The provider's name for the charge; none if it was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_id: Option<String>,
}

/// What the provider has done: charges ever, requests since it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Payments taken.
    pub charges: u64,
    /// What was taken in all, in euro cents.
    pub amount_cents: u64,
    /// Requests to charge, repeats and failures included.
    pub requests: u64,
    /// Different idempotency keys that got as far as the ledger.
    pub keys: u64,
    /// Requests answered from an earlier one with the same key.
    pub repeats: u64,
    /// Keys whose payment was declined.
    pub declined: u64,
    /// Answers turned into 503 by the dial.
    pub failed_answers: u64,
    /// Charges of an order that had been charged before, under another key. Must be 0.
    pub double_charges: u64,
}

impl Ledger {
    /// One that is written in `entries`, which `books` follow.
    pub fn new(entries: Arc<dyn Journal<Entry>>, books: Arc<Books>) -> Self {
        let (requests, repeats, failed_answers) = Default::default();
        Ledger { entries, books, requests, repeats, failed_answers }
    }

    /// Charges, or says again what the first request with this key was told.
    ///
    /// # Errors
    /// 402 when declined, 422 when the key was used for something else, 503 when it is not known to be done.
    pub async fn charge(&self, key: &str, charge: &Charge) -> Result<Receipt, Problem> {
        let entry = Entry {
            key: key.to_owned(),
            order: charge.order.clone(),
            customer: charge.customer.clone(),
            amount: charge.amount,
            charge_id: (charge.amount <= CARD_LIMIT_CENTS).then(|| chance::id("ch")),
        };
        if self.entries.append(key, Some(0), &entry).await? {
            return entry.answer(charge);
        }
        self.repeats.fetch_add(1, Ordering::Relaxed);
        let first = self.entries.read(key).await?.into_iter().next();
        let lost = || Problem::unavailable("ledger", "The first charge with this key cannot be read.");
        first.ok_or_else(lost)?.answer(charge)
    }

    /// Notes a request, whatever comes of it.
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes an answer that was lost on purpose.
    pub fn count_failed_answer(&self) {
        self.failed_answers.fetch_add(1, Ordering::Relaxed);
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        let [requests, repeats, failed_answers] =
            [&self.requests, &self.repeats, &self.failed_answers].map(|n| n.load(Ordering::Relaxed));
        Counts { requests, repeats, failed_answers, ..self.books.pages().counts.clone() }
    }

    /// The latest entries, the oldest of them first, but for the first `offset`; at most `limit`.
    pub fn entries(&self, offset: usize, limit: usize) -> Vec<Entry> {
        self.books.pages().latest.iter().skip(offset).take(limit).cloned().collect()
    }
}

/// What is counted of the entries, and the latest of them.
pub struct Books(Mutex<Pages>);

struct Pages {
    counts: Counts,
    charges_of_order: Recent<String, u32>,
    latest: VecDeque<Entry>,
}

impl Books {
    /// Nothing entered yet.
    pub fn new() -> Arc<Self> {
        let (counts, latest) = (Counts::default(), VecDeque::new());
        Arc::new(Books(Mutex::new(Pages { counts, charges_of_order: Recent::new(KEYS_MAX), latest })))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower<Entry> for Books {
    fn take<'a>(&'a self, _: &'a str, entry: Entry) -> Reply<'a, ()> {
        self.pages().enter(entry);
        Box::pin(async { Ok(()) })
    }
}

impl Pages {
    fn enter(&mut self, entry: Entry) {
        self.counts.keys += 1;
        if entry.charge_id.is_none() {
            self.counts.declined += 1;
        } else {
            let before = self.charges_of_order.get(&entry.order).copied().unwrap_or(0);
            self.charges_of_order.insert(entry.order.clone(), before + 1);
            self.counts.charges += 1;
            self.counts.amount_cents += entry.amount;
            self.counts.double_charges += u64::from(before > 0);
        }
        self.latest.push_back(entry);
        if self.latest.len() > ENTRIES_TOLD_MAX {
            self.latest.pop_front();
        }
    }
}

impl Entry {
    fn answer(&self, charge: &Charge) -> Result<Receipt, Problem> {
        if self.order != charge.order || self.amount != charge.amount {
            let detail = "This Idempotency-Key was used for another order or amount.";
            return Err(Problem::unprocessable("key-reused", "The key belongs to another payment", detail));
        }
        let charge_id = self.charge_id.clone().ok_or_else(|| declined(&self.order))?;
        Ok(Receipt {
            charge_id,
            order: self.order.clone(),
            amount: self.amount,
            status: "charged".to_owned(),
        })
    }
}

/// Keys that are remembered in memory, about 25 MB. A repeat that comes later than that many other payments would
/// be taken for a new one.
pub const KEYS_MAX: usize = 100_000;
/// Entries that can be looked at, about 5 MB.
const ENTRIES_TOLD_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryJournal;

    fn ledger() -> Ledger {
        let books = Books::new();
        Ledger::new(Arc::new(MemoryJournal::new(KEYS_MAX, Some(books.clone()))), books)
    }

    fn charge(order: &str, amount: u64) -> Charge {
        Charge { order: order.into(), amount, customer: "anna".into() }
    }

    #[tokio::test]
    async fn a_key_charges_once_and_answers_the_same() {
        let ledger = ledger();
        let first = ledger.charge("k1", &charge("o1", 100)).await.expect("charged");
        assert_eq!(ledger.charge("k1", &charge("o1", 100)).await.expect("repeated"), first);
        let counts = ledger.counts();
        assert_eq!((counts.charges, counts.repeats, counts.keys, counts.amount_cents), (1, 1, 1, 100));
    }

    #[tokio::test]
    async fn a_key_belongs_to_one_payment() {
        let ledger = ledger();
        ledger.charge("k1", &charge("o1", 100)).await.expect("charged");
        assert_eq!(ledger.charge("k1", &charge("o1", 200)).await.expect_err("other amount").status, 422);
        assert_eq!(ledger.charge("k1", &charge("o2", 100)).await.expect_err("other order").status, 422);
    }

    #[tokio::test]
    async fn an_order_charged_under_two_keys_is_found_out() {
        let ledger = ledger();
        ledger.charge("k1", &charge("o1", 100)).await.expect("charged");
        ledger.charge("k2", &charge("o1", 100)).await.expect("the provider can't know");
        assert_eq!(ledger.counts().double_charges, 1);
    }

    #[tokio::test]
    async fn a_declined_payment_stays_declined() {
        let ledger = ledger();
        for _ in 0..2 {
            let problem =
                ledger.charge("k1", &charge("o1", CARD_LIMIT_CENTS + 1)).await.expect_err("declined");
            assert_eq!((problem.status, problem.order_id.as_deref()), (402, Some("o1")));
        }
        assert_eq!((ledger.counts().declined, ledger.counts().charges), (1, 0));
    }
}
