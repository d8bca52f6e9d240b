//! The repository of products: read from `products.json` at start, then changed as their changes become known, indexed
//! for search.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use super::picture::{self, Tone};
use super::search::Index;
use super::{Category, Product, Query, Repriced};
use crate::remote::Reply;
use crate::store::Follower;

/// All products, in memory.
pub struct Products(Mutex<Arc<Stock>>);

/// All products at a time.
#[derive(Clone)]
pub struct Stock {
    products: Vec<Product>,
    by_id: HashMap<String, usize>,
    categories: Vec<Category>,
    index: Arc<Index>,
    /// Products in the order in which the shop shows them unasked: each category in turn.
    featured: Vec<usize>,
}

impl Products {
    /// The products that are built into the program.
    ///
    /// # Errors
    /// What is wrong with the list, which is a mistake in `products.json`.
    pub fn built_in() -> Result<Self, String> {
        let stock: Vec<StockCategory> =
            serde_json::from_str(include_str!("products.json")).map_err(|e| format!("products.json: {e}"))?;
        let mut products = Vec::new();
        let mut categories = Vec::new();
        let mut order = Vec::new();
        for (column, group) in stock.into_iter().enumerate() {
            let StockCategory { id, name, products: stock } = group;
            categories.push(Category { id: id.clone(), name, products: stock.len() });
            for (row, item) in stock.into_iter().enumerate() {
                order.push((row, column, products.len()));
                products.push(item.product(&id)?);
            }
        }
        order.sort_unstable();
        let by_id: HashMap<_, _> = products.iter().enumerate().map(|(i, p)| (p.id.clone(), i)).collect();
        if by_id.len() != products.len() {
            return Err("products.json: two products have the same name".to_owned());
        }
        let index = Arc::new(Index::new(&products, &categories));
        let featured = order.into_iter().map(|(_, _, product)| product).collect();
        let stock = Stock { products, by_id, categories, index, featured };
        Ok(Products(Mutex::new(Arc::new(stock))))
    }

    /// As they are now.
    pub fn stock(&self) -> Arc<Stock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Follower<Repriced> for Products {
    fn take<'a>(&'a self, product: &'a str, change: Repriced) -> Reply<'a, ()> {
        let mut stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is not sold any more may have had another price once.
        if let Some(&at) = stock.by_id.get(product) {
            Arc::make_mut(&mut stock).products[at].price_cents = change.price_cents;
        }
        Box::pin(async { Ok(()) })
    }
}

impl Stock {
    /// The product with this id.
    pub fn get(&self, id: &str) -> Option<&Product> {
        self.by_id.get(id).map(|&i| &self.products[i])
    }

    /// All categories.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// What `query` finds, best first, regardless of its limit and offset.
    pub fn find(&self, query: &Query) -> Vec<&Product> {
        let among: Vec<&Product> = if !query.ids.is_empty() {
            query.ids.split(',').filter_map(|id| self.get(id)).collect()
        } else if query.q.trim().is_empty() {
            self.featured.iter().map(|&i| &self.products[i]).collect()
        } else {
            self.index.find(&query.q).into_iter().map(|i| &self.products[i]).collect()
        };
        among.into_iter().filter(|p| query.category.is_empty() || p.category == query.category).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StockCategory {
    id: String,
    name: String,
    products: Vec<StockItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StockItem {
    name: String,
    cents: u64,
    shape: String,
    tone: Tone,
    tags: String,
    about: String,
}

impl StockItem {
    fn product(self, category: &str) -> Result<Product, String> {
        let image = picture::draw(&self.shape, self.tone)
            .ok_or_else(|| format!("products.json: {} has an unknown shape `{}`", self.name, self.shape))?;
        Ok(Product {
            id: slug(&self.name),
            name: self.name,
            description: self.about,
            price_cents: self.cents,
            category: category.to_owned(),
            tags: self.tags.split_whitespace().map(str::to_owned).collect(),
            image,
        })
    }
}

/// `Stoneware Mug` becomes `stoneware-mug`.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(query: &Query) -> Vec<String> {
        let products = Products::built_in().expect("good products").stock();
        products.find(query).into_iter().map(|p| p.name.clone()).collect()
    }

    #[test]
    fn the_shop_is_well_stocked() {
        let products = Products::built_in().expect("good products").stock();
        assert!(products.products.len() >= 100, "{}", products.products.len());
        assert!(products.categories().len() >= 10);
        for product in &products.products {
            assert!(product.price_cents > 0 && product.description.len() > 20, "{}", product.name);
            assert!(product.image.starts_with("<svg") && !product.image.contains('@'), "{}", product.name);
        }
        assert!(products.products.len() <= super::super::LIMIT_MAX);
    }

    #[test]
    fn unasked_every_category_is_shown_first() {
        let products = Products::built_in().expect("good products").stock();
        let count = products.categories().len();
        let first: std::collections::HashSet<_> =
            products.find(&Query::default()).iter().take(count).map(|p| p.category.clone()).collect();
        assert_eq!(first.len(), count);
    }

    #[test]
    fn a_category_narrows_a_search() {
        let all = names(&Query { q: "linen".into(), ..Query::default() });
        let some = names(&Query { q: "linen".into(), category: "textiles".into(), ..Query::default() });
        assert!(!some.is_empty() && some.len() < all.len());
    }

    #[test]
    fn chosen_products_keep_their_order() {
        let products = Products::built_in().expect("good products").stock();
        let (a, b) = (&products.products[5], &products.products[2]);
        let ids = format!("{},nothing,{}", a.id, b.id);
        assert_eq!(names(&Query { ids, ..Query::default() }), [a.name.clone(), b.name.clone()]);
    }
}
