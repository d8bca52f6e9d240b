//! What a paid order is owed, as each service is told of it. Each may be told twice without harm.

use super::Record;
use crate::delivery::Wanted;
use crate::money::Euros;
use crate::notifications::Message;
use crate::recommendations::Purchase;

impl Record {
    /// The delivery.
    pub fn wanted(&self) -> Wanted {
        let pieces = self.order.items.iter().map(|line| line.quantity).sum();
        Wanted { order: self.order.order_id.clone(), customer: self.order.customer.clone(), pieces }
    }

    /// What its customer is told.
    pub fn message(&self) -> Message {
        let (order, total) = (&self.order.order_id, Euros(self.order.total_cents));
        let text = format!("Thank you! {order} over {total} is paid and being packed.");
        Message { customer: self.order.customer.clone(), order: order.clone(), text }
    }

    /// What is to be learned from it.
    pub fn purchase(&self) -> Purchase {
        let products = self.order.items.iter().map(|line| line.product.clone()).collect();
        Purchase { order: self.order.order_id.clone(), customer: self.order.customer.clone(), products }
    }
}
