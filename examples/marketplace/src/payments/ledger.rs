//! The repository of charges. Each method is one transaction.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{CARD_LIMIT_CENTS, Charge, Receipt, declined};
use crate::chance;
use crate::problem::Problem;
use crate::recent::Recent;

/// All charges, in memory: those of the last [`KEYS_MAX`] keys.
pub struct Ledger(Mutex<State>);

struct State {
    by_key: Recent<String, Entry>,
    charges_of_order: Recent<String, u32>,
    counts: Counts,
}

/// What the first request with a key was, and what came of it: a charge's id, or None if declined.
struct Entry {
    order: String,
    amount: u64,
    charge_id: Option<String>,
}

/// What the provider has done since it started.
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
    /// An empty ledger.
    pub fn new() -> Self {
        Ledger(Mutex::new(State {
            by_key: Recent::new(KEYS_MAX),
            charges_of_order: Recent::new(KEYS_MAX),
            counts: Counts::default(),
        }))
    }

    /// Charges, or says again what the first request with this key was told.
    ///
    /// # Errors
    /// 402 when declined, 422 when the key was used for something else.
    pub fn charge(&self, key: &str, charge: &Charge) -> Result<Receipt, Problem> {
        let mut state = self.state();
        if let Some(entry) = state.by_key.get(key) {
            let answer = entry.answer(charge);
            state.counts.repeats += 1;
            return answer;
        }
        let entry = state.enter(charge);
        let answer = entry.answer(charge);
        state.counts.keys += 1;
        state.by_key.insert(key.to_owned(), entry);
        answer
    }

    /// Notes a request, whatever comes of it.
    pub fn count_request(&self) {
        self.state().counts.requests += 1;
    }

    /// Notes an answer that was lost on purpose.
    pub fn count_failed_answer(&self) {
        self.state().counts.failed_answers += 1;
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, charge: &Charge) -> Entry {
        let (order, amount) = (charge.order.clone(), charge.amount);
        if amount > CARD_LIMIT_CENTS {
            self.counts.declined += 1;
            return Entry { order, amount, charge_id: None };
        }
        let before = self.charges_of_order.get(&order).copied().unwrap_or(0);
        self.charges_of_order.insert(order.clone(), before + 1);
        self.counts.charges += 1;
        self.counts.amount_cents += amount;
        self.counts.double_charges += u64::from(before > 0);
        Entry { order, amount, charge_id: Some(chance::id("ch")) }
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

/// Keys that are remembered, about 25 MB. A repeat that comes later than that many other payments would
/// be taken for a new one.
const KEYS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(order: &str, amount: u64) -> Charge {
        Charge { order: order.into(), amount, customer: "anna".into() }
    }

    #[test]
    fn a_key_charges_once_and_answers_the_same() {
        let ledger = Ledger::new();
        let first = ledger.charge("k1", &charge("o1", 100)).expect("charged");
        assert_eq!(ledger.charge("k1", &charge("o1", 100)).expect("repeated"), first);
        let counts = ledger.counts();
        assert_eq!((counts.charges, counts.repeats, counts.keys, counts.amount_cents), (1, 1, 1, 100));
    }

    #[test]
    fn a_key_belongs_to_one_payment() {
        let ledger = Ledger::new();
        ledger.charge("k1", &charge("o1", 100)).expect("charged");
        assert_eq!(ledger.charge("k1", &charge("o1", 200)).expect_err("other amount").status, 422);
        assert_eq!(ledger.charge("k1", &charge("o2", 100)).expect_err("other order").status, 422);
    }

    #[test]
    fn an_order_charged_under_two_keys_is_found_out() {
        let ledger = Ledger::new();
        ledger.charge("k1", &charge("o1", 100)).expect("charged");
        ledger.charge("k2", &charge("o1", 100)).expect("the provider can't know");
        assert_eq!(ledger.counts().double_charges, 1);
    }

    #[test]
    fn a_declined_payment_stays_declined() {
        let ledger = Ledger::new();
        for _ in 0..2 {
            let problem = ledger.charge("k1", &charge("o1", CARD_LIMIT_CENTS + 1)).expect_err("declined");
            assert_eq!((problem.status, problem.order_id.as_deref()), (402, Some("o1")));
        }
        assert_eq!((ledger.counts().declined, ledger.counts().charges), (1, 0));
    }
}
