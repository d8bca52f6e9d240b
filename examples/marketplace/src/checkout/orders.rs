//! The repository of orders and of the steps still owed to them. Each method is one transaction.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{DeliveryStatus, Order, Status};
use crate::date::Day;
use crate::recent::Recent;

/// All orders, in memory: the last [`ORDERS_MAX`].
pub struct Orders(Mutex<State>);

struct State {
    orders: Recent<String, Record>,
    by_key: Recent<String, String>,
    /// Orders that nobody is working on and that are still owed steps.
    owed: BTreeSet<String>,
}

struct Record {
    order: Order,
    cart_version: u64,
    owed: Vec<Step>,
}

/// Something a paid order is owed. Each may be done twice without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Arrange the delivery.
    Deliver,
    /// Tell the customer.
    Notify,
    /// Empty the cart it was bought from, if it is still the same.
    EmptyCart,
    /// Let recommendations learn from it.
    Learn,
}

impl Orders {
    /// None yet.
    pub fn new() -> Self {
        let (orders, by_key) = (Recent::new(ORDERS_MAX), Recent::new(ORDERS_MAX));
        Orders(Mutex::new(State { orders, by_key, owed: BTreeSet::new() }))
    }

    /// Writes a new order down, under `key` if there is one, with the version of the cart it comes from.
    pub fn open(&self, key: Option<&str>, order: Order, cart_version: u64) {
        let mut state = self.state();
        if let Some(key) = key {
            state.by_key.insert(key.to_owned(), order.order_id.clone());
        }
        let record = Record { order, cart_version, owed: Vec::new() };
        if let Some((forgotten, _)) = state.orders.insert(record.order.order_id.clone(), record) {
            state.owed.remove(&forgotten);
        }
    }

    /// The order with this id.
    pub fn get(&self, id: &str) -> Option<Order> {
        self.state().orders.get(id).map(|record| record.order.clone())
    }

    /// The order that `key` names.
    pub fn by_key(&self, key: &str) -> Option<Order> {
        let state = self.state();
        let id = state.by_key.get(key)?;
        state.orders.get(id).map(|record| record.order.clone())
    }

    /// The version that the cart of an order had.
    pub fn cart_version(&self, id: &str) -> Option<u64> {
        self.state().orders.get(id).map(|record| record.cart_version)
    }

    /// Notes that an order is paid, from which on it is owed every [`Step`]. Whoever calls works on
    /// them, then calls [`Self::release`].
    pub fn paid(&self, id: &str) {
        if let Some(record) = self.state().orders.get_mut(id) {
            record.order.status = Status::Paid;
            record.owed = vec![Step::Deliver, Step::Notify, Step::EmptyCart, Step::Learn];
        }
    }

    /// Notes that an order was declined.
    pub fn declined(&self, id: &str) {
        if let Some(record) = self.state().orders.get_mut(id) {
            record.order.status = Status::Declined;
        }
    }

    /// Notes that a step was done; with the day, if it was the delivery.
    pub fn done(&self, id: &str, step: Step, estimated: Option<Day>) {
        let mut state = self.state();
        let Some(record) = state.orders.get_mut(id) else { return };
        record.owed.retain(|owed| *owed != step);
        if step == Step::Deliver {
            record.order.delivery = DeliveryStatus::Arranged;
            record.order.estimated = estimated;
        }
        if record.owed.is_empty() {
            state.owed.remove(id);
        }
    }

    /// Leaves what an order is still owed to whoever asks for [`Self::owed`].
    pub fn release(&self, id: &str) {
        let mut state = self.state();
        if state.orders.get(id).is_some_and(|record| !record.owed.is_empty()) {
            state.owed.insert(id.to_owned());
        }
    }

    /// At most `most` released orders that are owed `step`.
    pub fn owed(&self, step: Step, most: usize) -> Vec<Order> {
        let state = self.state();
        let records = state.owed.iter().filter_map(|id| state.orders.get(id));
        records
            .filter(|record| record.owed.contains(&step))
            .take(most)
            .map(|record| record.order.clone())
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Orders that are remembered, about 25 MB. The key of an order that is forgotten would buy anew.
const ORDERS_MAX: usize = 20_000;
