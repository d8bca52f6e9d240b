//! Delivery: promises a day for each order, once.

mod deliveries;
mod http;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use deliveries::{DELIVERIES_MAX, Deliveries};
pub use http::routes;

use crate::context::Context;
use crate::date::Day;
use crate::problem::Problem;
use crate::remote::Reply;
use crate::tell;

/// What the other services ask of delivery.
pub trait Delivery: Send + Sync {
    /// Arranges a delivery; an order that has one keeps it.
    fn arrange<'a>(&'a self, cx: &'a Context, wanted: &'a Wanted) -> Reply<'a, Arranged>;
}

/// A delivery to arrange.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wanted {
    /// The order to bring.
    pub order: String,
    /// To whom.
    pub customer: String,
    /// How many pieces: large orders take a day longer.
    pub pieces: u32,
}

/// A delivery that was arranged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arranged {
    /// The order.
    pub order: String,
    /// To whom.
    pub customer: String,
    /// The day it is expected to arrive.
    pub estimated: Day,
}

/// The delivery service itself.
pub struct DeliveryService {
    deliveries: Deliveries,
}

impl DeliveryService {
    /// A service with these deliveries.
    pub fn new(deliveries: Deliveries) -> Arc<Self> {
        Arc::new(DeliveryService { deliveries })
    }

    /// The delivery of an order.
    ///
    /// # Errors
    /// 404 if none was arranged, 503 if that is not to be known.
    pub async fn find(&self, order: &str) -> Result<Arranged, Problem> {
        let unknown = || Problem::not_found(format!("No delivery was arranged for order `{order}`."));
        self.deliveries.get(order).await?.ok_or_else(unknown)
    }
}

impl Delivery for DeliveryService {
    fn arrange<'a>(&'a self, _: &'a Context, wanted: &'a Wanted) -> Reply<'a, Arranged> {
        let working_days = if wanted.pieces > PIECES_IN_ONE_PARCEL { 3 } else { 2 };
        let estimated = Day::today().after_working_days(working_days);
        let (order, customer) = (wanted.order.clone(), wanted.customer.clone());
        Box::pin(async move {
            let arranged = self.deliveries.arrange(Arranged { order, customer, estimated }).await?;
            tell::info("a delivery is arranged", &arranged.order);
            Ok(arranged)
        })
    }
}

const PIECES_IN_ONE_PARCEL: u32 = 10;
