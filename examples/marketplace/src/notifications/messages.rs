//! The repository of messages. Each method is one transaction.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Message;
use crate::recent::Recent;

/// The latest messages of the [`CUSTOMERS_MAX`] customers told last, in memory.
pub struct Messages(Mutex<Recent<String, VecDeque<Message>>>);

impl Messages {
    /// None yet.
    pub fn new() -> Self {
        Messages(Mutex::new(Recent::new(CUSTOMERS_MAX)))
    }

    /// Adds a message, unless the customer has just this one already.
    pub fn add(&self, message: &Message) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut messages = all.remove(&message.customer).unwrap_or_default();
        if !messages.contains(message) {
            messages.push_front(message.clone());
            messages.truncate(MESSAGES_EACH_MAX);
        }
        all.insert(message.customer.clone(), messages);
    }

    /// A customer's messages, latest first.
    pub fn of(&self, customer: &str) -> Vec<Message> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(customer).map(|messages| messages.iter().cloned().collect()).unwrap_or_default()
    }
}

const CUSTOMERS_MAX: usize = 20_000;
/// Messages that are kept for a customer.
const MESSAGES_EACH_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_come_first_and_none_twice() {
        let messages = Messages::new();
        for n in [1, 2, 2, 3, 1] {
            let order = format!("o{n}");
            messages.add(&Message { customer: "anna".into(), text: format!("{order} is paid"), order });
        }
        let orders: Vec<_> = messages.of("anna").into_iter().map(|m| m.order).collect();
        assert_eq!(orders, ["o3", "o2", "o1"]);
        assert!(messages.of("bert").is_empty());
    }
}
