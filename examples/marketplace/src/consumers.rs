//! Who does what when something happens to an order.

use std::sync::Arc;

use serde_json::json;

use crate::cart::Cart;
use crate::checkout::Record;
use crate::checkout::relay::{PAID, SHIPPED, Shipments};
use crate::context::Context;
use crate::delivery::{Arranged, Delivery};
use crate::events::Consumer;
use crate::notifications::Notifications;
use crate::recommendations::Recommendations;
use crate::store::durable::Sidecar;

/// Delivery brings what is paid, and says so. It says it again if it is told again, for it may have come no further.
pub fn delivering(delivery: Arc<dyn Delivery>, sidecar: Arc<Sidecar>) -> Consumer {
    Consumer::new(PAID, move |record: Record| {
        let (delivery, sidecar) = (delivery.clone(), sidecar.clone());
        async move {
            let arranged = delivery.arrange(&Context::current(), &record.wanted()).await?;
            sidecar.publish(SHIPPED, &arranged.order, &json!(arranged)).await
        }
    })
}

/// The customer is told that the order is paid.
pub fn telling(notifications: Arc<dyn Notifications>) -> Consumer {
    Consumer::new(PAID, move |record: Record| {
        let notifications = notifications.clone();
        async move { notifications.notify(&Context::current(), &record.message()).await.map(drop) }
    })
}

/// The cart is emptied, if it is still the one that was bought.
pub fn emptying(cart: Arc<dyn Cart>) -> Consumer {
    Consumer::new(PAID, move |record: Record| {
        let cart = cart.clone();
        async move { cart.clear(&Context::current(), &record.order.customer, Some(record.cart_version)).await }
    })
}

/// Recommendations learn from what was bought together.
pub fn learning(recommendations: Arc<dyn Recommendations>) -> Consumer {
    Consumer::new(PAID, move |record: Record| {
        let recommendations = recommendations.clone();
        async move { recommendations.learn(&Context::current(), &record.purchase()).await }
    })
}

/// Checkout notes that an order is on its way.
pub fn shipping(shipments: Shipments) -> Consumer {
    Consumer::new(SHIPPED, move |arranged: Arranged| {
        let shipments = shipments.clone();
        async move { shipments.shipped(arranged.order, arranged.estimated).await }
    })
}
