//! What a paid order is owed, done by calling who does it: where nothing is kept but in memory, and nobody brings events.
//! Tried once while the customer waits, then in the background until done.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::orders::ORDERS_MAX;
use super::{FollowUp, Orders, Record, SHIPPED_TIME_MAX, Waiting};
use crate::cart::Cart;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::notifications::Notifications;
use crate::problem::Problem;
use crate::recommendations::Recommendations;

/// Who is called.
pub struct Called {
    /// Who empties the cart.
    pub cart: Arc<dyn Cart>,
    /// Who brings the order.
    pub delivery: Arc<dyn Delivery>,
    /// Who tells the customer.
    pub notifications: Arc<dyn Notifications>,
    /// Who learns from it.
    pub recommendations: Arc<dyn Recommendations>,
}

/// What is owed to which order, and who is called for it.
pub struct Calls {
    orders: Orders,
    called: Called,
    owed: Mutex<BTreeMap<String, Owed>>,
    wake: tokio::sync::Notify,
}

struct Owed {
    record: Record,
    steps: Vec<Step>,
    /// Nobody is working on it.
    is_released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Deliver,
    Notify,
    EmptyCart,
    Learn,
}

impl Calls {
    /// Nothing owed yet.
    pub fn new(orders: Orders, called: Called) -> Arc<Self> {
        Arc::new(Calls { orders, called, owed: Mutex::default(), wake: tokio::sync::Notify::new() })
    }

    /// Works off what orders are owed. Never returns: run it beside the service.
    pub async fn follow_up(self: Arc<Self>) {
        let mut wait = WAIT_MIN;
        loop {
            // A failing peer is left alone for a while; a new order alone doesn't shorten that.
            if self.round().await {
                wait = WAIT_MIN;
                self.wake.notified().await;
            } else {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
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
            let records = self.released(step);
            if records.is_empty() {
                return true;
            }
            for record in records {
                if self.step(&Context::default(), &record, step).await.is_err() {
                    return false;
                }
            }
        }
    }

    async fn step(&self, cx: &Context, record: &Record, step: Step) -> Result<(), Problem> {
        let id = &record.order.order_id;
        match step {
            Step::Deliver => {
                let estimated = self.called.delivery.arrange(cx, &record.wanted()).await?.estimated;
                self.orders.note(id, super::Fact::Shipped { estimated }).await?;
            }
            Step::Notify => drop(self.called.notifications.notify(cx, &record.message()).await?),
            Step::EmptyCart => {
                self.called.cart.clear(cx, &record.order.customer, Some(record.cart_version)).await?;
            }
            Step::Learn => self.called.recommendations.learn(cx, &record.purchase()).await?,
        }
        let mut owed = self.owed();
        if let Some(order) = owed.get_mut(id) {
            order.steps.retain(|other| *other != step);
            if order.steps.is_empty() {
                owed.remove(id);
            }
        }
        Ok(())
    }

    /// Some orders that nobody works on and that are owed `step`.
    fn released(&self, step: Step) -> Vec<Record> {
        let owed = self.owed();
        let orders = owed.values().filter(|order| order.is_released && order.steps.contains(&step));
        orders.take(BATCH).map(|order| order.record.clone()).collect()
    }

    fn owed(&self) -> MutexGuard<'_, BTreeMap<String, Owed>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FollowUp for Calls {
    fn paid<'a>(&'a self, cx: &'a Context, record: &'a Record) -> Waiting<'a> {
        Box::pin(async move {
            let steps = vec![Step::Deliver, Step::Notify, Step::EmptyCart, Step::Learn];
            let id = &record.order.order_id;
            {
                let mut owed = self.owed();
                if owed.len() >= ORDERS_MAX {
                    owed.pop_first();
                }
                let record = record.clone();
                owed.insert(id.clone(), Owed { record, steps, is_released: false });
            }
            let steps = async {
                tokio::join!(
                    self.step(cx, record, Step::Deliver),
                    self.step(cx, record, Step::Notify),
                    self.step(cx, record, Step::EmptyCart),
                )
            };
            // Whether they were done is in what is owed; too late counts as not done.
            drop(tokio::time::timeout(SHIPPED_TIME_MAX, steps).await);
            if let Some(order) = self.owed().get_mut(id) {
                order.is_released = true;
            }
            self.wake.notify_one();
        })
    }
}

/// First and longest wait before failed steps are tried again.
const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Orders looked at at a time.
const BATCH: usize = 64;
