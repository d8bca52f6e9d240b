//! The repository of orders: a stream of facts for each, names for them by idempotency key, and a list for each customer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeliveryStatus, Order, Status};
use crate::date::Day;
use crate::problem::Problem;
use crate::remote::Reply;
use crate::store::{Follower, Item, Journal, Shelf, TRIES_MAX, change, contended};

/// Something that happened to an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// It was written down; no money was asked for before.
    Placed(Record),
    /// The payment was taken.
    Paid,
    /// The payment was refused for good.
    Declined,
    /// The delivery was arranged, for that day.
    Shipped {
        /// The day.
        estimated: Day,
    },
}

/// An order and what is known of it besides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The order.
    pub order: Order,
    /// The version of the cart that it comes from.
    pub cart_version: u64,
}

/// What an idempotency key stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Named {
    /// Whose key it is.
    pub customer: String,
    /// The name of the order, which may not have been placed yet.
    pub order_id: String,
}

/// All orders.
#[derive(Clone)]
pub struct Orders {
    facts: Arc<dyn Journal<Fact>>,
    names: Arc<dyn Shelf<Named>>,
    lists: Lists,
}

/// The orders of each customer by name: a projection of the facts.
#[derive(Clone)]
pub struct Lists(pub Arc<dyn Shelf<Vec<String>>>);

impl Orders {
    /// Those that are written in `facts`, which `lists` follow.
    pub fn new(facts: Arc<dyn Journal<Fact>>, names: Arc<dyn Shelf<Named>>, lists: Lists) -> Self {
        Orders { facts, names, lists }
    }

    /// What a key stands for, if it was used before.
    ///
    /// # Errors
    /// 503 if that is not to be known.
    pub async fn named(&self, key: &str) -> Result<Option<Named>, Problem> {
        Ok(self.names.get(key).await?.map(|item| item.value))
    }

    /// Has a key stand for an order, unless it does so for another, and returns what counts.
    ///
    /// # Errors
    /// 503 if that is not known to be so.
    pub async fn name(&self, key: &str, named: Named) -> Result<Named, Problem> {
        let first = |known: Option<Named>| Ok(known.is_none().then(|| named.clone()));
        Ok(change(&*self.names, key, first).await?.unwrap_or_else(|| named.clone()))
    }

    /// Writes an order down, unless there is one of that name, and returns the one that counts.
    ///
    /// # Errors
    /// 503 if it is not known to be written down.
    pub async fn place(&self, record: Record) -> Result<Record, Problem> {
        let id = record.order.order_id.clone();
        let fact = Fact::Placed(record.clone());
        if self.facts.append(&id, Some(0), &fact).await? {
            return Ok(record);
        }
        self.get(&id).await?.ok_or_else(|| contended("this order"))
    }

    /// The order with this id.
    ///
    /// # Errors
    /// 503 if it is not to be known.
    pub async fn get(&self, id: &str) -> Result<Option<Record>, Problem> {
        Ok(Record::of(self.facts.read(id).await?))
    }

    /// The latest orders of a customer, the latest first.
    ///
    /// # Errors
    /// 503 if they are not to be known.
    pub async fn of(&self, customer: &str) -> Result<Vec<Order>, Problem> {
        let names = self.lists.0.get(customer).await?.map(|Item { value, .. }| value).unwrap_or_default();
        let mut orders = Vec::new();
        for id in names {
            orders.extend(self.get(&id).await?.map(|record| record.order));
        }
        Ok(orders)
    }

    /// Notes a fact, unless it is known, and returns what the order is then.
    ///
    /// # Errors
    /// 404 if there is no such order, 409 if it cannot be, 503 if it is not known to be noted.
    pub async fn note(&self, id: &str, fact: Fact) -> Result<Record, Problem> {
        for _ in 0..TRIES_MAX {
            let facts = self.facts.read(id).await?;
            let version = facts.len() as u64;
            let unknown = || Problem::not_found(format!("There is no order `{id}`."));
            let mut record = Record::of(facts).ok_or_else(unknown)?;
            if !record.is_news(&fact)? || self.facts.append(id, Some(version), &fact).await? {
                record.apply(&fact);
                return Ok(record);
            }
        }
        Err(contended("this order"))
    }
}

impl Record {
    fn of(facts: Vec<Fact>) -> Option<Record> {
        let mut facts = facts.into_iter();
        let Some(Fact::Placed(mut record)) = facts.next() else { return None };
        facts.for_each(|fact| record.apply(&fact));
        Some(record)
    }

    fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Placed(_) => {}
            Fact::Paid => self.order.status = Status::Paid,
            Fact::Declined => self.order.status = Status::Declined,
            Fact::Shipped { estimated } => {
                self.order.delivery = DeliveryStatus::Arranged;
                self.order.estimated.get_or_insert(*estimated);
            }
        }
    }

    fn is_news(&self, fact: &Fact) -> Result<bool, Problem> {
        let (status, delivery) = (self.order.status, self.order.delivery);
        match (fact, status) {
            (Fact::Placed(_), _) | (Fact::Paid, Status::Paid) | (Fact::Declined, Status::Declined) => {
                Ok(false)
            }
            (Fact::Paid | Fact::Declined, Status::PaymentPending) => Ok(true),
            (Fact::Shipped { .. }, Status::Paid) => Ok(delivery == DeliveryStatus::Pending),
            _ => {
                let detail = format!("{} is {status:?}, so this cannot be: {fact:?}.", self.order.order_id);
                let conflict = axum::http::StatusCode::CONFLICT;
                Err(Problem::new(conflict, "not-so", "The order is in another state", detail))
            }
        }
    }
}

impl Follower<Fact> for Lists {
    fn take<'a>(&'a self, id: &'a str, fact: Fact) -> Reply<'a, ()> {
        Box::pin(async move {
            let Fact::Placed(record) = fact else { return Ok(()) };
            let with = |names: Option<Vec<String>>| {
                let mut names = names.unwrap_or_default();
                if names.iter().any(|name| name == id) {
                    return Ok(None);
                }
                names.insert(0, id.to_owned());
                names.truncate(ORDERS_EACH_MAX);
                Ok(Some(names))
            };
            change(&*self.0, &record.order.customer, with).await.map(drop)
        })
    }
}

/// Orders, and keys of orders, that are remembered in memory, about 25 MB. The key of an order that is forgotten would
/// buy anew.
pub const ORDERS_MAX: usize = 20_000;
/// Orders that are listed of a customer.
const ORDERS_EACH_MAX: usize = 50;
