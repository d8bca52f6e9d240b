//! What a paid order is owed, done by whoever hears of it: the facts of all orders are followed and published, from where
//! the last process stopped, so that none is left out whenever that was.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;

use super::orders::Lists;
use super::{DeliveryStatus, Fact, FollowUp, Orders, Record, SHIPPED_TIME_MAX, Waiting};
use crate::context::Context;
use crate::date::Day;
use crate::problem::Problem;
use crate::remote::Reply;
use crate::store::Follower;
use crate::store::durable::Sidecar;

/// Follows the facts of orders.
pub struct Relay {
    /// What else follows from them.
    pub lists: Lists,
    /// What became of the orders.
    pub orders: Orders,
    /// Where they are published.
    pub sidecar: Arc<Sidecar>,
}

impl Follower<Fact> for Relay {
    fn take<'a>(&'a self, id: &'a str, fact: Fact) -> Reply<'a, ()> {
        Box::pin(async move {
            let topic = match &fact {
                Fact::Placed(record) => {
                    let (record, lists) = (json!(record), self.lists.take(id, fact));
                    // Whoever bought waits for the payment now. If nobody does any more, it is seen to later.
                    let looked_after = self.sidecar.send(PAYMENTS_DUE, id, PAYMENT_DUE_AFTER);
                    return tokio::try_join!(lists, looked_after, self.sidecar.publish(PLACED, id, &record))
                        .map(drop);
                }
                Fact::Paid => PAID,
                Fact::Declined => DECLINED,
                // Delivery itself has said so.
                Fact::Shipped { .. } => return Ok(()),
            };
            let Some(record) = self.orders.get(id).await? else { return Ok(()) };
            self.sidecar.publish(topic, id, &json!(record)).await
        })
    }
}

/// Waits a little for an order that was paid to be shipped, so that its customer sees it.
#[derive(Clone)]
pub struct Shipments {
    orders: Orders,
    shipped: broadcast::Sender<String>,
}

impl Shipments {
    /// Nothing shipped yet.
    pub fn new(orders: Orders) -> Self {
        Shipments { orders, shipped: broadcast::channel(SHIPPED_AT_ONCE_MAX).0 }
    }

    /// Notes that an order is shipped.
    ///
    /// # Errors
    /// What [`Orders::note`] says.
    pub async fn shipped(&self, id: String, estimated: Day) -> Result<(), Problem> {
        self.orders.note(&id, Fact::Shipped { estimated }).await?;
        // Maybe nobody waits.
        drop(self.shipped.send(id));
        Ok(())
    }

    async fn wait(&self, id: &str) {
        let mut shipped = self.shipped.subscribe();
        let is_shipped = |record: Record| record.order.delivery == DeliveryStatus::Arranged;
        if self.orders.get(id).await.ok().flatten().is_some_and(is_shipped) {
            return;
        }
        loop {
            match shipped.recv().await {
                Ok(other) if other != id => {}
                _ => return,
            }
        }
    }
}

impl FollowUp for Shipments {
    fn paid<'a>(&'a self, _: &'a Context, record: &'a Record) -> Waiting<'a> {
        Box::pin(async move {
            drop(tokio::time::timeout(SHIPPED_TIME_MAX, self.wait(&record.order.order_id)).await);
        })
    }
}

/// Has the queue of payments brought to this service. That holds until it is said otherwise, so once is enough.
pub async fn have_payments_looked_after(sidecar: Arc<Sidecar>) {
    let settings = json!({ "attemptsMax": 100, "backoff": "1s", "backoffMax": "1m", "lease": "30s" });
    let push = json!({ "route": super::WORK, "concurrency": 4 });
    while sidecar.push(PAYMENTS_DUE, &settings, &push).await.is_err() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Topics with a [`Record`], by order.
pub const PLACED: &str = "order-placed";
/// See [`PLACED`].
pub const PAID: &str = "order-paid";
/// See [`PLACED`].
pub const DECLINED: &str = "order-declined";
/// A topic with deliveries that were arranged, by order.
pub const SHIPPED: &str = "order-shipped";
/// The queue of orders whose payment may have been left half-way.
pub const PAYMENTS_DUE: &str = "payments-due";
/// How long a payment may be under way before it is looked after.
const PAYMENT_DUE_AFTER: &str = "5s";
/// Shipments that somebody who waits may fall behind by.
const SHIPPED_AT_ONCE_MAX: usize = 1_024;
