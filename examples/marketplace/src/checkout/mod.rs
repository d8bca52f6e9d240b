//! Checkout: turns a cart into a paid order, once, whatever fails on the way.
//!
//! The rules:
//! - An `Idempotency-Key` names one order. Repeats with the key take turns: a second one waits for the
//!   first and then sees what came of it.
//! - The order is written down before money is asked for, and the payment's key is made from the order.
//!   So an attempt whose answer was lost can be repeated: with the same key, over the same amount, even
//!   if the cart has changed since.
//! - From the moment it is paid an order stands. Delivery, the message to the customer and the emptied
//!   cart are steps that are tried at once and, where they fail, later again ([`follow_up`]).
//! - A checkout that has begun goes on when its client hangs up, and is waited for when the service stops.

mod follow_up;
mod http;
mod orders;
mod turns;

use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

pub use http::{order_routes, routes};
pub use orders::Orders;

use crate::cart::{Cart, Line};
use crate::chance;
use crate::context::Context;
use crate::date::Day;
use crate::delivery::Delivery;
use crate::extract::check_customer;
use crate::notifications::Notifications;
use crate::payments::{Charge, Payments};
use crate::problem::Problem;
use crate::recommendations::Recommendations;
use crate::remote::Reply;
use turns::Turns;

/// What the other services ask of checkout.
pub trait Checkout: Send + Sync {
    /// Buys what is in the customer's cart. With a `key`, repeating it gives the same order.
    ///
    /// 409 when the cart is empty, 402 when the payment is declined, 503 when it couldn't be taken: then
    /// the same key tries again.
    fn buy<'a>(&'a self, cx: &'a Context, customer: &'a str, key: Option<&'a str>) -> Reply<'a, Order>;
    /// An order; 404 if there is none.
    fn order<'a>(&'a self, cx: &'a Context, id: &'a str) -> Reply<'a, Order>;
}

/// An order as its customer sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its name.
    pub order_id: String,
    /// Whose it is.
    pub customer: String,
    /// How far the payment is.
    pub status: Status,
    /// How far the delivery is.
    pub delivery: DeliveryStatus,
    /// The day it is expected, once delivery is arranged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated: Option<Day>,
    /// What was bought.
    pub items: Vec<Line>,
    /// What it costs, in euro cents.
    pub total_cents: u64,
}

/// How far the payment of an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not taken, or not known to be taken. Repeating the checkout tries again.
    PaymentPending,
    /// Refused for good.
    Declined,
    /// Taken, once.
    Paid,
}

/// How far the delivery of an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryStatus {
    /// Not arranged yet; it is being tried.
    Pending,
    /// Arranged.
    Arranged,
}

/// What checkout needs of others.
pub struct Peers {
    /// Where carts are read and emptied.
    pub cart: Arc<dyn Cart>,
    /// Who takes the money.
    pub payments: Arc<dyn Payments>,
    /// Who brings the order.
    pub delivery: Arc<dyn Delivery>,
    /// Who tells the customer.
    pub notifications: Arc<dyn Notifications>,
    /// Who learns from it.
    pub recommendations: Arc<dyn Recommendations>,
}

/// The checkout service itself.
#[derive(Clone)]
pub struct CheckoutService(Arc<Inner>);

struct Inner {
    orders: Orders,
    peers: Peers,
    turns: Turns,
    /// Read by every checkout under way, written by who waits for them all.
    under_way: Arc<RwLock<()>>,
    wake: tokio::sync::Notify,
}

impl CheckoutService {
    /// A service with these orders and peers. Call [`Self::follow_up`] once beside it.
    pub fn new(orders: Orders, peers: Peers) -> Self {
        let (turns, under_way, wake) = (Turns::default(), Arc::default(), tokio::sync::Notify::new());
        CheckoutService(Arc::new(Inner { orders, peers, turns, under_way, wake }))
    }

    /// Returns when no checkout is under way.
    pub async fn finish(&self) {
        drop(self.0.under_way.write().await);
    }
}

