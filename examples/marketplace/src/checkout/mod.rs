//! Checkout: turns a cart into a paid order, once, whatever fails on the way.
//!
//! The rules:
//! - An `Idempotency-Key` names one order. Repeats with the key take turns: a second one waits for the
//!   first and then sees what came of it.
//! - The order is written down before money is asked for, and the payment's key is made from the order.
//!   So an attempt whose answer was lost can be repeated: with the same key, over the same amount, even
//!   if the cart has changed since.
//! - From the moment it is paid an order stands. Delivery, the message to the customer and the emptied
//!   cart are seen to until they are done: by [`calls`] in memory, by [`relay`] where facts outlive the process.
//! - A checkout that has begun goes on when its client hangs up, and is waited for when the service stops. One that is
//!   killed between the order and what came of the payment is looked after by a queue.

pub mod calls;
mod http;
mod orders;
mod owed;
pub mod relay;
mod turns;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

pub use http::{WORK, order_routes, routes, work};
pub use orders::{Fact, Lists, ORDERS_MAX, Orders, Record};

use crate::cart::{Cart, Contents, Line};
use crate::chance;
use crate::context::Context;
use crate::date::Day;
use crate::extract::check_customer;
use crate::payments::{Charge, Payments};
use crate::problem::Problem;
use crate::remote::Reply;
use crate::tell;
use orders::Named;
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
    /// The latest orders of a customer, the latest first. One that was just placed may be missing for a moment.
    fn orders<'a>(&'a self, cx: &'a Context, customer: &'a str) -> Reply<'a, Vec<Order>>;
}

/// Who sees to what a paid order is owed.
pub trait FollowUp: Send + Sync {
    /// Is told of an order that was paid, and returns when its customer may see it.
    fn paid<'a>(&'a self, cx: &'a Context, record: &'a Record) -> Waiting<'a>;
}

/// Until something is done, or was waited for long enough.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

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
    /// Where carts are read.
    pub cart: Arc<dyn Cart>,
    /// Who takes the money.
    pub payments: Arc<dyn Payments>,
    /// Who sees to the rest.
    pub follow_up: Arc<dyn FollowUp>,
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
}

impl CheckoutService {
    /// A service with these orders and peers.
    pub fn new(orders: Orders, peers: Peers) -> Self {
        let (turns, under_way) = (Turns::default(), Arc::default());
        CheckoutService(Arc::new(Inner { orders, peers, turns, under_way }))
    }

    /// Sees to the payment of an order that was left half-way, if it was.
    ///
    /// # Errors
    /// 503 when it must be tried again.
    pub async fn settle(&self, cx: &Context, id: &str) -> Result<(), Problem> {
        let _under_way = self.0.under_way.clone().read_owned().await;
        match self.0.orders.get(id).await? {
            Some(record) if record.order.status == Status::PaymentPending => {
                match self.0.pay(cx, record).await {
                    Err(problem) if !problem.is(StatusCode::PAYMENT_REQUIRED) => Err(problem),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
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
            // On a task of its own it is for the sake of the same request.
            let task = tokio::spawn(cx.clone().scope(async move {
                let _under_way = under_way;
                service.0.buy(&cx, &customer, key.as_deref()).await
            }));
            task.await.unwrap_or_else(|e| {
                Err(Problem::unavailable("checkout", format!("The checkout broke off: {e}")))
            })
        })
    }

    fn order<'a>(&'a self, _: &'a Context, id: &'a str) -> Reply<'a, Order> {
        Box::pin(async move {
            let unknown = || Problem::not_found(format!("There is no order `{id}`."));
            self.0.orders.get(id).await?.map(|record| record.order).ok_or_else(unknown)
        })
    }

    fn orders<'a>(&'a self, _: &'a Context, customer: &'a str) -> Reply<'a, Vec<Order>> {
        Box::pin(async move {
            check_customer(customer)?;
            self.0.orders.of(customer).await
        })
    }
}

