//! The repository of carts. Each method is one transaction.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Contents, LINES_MAX, Line};
use crate::problem::Problem;
use crate::recent::Recent;

/// All carts, in memory: the [`CARTS_MAX`] that were changed last.
pub struct Carts(Mutex<State>);

struct State {
    carts: Recent<String, Contents>,
    version: u64,
}

impl Carts {
    /// No carts yet.
    pub fn new() -> Self {
        // Versions go on from the time, so that none comes again when the service starts anew.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Carts(Mutex::new(State { carts: Recent::new(CARTS_MAX), version: since.as_micros() as u64 }))
    }

    /// A customer's cart.
    pub fn get(&self, customer: &str) -> Contents {
        let empty = || Contents { customer: customer.to_owned(), ..Contents::default() };
        self.state().carts.get(customer).cloned().unwrap_or_else(empty)
    }

    /// Sets how many of a product are in a cart, at this name and price; 0 takes it out.
    ///
    /// # Errors
    /// 422 when the cart has no room for another product.
    pub fn set(
        &self,
        customer: &str,
        product: &str,
        name: &str,
        price_cents: u64,
        quantity: u32,
    ) -> Result<Contents, Problem> {
        let mut state = self.state();
        let mut cart = state.carts.get(customer).cloned().unwrap_or_default();
        let place = cart.items.iter().position(|line| line.product == product);
        let total_cents = price_cents * u64::from(quantity);
        let line =
            Line { product: product.to_owned(), name: name.to_owned(), quantity, price_cents, total_cents };
        match place {
            Some(i) if quantity == 0 => drop(cart.items.remove(i)),
            Some(i) => cart.items[i] = line,
            None if quantity == 0 => {}
            None if cart.items.len() == LINES_MAX => {
                let detail = format!("A cart holds at most {LINES_MAX} different products.");
                return Err(Problem::unprocessable("cart-full", "The cart is full", detail));
            }
            None => cart.items.push(line),
        }
        state.version += 1;
        cart.version = state.version;
        customer.clone_into(&mut cart.customer);
        cart.count = cart.items.iter().map(|line| line.quantity).sum();
        cart.total_cents = cart.items.iter().map(|line| line.total_cents).sum();
        state.carts.insert(customer.to_owned(), cart.clone());
        Ok(cart)
    }

    /// Empties a cart, if it still has that version or none was asked for.
    pub fn clear(&self, customer: &str, version: Option<u64>) {
        let mut state = self.state();
        if version.is_none() || state.carts.get(customer).map(|cart| cart.version) == version {
            state.carts.remove(customer);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carts that are remembered, about 20 MB of well-filled ones.
const CARTS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_follow_every_change() {
        let carts = Carts::new();
        carts.set("anna", "mug", "Mug", 1_800, 2).expect("room");
        let cart = carts.set("anna", "pan", "Pan", 6_900, 1).expect("room");
        assert_eq!((cart.count, cart.total_cents), (3, 10_500));
        let cart = carts.set("anna", "mug", "Mug", 1_800, 1).expect("room");
        assert_eq!((cart.count, cart.total_cents, cart.items.len()), (2, 8_700, 2));
        let cart = carts.set("anna", "pan", "", 0, 0).expect("room");
        assert_eq!((cart.count, cart.total_cents, cart.items.len()), (1, 1_800, 1));
        assert_eq!(carts.get("anna"), cart);
        assert_eq!(carts.get("bert").count, 0);
    }

    #[test]
    fn a_changed_cart_is_not_emptied_by_an_old_purchase() {
        let carts = Carts::new();
        let bought = carts.set("anna", "mug", "Mug", 1_800, 1).expect("room");
        carts.set("anna", "pan", "Pan", 6_900, 1).expect("room");
        carts.clear("anna", Some(bought.version));
        assert_eq!(carts.get("anna").count, 2);
        carts.clear("anna", Some(carts.get("anna").version));
        assert_eq!(carts.get("anna").count, 0);
    }

    #[test]
    fn a_full_cart_says_so() {
        let carts = Carts::new();
        for n in 0..LINES_MAX {
            carts.set("anna", &format!("p{n}"), "P", 1, 1).expect("room");
        }
        assert_eq!(carts.set("anna", "one more", "P", 1, 1).expect_err("full").status, 422);
        assert_eq!(carts.set("anna", "p3", "P", 1, 9).expect("already there").count, 58);
    }
}
