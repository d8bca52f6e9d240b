//! The repository of deliveries.

use std::sync::Arc;

use super::Arranged;
use crate::problem::Problem;
use crate::store::{Shelf, change};

/// All deliveries, by order.
pub struct Deliveries(Arc<dyn Shelf<Arranged>>);

impl Deliveries {
    /// Those on a shelf.
    pub fn new(shelf: Arc<dyn Shelf<Arranged>>) -> Self {
        Deliveries(shelf)
    }

    /// Keeps a delivery, unless its order has one already, and returns the one that counts.
    ///
    /// # Errors
    /// 503 if it is not known to be kept.
    pub async fn arrange(&self, arranged: Arranged) -> Result<Arranged, Problem> {
        let first = |known: Option<Arranged>| Ok(known.is_none().then(|| arranged.clone()));
        let counts = change(&*self.0, &arranged.order, first).await?;
        Ok(counts.unwrap_or_else(|| arranged.clone()))
    }

    /// The delivery of an order.
    ///
    /// # Errors
    /// 503 if that is not to be known.
    pub async fn get(&self, order: &str) -> Result<Option<Arranged>, Problem> {
        Ok(self.0.get(order).await?.map(|item| item.value))
    }
}

/// Deliveries that are remembered in memory, about 8 MB.
pub const DELIVERIES_MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Day;
    use crate::store::memory::MemoryShelf;

    #[tokio::test]
    async fn the_first_promise_counts() {
        let deliveries = Deliveries::new(Arc::new(MemoryShelf::new(DELIVERIES_MAX)));
        let promise = |days| Arranged {
            order: "o1".into(),
            customer: "anna".into(),
            estimated: Day::today().after_working_days(days),
        };
        let first = deliveries.arrange(promise(2)).await.expect("kept");
        assert_eq!(deliveries.arrange(promise(9)).await.expect("kept"), first);
        assert_eq!(deliveries.get("o1").await.expect("had"), Some(first));
        assert_eq!(deliveries.get("o2").await.expect("had"), None);
    }
}