impl Inner {
    async fn buy(&self, cx: &Context, customer: &str, key: Option<&str>) -> Result<Order, Problem> {
        check_customer(customer)?;
        let Some(key) = key else {
            let record = self.open(cx, customer, chance::id("order")).await?;
            return self.pay(cx, record).await;
        };
        let _turn = self.turns.take(key).await;
        let record = match self.orders.named(key).await? {
            Some(named) => self.placed(cx, customer, named).await?,
            None => {
                let cart = self.cart(cx, customer).await?;
                let named = Named { customer: customer.to_owned(), order_id: chance::id("order") };
                let named = self.orders.name(key, named).await?;
                check_owner(customer, &named)?;
                self.place(cart, named.order_id).await?
            }
        };
        match record.order.status {
            Status::Paid => Ok(record.order),
            Status::Declined => Err(declined(&record.order, "The payment of this order was declined.")),
            Status::PaymentPending => self.pay(cx, record).await,
        }
    }

    /// The order that a key stands for. Its first checkout may have ended before the order was written down.
    async fn placed(&self, cx: &Context, customer: &str, named: Named) -> Result<Record, Problem> {
        check_owner(customer, &named)?;
        match self.orders.get(&named.order_id).await? {
            Some(record) => Ok(record),
            None => self.open(cx, customer, named.order_id).await,
        }
    }

    async fn open(&self, cx: &Context, customer: &str, id: String) -> Result<Record, Problem> {
        let cart = self.cart(cx, customer).await?;
        self.place(cart, id).await
    }

    async fn cart(&self, cx: &Context, customer: &str) -> Result<Contents, Problem> {
        let cart = self.peers.cart.contents(cx, customer).await?;
        if cart.items.is_empty() {
            let detail = "There is nothing in the cart to buy.";
            return Err(Problem::new(StatusCode::CONFLICT, "empty-cart", "The cart is empty", detail));
        }
        Ok(cart)
    }

    /// Writes the order down, before any money moves.
    async fn place(&self, cart: Contents, id: String) -> Result<Record, Problem> {
        let order = Order {
            order_id: id,
            customer: cart.customer,
            status: Status::PaymentPending,
            delivery: DeliveryStatus::Pending,
            estimated: None,
            items: cart.items,
            total_cents: cart.total_cents,
        };
        let record = self.orders.place(Record { order, cart_version: cart.version }).await?;
        tell::info("an order is placed", &record.order.order_id);
        Ok(record)
    }

    async fn pay(&self, cx: &Context, record: Record) -> Result<Order, Problem> {
        let order = &record.order;
        let id = order.order_id.as_str();
        let charge =
            Charge { order: id.to_owned(), amount: order.total_cents, customer: order.customer.clone() };
        let paid = match self.peers.payments.charge(cx, &format!("pay-{id}"), &charge).await {
            Ok(_) => self.orders.note(id, Fact::Paid).await,
            Err(problem) if problem.is(StatusCode::PAYMENT_REQUIRED) => {
                self.orders.note(id, Fact::Declined).await?;
                tell::warn("the payment was declined", id);
                return Err(declined(order, &problem.detail));
            }
            Err(problem) => Err(problem),
        };
        let record = paid.map_err(|problem| pending(id, &problem))?;
        tell::info("an order is paid", id);
        self.peers.follow_up.paid(cx, &record).await;
        // What is to be seen beside the payment may be missing, but the payment was taken.
        Ok(self.orders.get(id).await.ok().flatten().unwrap_or(record).order)
    }
}

fn check_owner(customer: &str, named: &Named) -> Result<(), Problem> {
    if named.customer == customer {
        return Ok(());
    }
    let detail = "This Idempotency-Key was used by another customer.";
    Err(Problem::unprocessable("key-reused", "The key belongs to another checkout", detail))
}

fn pending(id: &str, problem: &Problem) -> Problem {
    let detail = format!(
        "The order is kept; repeating the checkout with the same Idempotency-Key tries again and never pays twice. {}",
        problem.detail
    );
    let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "The payment could not be taken");
    Problem::new(status, "payment-pending", title, detail).about(id)
}

fn declined(order: &Order, detail: &str) -> Problem {
    let title = "The payment was declined";
    Problem::new(StatusCode::PAYMENT_REQUIRED, "declined", title, detail).about(&order.order_id)
}

/// Longest that a customer waits for what comes after the payment.
const SHIPPED_TIME_MAX: Duration = Duration::from_millis(1_500);

#[cfg(test)]
mod tests;
