//! The repository of carts.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Contents, LINES_MAX, Line};
use crate::problem::Problem;
use crate::store::{Item, Shelf, TRIES_MAX, change, contended};

/// All carts, by customer.
pub struct Carts(Arc<dyn Shelf<Contents>>);

impl Carts {
    /// Those on a shelf.
    pub fn new(shelf: Arc<dyn Shelf<Contents>>) -> Self {
        Carts(shelf)
    }

    /// A customer's cart.
    ///
    /// # Errors
    /// 503 if it cannot be had.
    pub async fn get(&self, customer: &str) -> Result<Contents, Problem> {
        let empty = || Contents { customer: customer.to_owned(), ..Contents::default() };
        Ok(self.0.get(customer).await?.map_or_else(empty, |item| item.value))
    }

    /// Sets how many of a product are in a cart, at this name and price; 0 takes it out.
    ///
    /// # Errors
    /// 422 when the cart has no room for another product, 503 if it cannot be had.
    pub async fn set(
        &self,
        customer: &str,
        product: &str,
        name: &str,
        price_cents: u64,
        quantity: u32,
    ) -> Result<Contents, Problem> {
        let total_cents = price_cents * u64::from(quantity);
        let line =
            Line { product: product.to_owned(), name: name.to_owned(), quantity, price_cents, total_cents };
        let after = change(&*self.0, customer, |cart| with(cart, customer, line.clone()).map(Some)).await?;
        Ok(after.unwrap_or_default())
    }

    /// Empties a cart, if it still has that version or none was asked for.
    ///
    /// # Errors
    /// 503 if it cannot be had.
    pub async fn clear(&self, customer: &str, version: Option<u64>) -> Result<(), Problem> {
        for _ in 0..TRIES_MAX {
            let Some(Item { value: cart, edition }) = self.0.get(customer).await? else { return Ok(()) };
            let is_another = version.is_some_and(|version| version != cart.version);
            if is_another || self.0.remove(customer, &edition).await? {
                return Ok(());
            }
        }
        Err(contended("this cart"))
    }
}

/// The cart after a line was put in, or in the place of the one of the same product.
fn with(cart: Option<Contents>, customer: &str, line: Line) -> Result<Contents, Problem> {
    let mut cart = cart.unwrap_or_default();
    let place = cart.items.iter().position(|other| other.product == line.product);
    match place {
        Some(i) if line.quantity == 0 => drop(cart.items.remove(i)),
        Some(i) => cart.items[i] = line,
        None if line.quantity == 0 => {}
        None if cart.items.len() == LINES_MAX => {
            let detail = format!("A cart holds at most {LINES_MAX} different products.");
            return Err(Problem::unprocessable("cart-full", "The cart is full", detail));
        }
        None => cart.items.push(line),
    }
    // Versions go on from the time, so that none comes again when a cart is begun anew.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    cart.version = (cart.version + 1).max(now.as_micros() as u64);
    customer.clone_into(&mut cart.customer);
    cart.count = cart.items.iter().map(|line| line.quantity).sum();
    cart.total_cents = cart.items.iter().map(|line| line.total_cents).sum();
    Ok(cart)
}

/// Carts that are remembered in memory, about 20 MB of well-filled ones.
pub const CARTS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryShelf;

    fn carts() -> Carts {
        Carts::new(Arc::new(MemoryShelf::new(CARTS_MAX)))
    }

    #[tokio::test]
    async fn sums_follow_every_change() {
        let carts = carts();
        carts.set("anna", "mug", "Mug", 1_800, 2).await.expect("room");
        let cart = carts.set("anna", "pan", "Pan", 6_900, 1).await.expect("room");
        assert_eq!((cart.count, cart.total_cents), (3, 10_500));
        let cart = carts.set("anna", "mug", "Mug", 1_800, 1).await.expect("room");
        assert_eq!((cart.count, cart.total_cents, cart.items.len()), (2, 8_700, 2));
        let cart = carts.set("anna", "pan", "", 0, 0).await.expect("room");
        assert_eq!((cart.count, cart.total_cents, cart.items.len()), (1, 1_800, 1));
        assert_eq!(carts.get("anna").await.expect("had"), cart);
        assert_eq!(carts.get("bert").await.expect("had").count, 0);
    }

    #[tokio::test]
    async fn a_changed_cart_is_not_emptied_by_an_old_purchase() {
        let carts = carts();
        let bought = carts.set("anna", "mug", "Mug", 1_800, 1).await.expect("room");
        carts.set("anna", "pan", "Pan", 6_900, 1).await.expect("room");
        carts.clear("anna", Some(bought.version)).await.expect("done");
        assert_eq!(carts.get("anna").await.expect("had").count, 2);
        let version = carts.get("anna").await.expect("had").version;
        carts.clear("anna", Some(version)).await.expect("done");
        assert_eq!(carts.get("anna").await.expect("had").count, 0);
    }

    #[tokio::test]
    async fn a_full_cart_says_so() {
        let carts = carts();
        for n in 0..LINES_MAX {
            carts.set("anna", &format!("p{n}"), "P", 1, 1).await.expect("room");
        }
        assert_eq!(carts.set("anna", "one more", "P", 1, 1).await.expect_err("full").status, 422);
        assert_eq!(carts.set("anna", "p3", "P", 1, 9).await.expect("already there").count, 58);
    }
}
