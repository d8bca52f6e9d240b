//! The repository of deliveries. Each method is one transaction.

use std::sync::{Mutex, PoisonError};

use super::Arranged;
use crate::recent::Recent;

/// All deliveries, in memory: the last [`DELIVERIES_MAX`].
pub struct Deliveries(Mutex<Recent<String, Arranged>>);

impl Deliveries {
    /// None yet.
    pub fn new() -> Self {
        Deliveries(Mutex::new(Recent::new(DELIVERIES_MAX)))
    }

    /// Keeps a delivery, unless its order has one already, and returns the one that counts.
    pub fn arrange(&self, arranged: Arranged) -> Arranged {
        let mut deliveries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = deliveries.get(&arranged.order) {
            return first.clone();
        }
        deliveries.insert(arranged.order.clone(), arranged.clone());
        arranged
    }

    /// The delivery of an order.
    pub fn get(&self, order: &str) -> Option<Arranged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(order).cloned()
    }
}

/// Deliveries that are remembered, about 8 MB.
const DELIVERIES_MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Day;

    #[test]
    fn the_first_promise_counts() {
        let deliveries = Deliveries::new();
        let promise = |days| Arranged {
            order: "o1".into(),
            customer: "anna".into(),
            estimated: Day::today().after_working_days(days),
        };
        let first = deliveries.arrange(promise(2));
        assert_eq!(deliveries.arrange(promise(9)), first);
        assert_eq!(deliveries.get("o1"), Some(first));
        assert_eq!(deliveries.get("o2"), None);
    }
}
