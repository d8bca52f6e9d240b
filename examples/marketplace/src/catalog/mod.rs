//! The catalog: what can be bought. Any number of instances may run: each follows the changes of products, whichever of
//! them was asked to make one, and searches what it knows.

mod http;
mod picture;
mod products;
mod search;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use http::routes;
pub use products::Products;

use crate::context::Context;
use crate::problem::Problem;
use crate::remote::Reply;
use crate::store::Journal;

/// What the other services ask of the catalog.
pub trait Catalog: Send + Sync {
    /// The products that `query` finds, best first.
    fn search<'a>(&'a self, cx: &'a Context, query: &'a Query) -> Reply<'a, Page>;
    /// One product; 404 if there is none.
    fn product<'a>(&'a self, cx: &'a Context, id: &'a str) -> Reply<'a, Product>;
    /// All categories in the order of the shop.
    fn categories<'a>(&'a self, cx: &'a Context) -> Reply<'a, Vec<Category>>;
}

/// Something to buy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Product {
    /// Its name in addresses.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// A sentence or two.
    pub description: String,
    /// Price of one, in euro cents.
    pub price_cents: u64,
    /// [`Category::id`] of where it is found.
    pub category: String,
    /// Words it is also found by.
    pub tags: Vec<String>,
    /// A drawing, SVG.
    pub image: String,
}

/// A group of products.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Category {
    /// Its name in addresses.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// How many products it holds.
    pub products: usize,
}

/// What to look for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Query {
    /// Words, all of which must be found. Empty: everything.
    #[serde(default)]
    pub q: String,
    /// Only this category; empty: all.
    #[serde(default)]
    pub category: String,
    /// Only these products, ids with commas between, in this order; empty: all.
    #[serde(default)]
    pub ids: String,
    /// Most products to return. Default 24, at most [`LIMIT_MAX`].
    pub limit: Option<usize>,
    /// Products to pass over first. Default 0.
    #[serde(default)]
    pub offset: usize,
}

/// A part of what was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// The products, best first.
    pub products: Vec<Product>,
    /// How many were found in all.
    pub total: usize,
    /// How many were passed over.
    pub offset: usize,
    /// How many were asked for at most.
    pub limit: usize,
}

/// A product has another price. What the shop has of a product is the latest of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repriced {
    /// Price of one, in euro cents, from 1 to [`PRICE_CENTS_MAX`].
    pub price_cents: u64,
}

/// The catalog itself.
pub struct CatalogService {
    products: Arc<Products>,
    changes: Arc<dyn Journal<Repriced>>,
}

impl CatalogService {
    /// A catalog of these products, which follow `changes`.
    pub fn new(products: Arc<Products>, changes: Arc<dyn Journal<Repriced>>) -> Arc<Self> {
        Arc::new(CatalogService { products, changes })
    }

    /// Gives a product another price, which every instance knows soon.
    ///
    /// # Errors
    /// 404 if there is no such product, 422 for what is no price, 503 if it is not known to be kept.
    pub async fn reprice(&self, id: &str, change: &Repriced) -> Result<(), Problem> {
        if !(1..=PRICE_CENTS_MAX).contains(&change.price_cents) {
            let detail = format!("A price is from 1 to {PRICE_CENTS_MAX} cents.");
            return Err(Problem::unprocessable("invalid-price", "This is no price", detail));
        }
        if self.products.stock().get(id).is_none() {
            return Err(Problem::not_found(format!("There is no product `{id}`.")));
        }
        self.changes.append(id, None, change).await.map(drop)
    }
}

impl Catalog for CatalogService {
    fn search<'a>(&'a self, _: &'a Context, query: &'a Query) -> Reply<'a, Page> {
        let limit = query.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
        let stock = self.products.stock();
        let found = stock.find(query);
        let products = found.iter().skip(query.offset).take(limit).map(|p| (*p).clone()).collect();
        let page = Page { products, total: found.len(), offset: query.offset, limit };
        Box::pin(async { Ok(page) })
    }

    fn product<'a>(&'a self, _: &'a Context, id: &'a str) -> Reply<'a, Product> {
        let product = self.products.stock().get(id).cloned();
        Box::pin(
            async move { product.ok_or_else(|| Problem::not_found(format!("There is no product `{id}`."))) },
        )
    }

    fn categories<'a>(&'a self, _: &'a Context) -> Reply<'a, Vec<Category>> {
        let categories = self.products.stock().categories().to_vec();
        Box::pin(async { Ok(categories) })
    }
}

/// Most products of one answer: more than the shop has, so peers can ask for all.
pub const LIMIT_MAX: usize = 200;
/// The highest price, in euro cents.
pub const PRICE_CENTS_MAX: u64 = 1_000_000;
const LIMIT_DEFAULT: usize = 24;
