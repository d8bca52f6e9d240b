//! Where the shop is put together: the same services, side by side in one process or each in its own.
//!
//! A service knows its peers by their traits. In the monolith a peer is the service itself; in a process
//! of its own it is a [`Remote`] at the address that the environment names. Where facts are kept is settled here, too: behind
//! the application API if the environment names its port, and otherwise in memory ([`Facts`]). Nothing else differs.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::cart::{self, CARTS_MAX, Cart, CartService, Carts};
use crate::catalog::{self, Catalog, CatalogService, LIMIT_MAX, Products};
use crate::chance::Dice;
use crate::checkout::calls::{Called, Calls};
use crate::checkout::relay::{self, Relay, Shipments};
use crate::checkout::{self, CheckoutService, Lists, ORDERS_MAX, Orders};
use crate::consumers;
use crate::context::carried;
use crate::delivery::{self, DELIVERIES_MAX, Deliveries, DeliveryService};
use crate::extract::{no_method, no_route};
use crate::notifications::{self, CUSTOMERS_MAX, Messages, NotificationsService};
use crate::payments::{self, Books, KEYS_MAX, Ledger, Payments, PaymentsService};
use crate::recommendations::{self, Purchases, RecommendationsService};
use crate::remote::Remote;
use crate::storefront;

pub use facts::Background;
use facts::Facts;

mod facts;

/// A program ready to be served.
pub struct App {
    /// What it answers.
    pub router: Router,
    /// What it does besides, for as long as it lives.
    pub background: Vec<Background>,
    /// Its checkout, if it has one, which has an end to come to.
    pub checkout: Option<CheckoutService>,
}

/// The names of the services.
pub const SERVICES: [&str; 8] =
    ["storefront", "catalog", "cart", "checkout", "payments", "delivery", "notifications", "recommendations"];

/// All services in this process, at the paths that a gateway would give them.
///
/// # Errors
/// What is wrong with the program's own data, or with the environment.
pub fn monolith(env: &dyn Fn(&str) -> Option<String>) -> Result<App, String> {
    let mut facts = Facts::of(env)?;
    let catalog = the_catalog(&mut facts)?;
    let cart = the_cart(&mut facts, catalog.clone());
    let payments = the_payments(&mut facts);
    let delivery = the_delivery(&mut facts);
    let notifications = the_notifications(&mut facts);
    let recommendations = the_recommendations(&mut facts, catalog.clone(), cart.clone());
    let called = || {
        Ok(Called {
            cart: cart.clone(),
            delivery: delivery.clone(),
            notifications: notifications.clone(),
            recommendations: recommendations.clone(),
        })
    };
    let checkout = the_checkout(&mut facts, cart.clone(), payments.clone(), called)?;
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
    Ok(finished(router, "monolith", facts, Some(checkout)))
}

