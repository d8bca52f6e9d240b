//! The repository of purchases: counts of what was bought, alone and together. Each method is one transaction.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Purchase;
use crate::catalog::Product;
use crate::recent::Recent;
use crate::remote::Reply;
use crate::store::Follower;

/// All purchases as counts, in memory. Orders and customers are remembered up to a bound.
pub struct Purchases(Mutex<State>);

struct State {
    orders: Recent<String, ()>,
    bought: Recent<String, Vec<String>>,
    sold: BTreeMap<String, u32>,
    together: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Purchases {
    /// None yet.
    pub fn new() -> Self {
        let (orders, bought) = (Recent::new(ORDERS_MAX), Recent::new(CUSTOMERS_MAX));
        Purchases(Mutex::new(State { orders, bought, sold: BTreeMap::new(), together: BTreeMap::new() }))
    }

    /// Counts a purchase, unless its order was counted before.
    pub fn add(&self, purchase: &Purchase) {
        let mut state = self.state();
        if state.orders.get(&purchase.order).is_some() {
            return;
        }
        state.orders.insert(purchase.order.clone(), ());
        let products = &purchase.products[..purchase.products.len().min(PRODUCTS_MAX)];
        for a in products {
            state.count(a, products);
        }
        let mut bought = state.bought.remove(&purchase.customer).unwrap_or_default();
        bought.retain(|known| !products.contains(known));
        bought.extend_from_slice(products);
        let extra = bought.len().saturating_sub(PRODUCTS_MAX);
        bought.drain(..extra);
        state.bought.insert(purchase.customer.clone(), bought);
    }

    /// The `most` products of `assortment` that go best with what is in the cart, then with what the
    /// customer bought before; nothing that they have already. With neither: what sells best. Among
    /// equals each customer gets a choice of their own.
    pub fn suggest(
        &self,
        customer: &str,
        in_cart: &[String],
        assortment: &[Product],
        most: usize,
    ) -> Vec<Product> {
        let state = self.state();
        let bought: &[String] = state.bought.get(customer).map_or(&[], Vec::as_slice);
        let has: HashSet<&str> = in_cart.iter().chain(bought).map(String::as_str).collect();
        let find = |id: &String| assortment.iter().find(|p| p.id == *id);
        let cart: Vec<&Product> = in_cart.iter().filter_map(find).collect();
        let before: Vec<&Product> = bought.iter().filter_map(find).collect();
        let mut ranked: Vec<((u64, u64), &Product)> = assortment
            .iter()
            .filter(|p| !has.contains(p.id.as_str()))
            .map(|p| {
                let with_cart: u64 = cart.iter().map(|other| state.affinity(other, p)).sum();
                let with_before: u64 = before.iter().map(|other| state.affinity(other, p)).sum();
                let score = CART_WEIGHT * with_cart + with_before + state.popularity(p);
                ((score, lot(customer, &p.id)), p)
            })
            .collect();
        ranked.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        ranked.into_iter().take(most).map(|(_, p)| p.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower<Purchase> for Purchases {
    fn take<'a>(&'a self, _: &'a str, purchase: Purchase) -> Reply<'a, ()> {
        self.add(&purchase);
        Box::pin(async { Ok(()) })
    }
}

impl State {
    fn count(&mut self, product: &str, with: &[String]) {
        if self.sold.len() >= ASSORTMENT_MAX && !self.sold.contains_key(product) {
            return;
        }
        *self.sold.entry(product.to_owned()).or_default() += 1;
        let row = self.together.entry(product.to_owned()).or_default();
        for other in with.iter().filter(|other| *other != product) {
            if row.len() < ASSORTMENT_MAX || row.contains_key(other) {
                *row.entry(other.clone()).or_default() += 1;
            }
        }
    }

    /// How well `candidate` goes with `owned`: often bought together counts most, then shared tags, then
    /// the same category.
    fn affinity(&self, owned: &Product, candidate: &Product) -> u64 {
        let together =
            self.together.get(&owned.id).and_then(|row| row.get(&candidate.id)).copied().unwrap_or(0);
        let tags = candidate.tags.iter().filter(|tag| owned.tags.contains(tag)).count() as u64;
        let category = u64::from(owned.category == candidate.category);
        u64::from(together) * TOGETHER_WEIGHT + tags * TAG_WEIGHT + category * CATEGORY_WEIGHT
    }

    /// Less than a single tag: it decides only between equals.
    fn popularity(&self, product: &Product) -> u64 {
        u64::from(self.sold.get(&product.id).copied().unwrap_or(0).min(POPULARITY_MAX))
    }
}

/// The same lot whenever the same customer meets the same product.
fn lot(customer: &str, product: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (customer, product).hash(&mut hasher);
    hasher.finish()
}

const TOGETHER_WEIGHT: u64 = 2_000;
const TAG_WEIGHT: u64 = 1_500;
const CATEGORY_WEIGHT: u64 = 1_000;
const CART_WEIGHT: u64 = 3;
const POPULARITY_MAX: u32 = 999;
const _: () = assert!((POPULARITY_MAX as u64) < CATEGORY_WEIGHT);
/// Orders that are known to have been counted.
pub const ORDERS_MAX: usize = 20_000;
const CUSTOMERS_MAX: usize = 10_000;
/// Products of one purchase, and of one customer's past, that are looked at.
const PRODUCTS_MAX: usize = 50;
/// Different products that are counted.
const ASSORTMENT_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn assortment() -> Vec<Product> {
        let product = |id: &str, category: &str| Product {
            id: id.into(),
            name: id.into(),
            description: String::new(),
            price_cents: 1,
            category: category.into(),
            tags: Vec::new(),
            image: String::new(),
        };
        vec![
            product("lamp", "light"),
            product("mug", "coffee"),
            product("beans", "coffee"),
            product("pan", "kitchen"),
        ]
    }

    fn ids(products: Vec<Product>) -> Vec<String> {
        products.into_iter().map(|p| p.id).collect()
    }

    fn buy(purchases: &Purchases, order: &str, customer: &str, products: &[&str]) {
        let products = products.iter().map(|p| (*p).to_owned()).collect();
        purchases.add(&Purchase { order: order.into(), customer: customer.into(), products });
    }

    #[test]
    fn bought_together_beats_category_beats_the_rest() {
        let purchases = Purchases::new();
        let cart = ["mug".to_owned()];
        assert_eq!(ids(purchases.suggest("anna", &cart, &assortment(), 1)), ["beans"]);
        buy(&purchases, "o1", "bert", &["mug", "pan"]);
        assert_eq!(ids(purchases.suggest("anna", &cart, &assortment(), 2)), ["pan", "beans"]);
    }

    #[test]
    fn nobody_is_offered_what_they_have() {
        let purchases = Purchases::new();
        buy(&purchases, "o1", "anna", &["lamp", "pan"]);
        let cart = ["mug".to_owned()];
        assert_eq!(ids(purchases.suggest("anna", &cart, &assortment(), 9)), ["beans"]);
    }

    #[test]
    fn strangers_see_what_sells() {
        let purchases = Purchases::new();
        buy(&purchases, "o1", "bert", &["pan"]);
        assert_eq!(ids(purchases.suggest("anna", &[], &assortment(), 1)), ["pan"]);
    }

    #[test]
    fn a_customer_keeps_their_choice_and_others_get_another() {
        let purchases = Purchases::new();
        let choice = |customer: &str| ids(purchases.suggest(customer, &[], &assortment(), 4));
        assert_eq!(choice("anna"), choice("anna"));
        assert!((0..20).any(|n| choice(&format!("c{n}")) != choice("anna")));
    }

    #[test]
    fn an_order_told_twice_counts_once() {
        let purchases = Purchases::new();
        buy(&purchases, "o1", "bert", &["pan", "mug"]);
        buy(&purchases, "o1", "bert", &["pan", "mug"]);
        assert_eq!(purchases.state().together["pan"]["mug"], 1);
    }
}
