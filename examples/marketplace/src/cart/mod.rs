//! The cart: what each customer means to buy, with the prices they were shown.

mod carts;
mod http;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use carts::{CARTS_MAX, Carts};
pub use http::routes;

use crate::catalog::Catalog;
use crate::context::Context;
use crate::extract::check_customer;
use crate::problem::Problem;
use crate::remote::Reply;

/// What the other services ask of the cart.
pub trait Cart: Send + Sync {
    /// A customer's cart, empty if there is none yet.
    fn contents<'a>(&'a self, cx: &'a Context, customer: &'a str) -> Reply<'a, Contents>;
    /// Sets how many of a product are in the cart; 0 takes it out. Saying it twice changes nothing.
    fn put<'a>(&'a self, cx: &'a Context, customer: &'a str, item: &'a Item) -> Reply<'a, Contents>;
    /// Empties the cart. With a `version`, only if nothing changed since the cart had that version.
    fn clear<'a>(&'a self, cx: &'a Context, customer: &'a str, version: Option<u64>) -> Reply<'a, ()>;
}

/// A wish: this many of that product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    /// The product's id.
    pub product: String,
    /// How many in all, 0 to [`QUANTITY_MAX`].
    pub quantity: u32,
}

/// A cart as it is shown and bought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// Whose cart.
    pub customer: String,
    /// What is in it, in the order in which it was put there.
    pub items: Vec<Line>,
    /// How many pieces in all.
    pub count: u32,
    /// What they cost together, in euro cents.
    pub total_cents: u64,
    /// Grows with every change.
    pub version: u64,
}

/// One product in a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The product's id.
    pub product: String,
    /// The product's name.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// Price of one, in euro cents.
    pub price_cents: u64,
    /// Price of all of them, in euro cents.
    pub total_cents: u64,
}

/// The cart service itself.
pub struct CartService {
    carts: Carts,
    catalog: Arc<dyn Catalog>,
}

impl CartService {
    /// A service that looks products up in `catalog`.
    pub fn new(carts: Carts, catalog: Arc<dyn Catalog>) -> Arc<Self> {
        Arc::new(CartService { carts, catalog })
    }

    async fn set(&self, cx: &Context, customer: &str, item: &Item) -> Result<Contents, Problem> {
        check_customer(customer)?;
        if item.quantity > QUANTITY_MAX {
            let detail = format!("At most {QUANTITY_MAX} of a product fit into a cart.");
            return Err(Problem::unprocessable("too-many", "Too many of one product", detail));
        }
        if item.quantity == 0 {
            return self.carts.set(customer, &item.product, "", 0, 0).await;
        }
        let product = self.catalog.product(cx, &item.product).await.map_err(|problem| {
            if problem.is(axum::http::StatusCode::NOT_FOUND) {
                let detail = format!("There is no product `{}`.", item.product);
                return Problem::unprocessable("unknown-product", "No such product", detail);
            }
            problem
        })?;
        self.carts.set(customer, &product.id, &product.name, product.price_cents, item.quantity).await
    }
}

impl Cart for CartService {
    fn contents<'a>(&'a self, _: &'a Context, customer: &'a str) -> Reply<'a, Contents> {
        Box::pin(async move {
            check_customer(customer)?;
            self.carts.get(customer).await
        })
    }

    fn put<'a>(&'a self, cx: &'a Context, customer: &'a str, item: &'a Item) -> Reply<'a, Contents> {
        Box::pin(self.set(cx, customer, item))
    }

    fn clear<'a>(&'a self, _: &'a Context, customer: &'a str, version: Option<u64>) -> Reply<'a, ()> {
        Box::pin(async move {
            check_customer(customer)?;
            self.carts.clear(customer, version).await
        })
    }
}

/// Most pieces of one product in a cart.
pub const QUANTITY_MAX: u32 = 99;
/// Most different products in a cart.
pub const LINES_MAX: usize = 50;
