//! Recommendations: what goes with a cart, learned from what was bought together.
//!
//! Nice to have and nothing more: whoever asks must do well without an answer.

mod http;
mod purchases;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use http::routes;
pub use purchases::{ORDERS_MAX, Purchases};

use crate::cart::Cart;
use crate::catalog::{Catalog, LIMIT_MAX, Product, Query};
use crate::context::Context;
use crate::extract::check_customer;
use crate::problem::Problem;
use crate::remote::Reply;
use crate::store::Journal;

/// What the other services ask of recommendations.
pub trait Recommendations: Send + Sync {
    /// Products for this customer, best first, who looks at that product if one is named.
    fn suggest<'a>(
        &'a self,
        cx: &'a Context,
        customer: &'a str,
        product: Option<&'a str>,
    ) -> Reply<'a, Vec<Product>>;
    /// Learns from a purchase. Telling it again changes nothing.
    fn learn<'a>(&'a self, cx: &'a Context, purchase: &'a Purchase) -> Reply<'a, ()>;
}

/// What was bought together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purchase {
    /// In which order.
    pub order: String,
    /// By whom.
    pub customer: String,
    /// Product ids.
    pub products: Vec<String>,
}

/// How slowly to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dial {
    /// Wait before every suggestion, milliseconds, at most 60,000.
    pub latency_ms: u64,
}

/// The recommendations service itself.
pub struct RecommendationsService {
    purchases: Arc<Purchases>,
    learned: Arc<dyn Journal<Purchase>>,
    catalog: Arc<dyn Catalog>,
    cart: Arc<dyn Cart>,
    assortment: Mutex<Option<(Instant, Arc<Vec<Product>>)>>,
    dial: Mutex<Dial>,
}

impl RecommendationsService {
    /// A service that writes down what it learns, and knows what follows from it by `purchases`.
    pub fn new(
        purchases: Arc<Purchases>,
        learned: Arc<dyn Journal<Purchase>>,
        catalog: Arc<dyn Catalog>,
        cart: Arc<dyn Cart>,
    ) -> Arc<Self> {
        let (assortment, dial) = (Mutex::default(), Mutex::default());
        Arc::new(RecommendationsService { purchases, learned, catalog, cart, assortment, dial })
    }

    /// How it is set.
    pub fn dial(&self) -> Dial {
        *self.dial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets it.
    ///
    /// # Errors
    /// 422 for a wait that is too long.
    pub fn set_dial(&self, dial: Dial) -> Result<(), Problem> {
        if dial.latency_ms > LATENCY_MS_MAX {
            let detail = format!("`latency_ms` is at most {LATENCY_MS_MAX}.");
            return Err(Problem::unprocessable("invalid-dial", "The dial can't be set so", detail));
        }
        *self.dial.lock().unwrap_or_else(PoisonError::into_inner) = dial;
        Ok(())
    }

    async fn rank(
        &self,
        cx: &Context,
        customer: &str,
        product: Option<&str>,
    ) -> Result<Vec<Product>, Problem> {
        check_customer(customer)?;
        let latency = self.dial().latency_ms;
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
        let (assortment, cart) = tokio::join!(self.assortment(cx), self.cart.contents(cx, customer));
        let in_cart = cart?.items.into_iter().map(|line| line.product);
        let present: Vec<String> = in_cart.chain(product.map(str::to_owned)).collect();
        Ok(self.purchases.suggest(customer, &present, &assortment?, SUGGESTIONS))
    }

    /// All products, asked for now and then, so that not every suggestion costs the catalog a search.
    async fn assortment(&self, cx: &Context) -> Result<Arc<Vec<Product>>, Problem> {
        let known = self.assortment.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((asked, products)) = &known
            && asked.elapsed() < ASSORTMENT_AGE_MAX
        {
            return Ok(products.clone());
        }
        let query = Query { limit: Some(LIMIT_MAX), ..Query::default() };
        match (self.catalog.search(cx, &query).await, known) {
            (Ok(page), _) => {
                let products = Arc::new(page.products);
                let mut kept = self.assortment.lock().unwrap_or_else(PoisonError::into_inner);
                *kept = Some((Instant::now(), products.clone()));
                Ok(products)
            }
            (Err(_), Some((_, old))) => Ok(old),
            (Err(problem), None) => Err(problem),
        }
    }
}

impl Recommendations for RecommendationsService {
    fn suggest<'a>(
        &'a self,
        cx: &'a Context,
        customer: &'a str,
        product: Option<&'a str>,
    ) -> Reply<'a, Vec<Product>> {
        Box::pin(self.rank(cx, customer, product))
    }

    fn learn<'a>(&'a self, _: &'a Context, purchase: &'a Purchase) -> Reply<'a, ()> {
        Box::pin(async move {
            check_customer(&purchase.customer)?;
            self.learned.append(&purchase.order, Some(0), purchase).await.map(drop)
        })
    }
}

/// How many products are suggested.
const SUGGESTIONS: usize = 4;
const ASSORTMENT_AGE_MAX: Duration = Duration::from_secs(30);
const LATENCY_MS_MAX: u64 = 60_000;