impl Checkout for CheckoutService {
    fn buy<'a>(&'a self, cx: &'a Context, customer: &'a str, key: Option<&'a str>) -> Reply<'a, Order> {
        let (service, cx) = (self.clone(), cx.clone());
        let (customer, key) = (customer.to_owned(), key.map(str::to_owned));
        Box::pin(async move {
            let under_way = service.0.under_way.clone().read_owned().await;
            let task = tokio::spawn(async move {
                let _under_way = under_way;
                service.0.buy(&cx, &customer, key.as_deref()).await
            });
            task.await.unwrap_or_else(|e| {
                Err(Problem::unavailable("checkout", format!("The checkout broke off: {e}")))
            })
        })
    }

    fn order<'a>(&'a self, _: &'a Context, id: &'a str) -> Reply<'a, Order> {
        let order =
            self.0.orders.get(id).ok_or_else(|| Problem::not_found(format!("There is no order `{id}`.")));
        Box::pin(async { order })
    }
}

impl Inner {
    async fn buy(&self, cx: &Context, customer: &str, key: Option<&str>) -> Result<Order, Problem> {
        check_customer(customer)?;
        let Some(key) = key else {
            let order = self.open(cx, customer, None).await?;
            return self.pay(cx, order).await;
        };
        let _turn = self.turns.take(key).await;
        let order = match self.orders.by_key(key) {
            Some(order) if order.customer != customer => {
                let detail = "This Idempotency-Key was used by another customer.";
                return Err(Problem::unprocessable(
                    "key-reused",
                    "The key belongs to another checkout",
                    detail,
                ));
            }
            Some(order) => order,
            None => self.open(cx, customer, Some(key)).await?,
        };
        match order.status {
            Status::Paid => Ok(order),
            Status::Declined => Err(declined(&order, "The payment of this order was declined.")),
            Status::PaymentPending => self.pay(cx, order).await,
        }
    }

    /// Writes the order down, before any money moves.
    async fn open(&self, cx: &Context, customer: &str, key: Option<&str>) -> Result<Order, Problem> {
        let cart = self.peers.cart.contents(cx, customer).await?;
        if cart.items.is_empty() {
            let detail = "There is nothing in the cart to buy.";
            return Err(Problem::new(StatusCode::CONFLICT, "empty-cart", "The cart is empty", detail));
        }
        let order = Order {
            order_id: chance::id("order"),
            customer: customer.to_owned(),
            status: Status::PaymentPending,
            delivery: DeliveryStatus::Pending,
            estimated: None,
            items: cart.items,
            total_cents: cart.total_cents,
        };
        self.orders.open(key, order.clone(), cart.version);
        Ok(order)
    }

    async fn pay(&self, cx: &Context, order: Order) -> Result<Order, Problem> {
        let id = order.order_id.as_str();
        let charge =
            Charge { order: id.to_owned(), amount: order.total_cents, customer: order.customer.clone() };
        match self.peers.payments.charge(cx, &format!("pay-{id}"), &charge).await {
            Ok(_) => {
                self.orders.paid(id);
                self.first_steps(cx, id).await;
                Ok(self.orders.get(id).unwrap_or(Order { status: Status::Paid, ..order }))
            }
            Err(problem) if problem.is(StatusCode::PAYMENT_REQUIRED) => {
                self.orders.declined(id);
                Err(declined(&order, &problem.detail))
            }
            Err(problem) => {
                let detail = format!(
                    "The order is kept; repeating the checkout with the same Idempotency-Key tries again and never pays twice. {}",
                    problem.detail
                );
                let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "The payment could not be taken");
                Err(Problem::new(status, "payment-pending", title, detail).about(id))
            }
        }
    }
}

fn declined(order: &Order, detail: &str) -> Problem {
    let title = "The payment was declined";
    Problem::new(StatusCode::PAYMENT_REQUIRED, "declined", title, detail).about(&order.order_id)
}

#[cfg(test)]
mod tests;