/// One service in this process, its peers where `env` says (`CATALOG_URL` and so on).
///
/// # Errors
/// An unknown service, or a peer whose address is missing or wrong.
pub fn service(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<App, String> {
    let unknown = || format!("there is no service `{name}`; there are {}", SERVICES.join(", "));
    let name = SERVICES.into_iter().find(|service| *service == name).ok_or_else(unknown)?;
    let peer = |peer: &'static str| remote(name, peer, env);
    let mut facts = Facts::of(env)?;
    let mut checkout = None;
    let router = match name {
        "storefront" => storefront::routes(storefront::Peers {
            catalog: peer("catalog")?,
            cart: peer("cart")?,
            checkout: peer("checkout")?,
            recommendations: peer("recommendations")?,
        }),
        "catalog" => catalog::routes(the_catalog(&mut facts)?),
        "cart" => cart::routes(the_cart(&mut facts, peer("catalog")?)),
        "checkout" => {
            let (cart, payments) = (peer("cart")?, peer("payments")?);
            let called = || {
                Ok(Called {
                    cart: cart.clone(),
                    delivery: peer("delivery")?,
                    notifications: peer("notifications")?,
                    recommendations: peer("recommendations")?,
                })
            };
            let service = the_checkout(&mut facts, cart.clone(), payments, called)?;
            let orders = checkout::order_routes(Arc::new(service.clone()));
            checkout::routes(Arc::new(checkout.insert(service).clone())).nest("/orders", orders)
        }
        "payments" => payments::routes(the_payments(&mut facts)),
        "delivery" => delivery::routes(the_delivery(&mut facts)),
        "notifications" => notifications::routes(the_notifications(&mut facts)),
        _ => recommendations::routes(the_recommendations(&mut facts, peer("catalog")?, peer("cart")?)),
    };
    Ok(finished(router, name, facts, checkout))
}

fn the_catalog(facts: &mut Facts) -> Result<Arc<CatalogService>, String> {
    let products = Arc::new(Products::built_in()?);
    // The latest change of a product is all that there is to know of it.
    let changes = facts.journal("products", json!({ "countMax": 1 }), LIMIT_MAX, products.clone());
    Ok(CatalogService::new(products, changes))
}

fn the_cart(facts: &mut Facts, catalog: Arc<dyn Catalog>) -> Arc<CartService> {
    let cart = CartService::new(Carts::new(facts.shelf("carts", CARTS_MAX)), catalog);
    let consumed = cart.clone();
    facts.consume(|_| consumers::emptying(consumed));
    cart
}

fn the_payments(facts: &mut Facts) -> Arc<PaymentsService> {
    let books = Books::new();
    let entries = facts.journal("ledger", json!({}), KEYS_MAX, books.clone());
    PaymentsService::new(Ledger::new(entries, books), Dice::random())
}

fn the_delivery(facts: &mut Facts) -> Arc<DeliveryService> {
    let delivery = DeliveryService::new(Deliveries::new(facts.shelf("deliveries", DELIVERIES_MAX)));
    let consumed = delivery.clone();
    facts.consume(|sidecar| consumers::delivering(consumed, sidecar));
    delivery
}

fn the_notifications(facts: &mut Facts) -> Arc<NotificationsService> {
    let notifications = NotificationsService::new(Messages::new(facts.shelf("messages", CUSTOMERS_MAX)));
    let consumed = notifications.clone();
    facts.consume(|_| consumers::telling(consumed));
    notifications
}

fn the_recommendations(
    facts: &mut Facts,
    catalog: Arc<dyn Catalog>,
    cart: Arc<dyn Cart>,
) -> Arc<RecommendationsService> {
    let purchases = Arc::new(Purchases::new());
    let settings = json!({ "ageMax": "2160h" });
    let learned = facts.journal("purchases", settings, recommendations::ORDERS_MAX, purchases.clone());
    let recommendations = RecommendationsService::new(purchases, learned, catalog, cart);
    let consumed = recommendations.clone();
    facts.consume(|_| consumers::learning(consumed));
    recommendations
}

/// In memory checkout calls whom an order concerns; otherwise they hear of it.
fn the_checkout(
    facts: &mut Facts,
    cart: Arc<dyn Cart>,
    payments: Arc<dyn Payments>,
    called: impl FnOnce() -> Result<Called, String>,
) -> Result<CheckoutService, String> {
    let lists = Lists(facts.shelf("orders-of-customers", CUSTOMERS_MAX));
    let names = facts.shelf("checkouts", ORDERS_MAX);
    let Some(sidecar) = facts.sidecar.clone() else {
        let journal = facts.journal("orders", json!({}), ORDERS_MAX, Arc::new(lists.clone()));
        let orders = Orders::new(journal, names, lists);
        let follow_up = Calls::new(orders.clone(), called()?);
        facts.beside(follow_up.clone().follow_up());
        return Ok(CheckoutService::new(orders, checkout::Peers { cart, payments, follow_up }));
    };
    let journal = facts.durable_journal(&sidecar, "orders", json!({}));
    let orders = Orders::new(journal.clone(), names, lists.clone());
    let relay = Relay { lists, orders: orders.clone(), sidecar: sidecar.clone() };
    let places = facts::places(&sidecar);
    facts.beside(journal.follow(places, Arc::new(relay)));
    facts.beside(relay::have_payments_looked_after(sidecar));
    let shipments = Shipments::new(orders.clone());
    let follow_up = Arc::new(shipments.clone());
    facts.consume(|_| consumers::shipping(shipments));
    let checkout = CheckoutService::new(orders, checkout::Peers { cart, payments, follow_up });
    facts.route(checkout::work(checkout.clone()));
    Ok(checkout)
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

fn finished(router: Router, service: &'static str, facts: Facts, checkout: Option<CheckoutService>) -> App {
    let (more, background) = facts.finished(service);
    let router = router.merge(more);
    let health = Json(json!({ "status": "ready", "service": service }));
    let pages = matches!(service, "monolith" | "storefront");
    let router = if pages { router.fallback(storefront::missing) } else { router.fallback(no_route) };
    let router = router
        .route("/healthz", get(async move || health.clone()))
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(carried));
    App { router, background, checkout }
}

/// Largest body of a request, bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
