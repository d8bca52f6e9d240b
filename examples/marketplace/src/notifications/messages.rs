//! The repository of messages.

use std::sync::Arc;

use super::Message;
use crate::problem::Problem;
use crate::store::{Shelf, change};

/// The latest messages of every customer.
pub struct Messages(Arc<dyn Shelf<Vec<Message>>>);

impl Messages {
    /// Those on a shelf.
    pub fn new(shelf: Arc<dyn Shelf<Vec<Message>>>) -> Self {
        Messages(shelf)
    }

    /// Adds a message, unless the customer has just this one already.
    ///
    /// # Errors
    /// 503 if it is not known to be kept.
    pub async fn add(&self, message: &Message) -> Result<(), Problem> {
        let added = |known: Option<Vec<Message>>| {
            let mut messages = known.unwrap_or_default();
            if messages.contains(message) {
                return Ok(None);
            }
            messages.insert(0, message.clone());
            messages.truncate(MESSAGES_EACH_MAX);
            Ok(Some(messages))
        };
        change(&*self.0, &message.customer, added).await.map(drop)
    }

    /// A customer's messages, latest first.
    ///
    /// # Errors
    /// 503 if they cannot be had.
    pub async fn of(&self, customer: &str) -> Result<Vec<Message>, Problem> {
        Ok(self.0.get(customer).await?.map(|item| item.value).unwrap_or_default())
    }
}

/// Customers whose messages are remembered in memory.
pub const CUSTOMERS_MAX: usize = 20_000;
/// Messages that are kept for a customer. One that is told again after so many others would be told twice.
const MESSAGES_EACH_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryShelf;

    #[tokio::test]
    async fn the_latest_come_first_and_none_twice() {
        let messages = Messages::new(Arc::new(MemoryShelf::new(CUSTOMERS_MAX)));
        for n in [1, 2, 2, 3, 1] {
            let order = format!("o{n}");
            let message = Message { customer: "anna".into(), text: format!("{order} is paid"), order };
            messages.add(&message).await.expect("kept");
        }
        let orders: Vec<_> = messages.of("anna").await.expect("had").into_iter().map(|m| m.order).collect();
        assert_eq!(orders, ["o3", "o2", "o1"]);
        assert!(messages.of("bert").await.expect("had").is_empty());
    }
}
