//! Payments: a stand-in for an outside provider, with a dial to make it slow and unreliable.
//!
//! Like a real one it charges once per `Idempotency-Key`, and like a real one its answer may be lost
//! after it has charged. [`Ledger`] counts what a caller must never cause: an order charged twice.

mod dial;
mod http;
mod ledger;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

pub use dial::Dial;
pub use http::routes;
pub use ledger::{Books, Counts, Entry, KEYS_MAX, Ledger};

use crate::chance::Dice;
use crate::context::Context;
use crate::money::Euros;
use crate::problem::Problem;
use crate::remote::Reply;
use crate::tell;

/// What the other services ask of payments.
pub trait Payments: Send + Sync {
    /// Takes money. `key` names the payment: repeating it never charges again.
    ///
    /// 402 when declined; 503 when it is not known whether the charge was made.
    fn charge<'a>(&'a self, cx: &'a Context, key: &'a str, charge: &'a Charge) -> Reply<'a, Receipt>;
}

/// A payment to take.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Charge {
    /// The order that is paid for.
    pub order: String,
    /// How much, in euro cents.
    pub amount: u64,
    /// Who pays.
    pub customer: String,
}

/// A payment that was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The provider's name for the charge.
    pub charge_id: String,
    /// The order that is paid for.
    pub order: String,
    /// How much, in euro cents.
    pub amount: u64,
    /// `charged`.
    pub status: String,
}

/// The provider itself.
pub struct PaymentsService {
    ledger: Ledger,
    dial: Mutex<Dial>,
    dice: Mutex<Dice>,
}

impl PaymentsService {
    /// A provider whose luck is `dice`.
    pub fn new(ledger: Ledger, dice: Dice) -> Arc<Self> {
        Arc::new(PaymentsService { ledger, dial: Mutex::default(), dice: Mutex::new(dice) })
    }

    /// How it is set.
    pub fn dial(&self) -> Dial {
        *self.dial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets it.
    pub fn set_dial(&self, dial: Dial) {
        *self.dial.lock().unwrap_or_else(PoisonError::into_inner) = dial;
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.ledger.counts()
    }

    /// Some of the latest entries of its ledger, the oldest first.
    pub fn entries(&self, offset: usize, limit: usize) -> Vec<Entry> {
        self.ledger.entries(offset, limit)
    }

    async fn take(&self, key: &str, charge: &Charge) -> Result<Receipt, Problem> {
        self.ledger.count_request();
        let dial = self.dial();
        if dial.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(dial.latency_ms)).await;
        }
        let luck = self.dice.lock().unwrap_or_else(PoisonError::into_inner).share();
        if luck < dial.failure {
            return Err(self.lost("before it was charged"));
        }
        let charged = self.ledger.charge(key, charge).await;
        if charged.is_ok() {
            tell::info("a card is charged", &charge.order);
        }
        if luck < dial.failure + dial.after_charge {
            return Err(self.lost("after it was charged"));
        }
        charged
    }

    fn lost(&self, when: &str) -> Problem {
        self.ledger.count_failed_answer();
        Problem::provider_failed(format!("The provider failed {when}, as its dial asks it to."))
    }
}

impl Payments for PaymentsService {
    fn charge<'a>(&'a self, _: &'a Context, key: &'a str, charge: &'a Charge) -> Reply<'a, Receipt> {
        Box::pin(self.take(key, charge))
    }
}

/// The provider's answer to an amount it won't take.
fn declined(order: &str) -> Problem {
    let detail = format!("The card covers at most {}.", Euros(CARD_LIMIT_CENTS));
    Problem::new(StatusCode::PAYMENT_REQUIRED, "declined", "The payment was declined", detail).about(order)
}

/// What the demonstration card covers.
pub const CARD_LIMIT_CENTS: u64 = 999_900;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryJournal;

    fn provider(dice: Dice) -> Arc<PaymentsService> {
        let books = Books::new();
        let entries = Arc::new(MemoryJournal::new(KEYS_MAX, Some(books.clone())));
        PaymentsService::new(Ledger::new(entries, books), dice)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    }

    /// Callers repeat until they get an answer, all at once, while the provider fails before and after
    /// charging: whatever the order of events, each key is charged exactly once.
    #[test]
    fn repeats_never_charge_twice_however_they_interleave() {
        for seed in 0..40 {
            let mut plan = Dice::new(seed);
            let failure = plan.share() * 0.6;
            let dial = Dial { latency_ms: seed % 3, failure, after_charge: plan.share() * (0.95 - failure) };
            let provider = provider(Dice::new(seed ^ 0xfeed));
            provider.set_dial(dial);
            runtime().block_on(async {
                let callers: Vec<_> = (0..60)
                    .map(|_| tokio::spawn(insist(provider.clone(), plan.bits() % 12, plan.bits() % 4)))
                    .collect();
                let mut receipts = std::collections::HashMap::new();
                for caller in callers {
                    let receipt = caller.await.expect("no panic");
                    let first = receipts.entry(receipt.order.clone()).or_insert_with(|| receipt.clone());
                    assert_eq!(*first, receipt, "seed {seed}");
                }
                let counts = provider.counts();
                assert_eq!(counts.charges, receipts.len() as u64, "seed {seed}");
                assert_eq!((counts.double_charges, counts.keys), (0, counts.charges), "seed {seed}");
            });
        }
    }

    async fn insist(provider: Arc<PaymentsService>, order: u64, pauses: u64) -> Receipt {
        let charge = Charge { order: format!("o{order}"), amount: 100 + order, customer: "anna".into() };
        loop {
            for _ in 0..pauses {
                tokio::task::yield_now().await;
            }
            match provider.charge(&Context::default(), &format!("key-{order}"), &charge).await {
                Ok(receipt) => return receipt,
                Err(problem) => assert_eq!(problem.status, 503),
            }
        }
    }

    #[test]
    fn a_dial_at_after_charge_loses_the_answer_but_not_the_charge() {
        let provider = provider(Dice::new(1));
        provider.set_dial(Dial { after_charge: 1.0, ..Dial::default() });
        let charge = Charge { order: "o1".into(), amount: 5, customer: "anna".into() };
        runtime().block_on(async {
            let cx = Context::default();
            assert_eq!(provider.charge(&cx, "k", &charge).await.expect_err("lost").status, 503);
            provider.set_dial(Dial::default());
            assert_eq!(provider.charge(&cx, "k", &charge).await.expect("told again").order, "o1");
        });
        let counts = provider.counts();
        assert_eq!((counts.requests, counts.charges, counts.repeats, counts.failed_answers), (2, 1, 1, 1));
    }
}
