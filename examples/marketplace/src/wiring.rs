//! Where the shop is put together: the same services, side by side in one process or each in its own.
//!
//! A service knows its peers by their traits. In the monolith a peer is the service itself; in a process
//! of its own it is a [`Remote`] at the address that the environment names. Nothing else differs.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::cart::{self, CartService, Carts};
use crate::catalog::{self, CatalogService, Products};
use crate::chance::Dice;
use crate::checkout::{self, CheckoutService, Orders};
use crate::delivery::{self, Deliveries, DeliveryService};
use crate::extract::{no_method, no_route};
use crate::notifications::{self, Messages, NotificationsService};
use crate::payments::{self, Ledger, PaymentsService};
use crate::recommendations::{self, Purchases, RecommendationsService};
use crate::remote::Remote;
use crate::storefront;

/// A program ready to be served.
pub struct App {
    /// What it answers.
    pub router: Router,
    /// Its checkout, if it has one: it works in the background too.
    pub checkout: Option<CheckoutService>,
}

/// The names of the services.
pub const SERVICES: [&str; 8] =
    ["storefront", "catalog", "cart", "checkout", "payments", "delivery", "notifications", "recommendations"];

/// All services in this process, at the paths that a gateway would give them.
///
/// # Errors
/// What is wrong with the program's own data.
pub fn monolith() -> Result<App, String> {
    let catalog = CatalogService::new(Products::built_in()?);
    let cart = CartService::new(Carts::new(), catalog.clone());
    let payments = PaymentsService::new(Ledger::new(), Dice::random());
    let delivery = DeliveryService::new(Deliveries::new());
    let notifications = NotificationsService::new(Messages::new());
    let recommendations = RecommendationsService::new(Purchases::new(), catalog.clone(), cart.clone());
    let peers = checkout::Peers {
        cart: cart.clone(),
        payments: payments.clone(),
        delivery: delivery.clone(),
        notifications: notifications.clone(),
        recommendations: recommendations.clone(),
    };
    let checkout = CheckoutService::new(Orders::new(), peers);
    let shop = storefront::Peers {
        catalog: catalog.clone(),
        cart: cart.clone(),
        checkout: Arc::new(checkout.clone()),
        recommendations: recommendations.clone(),
    };
    let router = storefront::routes(shop)
        .nest("/api/catalog", catalog::routes(catalog))
        .nest("/api/cart", cart::routes(cart))
        .nest("/api/checkout", checkout::routes(Arc::new(checkout.clone())))
        .nest("/api/orders", checkout::order_routes(Arc::new(checkout.clone())))
        .nest("/api/payments", payments::routes(payments))
        .nest("/api/delivery", delivery::routes(delivery))
        .nest("/api/notifications", notifications::routes(notifications))
        .nest("/api/recommendations", recommendations::routes(recommendations));
    Ok(App { router: finished(router, "monolith"), checkout: Some(checkout) })
}

/// One service in this process, its peers where `env` says (`CATALOG_URL` and so on).
///
/// # Errors
/// An unknown service, or a peer whose address is missing or wrong.
pub fn service(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<App, String> {
    let peer = |peer: &'static str| remote(name, peer, env);
    let mut background = None;
    let router = match name {
        "storefront" => storefront::routes(storefront::Peers {
            catalog: peer("catalog")?,
            cart: peer("cart")?,
            checkout: peer("checkout")?,
            recommendations: peer("recommendations")?,
        }),
        "catalog" => catalog::routes(CatalogService::new(Products::built_in()?)),
        "cart" => cart::routes(CartService::new(Carts::new(), peer("catalog")?)),
        "checkout" => {
            let peers = checkout::Peers {
                cart: peer("cart")?,
                payments: peer("payments")?,
                delivery: peer("delivery")?,
                notifications: peer("notifications")?,
                recommendations: peer("recommendations")?,
            };
            let checkout = CheckoutService::new(Orders::new(), peers);
            background = Some(checkout.clone());
            let orders = checkout::order_routes(Arc::new(checkout.clone()));
            checkout::routes(Arc::new(checkout)).nest("/orders", orders)
        }
        "payments" => payments::routes(PaymentsService::new(Ledger::new(), Dice::random())),
        "delivery" => delivery::routes(DeliveryService::new(Deliveries::new())),
        "notifications" => notifications::routes(NotificationsService::new(Messages::new())),
        "recommendations" => {
            let (catalog, cart) = (peer("catalog")?, peer("cart")?);
            recommendations::routes(RecommendationsService::new(Purchases::new(), catalog, cart))
        }
        _ => return Err(format!("there is no service `{name}`; there are {}", SERVICES.join(", "))),
    };
    Ok(App { router: finished(router, name), checkout: background })
}

fn remote(
    service: &str,
    peer: &'static str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<Remote>, String> {
    let variable = format!("{}_URL", peer.to_uppercase());
    let missing = || format!("{service} calls {peer}: set {variable}, for example to http://127.0.0.1:3001");
    let url = env(&variable).filter(|url| !url.is_empty()).ok_or_else(missing)?;
    Remote::new(peer, &url).map(Arc::new).map_err(|why| format!("{variable}: {why}"))
}

fn finished(router: Router, service: &str) -> Router {
    let health = Json(json!({ "status": "ready", "service": service }));
    let pages = matches!(service, "monolith" | "storefront");
    let router = if pages { router.fallback(storefront::missing) } else { router.fallback(no_route) };
    router
        .route("/healthz", get(async move || health.clone()))
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Largest body of a request, bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
