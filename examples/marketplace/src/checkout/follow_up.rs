//! What a paid order is owed: tried once while the customer waits, then in the background until done.

use std::time::Duration;

use super::orders::Step;
use super::{CheckoutService, Inner, Order};
use crate::context::Context;
use crate::delivery::Wanted;
use crate::money::Euros;
use crate::notifications::Message;
use crate::problem::Problem;
use crate::recommendations::Purchase;

impl CheckoutService {
    /// Works off what orders are owed. Never returns: run it beside the service.
    pub async fn follow_up(self) {
        let mut wait = WAIT_MIN;
        loop {
            // A failing peer is left alone for a while; a new order alone doesn't shorten that.
            if self.0.round().await {
                wait = WAIT_MIN;
                self.0.wake.notified().await;
            } else {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
    }
}

impl Inner {
    /// Tries what the customer would like to see done; the rest, and what fails, is left for later.
    pub(super) async fn first_steps(&self, cx: &Context, id: &str) {
        if let Some(order) = self.orders.get(id) {
            let steps = async {
                tokio::join!(
                    self.step(cx, &order, Step::Deliver),
                    self.step(cx, &order, Step::Notify),
                    self.step(cx, &order, Step::EmptyCart),
                )
            };
            // Whether they were done is in the repository; too late counts as not done.
            drop(tokio::time::timeout(FIRST_STEPS_TIME_MAX, steps).await);
        }
        self.orders.release(id);
        self.wake.notify_one();
    }

    /// Goes through everything owed. False if something failed and must be tried again.
    ///
    /// Kinds of steps don't wait for each other: when recommendations are down, parcels still leave.
    async fn round(&self) -> bool {
        let (deliver, notify, empty, learn) = tokio::join!(
            self.all(Step::Deliver),
            self.all(Step::Notify),
            self.all(Step::EmptyCart),
            self.all(Step::Learn),
        );
        deliver && notify && empty && learn
    }

    async fn all(&self, step: Step) -> bool {
        loop {
            let orders = self.orders.owed(step, BATCH);
            if orders.is_empty() {
                return true;
            }
            for order in orders {
                if self.step(&Context::default(), &order, step).await.is_err() {
                    return false;
                }
            }
        }
    }

    async fn step(&self, cx: &Context, order: &Order, step: Step) -> Result<(), Problem> {
        let mut estimated = None;
        match step {
            Step::Deliver => {
                estimated = Some(self.peers.delivery.arrange(cx, &wanted(order)).await?.estimated)
            }
            Step::Notify => drop(self.peers.notifications.notify(cx, &message(order)).await?),
            Step::EmptyCart => {
                let version = self.orders.cart_version(&order.order_id);
                self.peers.cart.clear(cx, &order.customer, version).await?;
            }
            Step::Learn => self.peers.recommendations.learn(cx, &purchase(order)).await?,
        }
        self.orders.done(&order.order_id, step, estimated);
        Ok(())
    }
}

fn wanted(order: &Order) -> Wanted {
    let pieces = order.items.iter().map(|line| line.quantity).sum();
    Wanted { order: order.order_id.clone(), customer: order.customer.clone(), pieces }
}

fn message(order: &Order) -> Message {
    let text =
        format!("Thank you! {} over {} is paid and being packed.", order.order_id, Euros(order.total_cents));
    Message { customer: order.customer.clone(), order: order.order_id.clone(), text }
}

fn purchase(order: &Order) -> Purchase {
    let products = order.items.iter().map(|line| line.product.clone()).collect();
    Purchase { order: order.order_id.clone(), customer: order.customer.clone(), products }
}

/// Longest that a customer waits for what comes after the payment.
const FIRST_STEPS_TIME_MAX: Duration = Duration::from_millis(1_500);
/// First and longest wait before failed steps are tried again.
const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Orders taken from the repository at a time.
const BATCH: usize = 64;
