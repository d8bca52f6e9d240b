//! Notifications: what customers were told, the latest of each.

mod http;
mod messages;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use http::routes;
pub use messages::{CUSTOMERS_MAX, Messages};

use crate::context::Context;
use crate::extract::check_customer;
use crate::problem::Problem;
use crate::remote::Reply;
use crate::tell;

/// What the other services ask of notifications.
pub trait Notifications: Send + Sync {
    /// Tells a customer something about an order. Telling it again changes nothing.
    fn notify<'a>(&'a self, cx: &'a Context, message: &'a Message) -> Reply<'a, Message>;
}

/// Something a customer is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who.
    pub customer: String,
    /// About which order.
    pub order: String,
    /// What.
    pub text: String,
}

/// The notifications service itself.
pub struct NotificationsService {
    messages: Messages,
}

impl NotificationsService {
    /// A service with these messages.
    pub fn new(messages: Messages) -> Arc<Self> {
        Arc::new(NotificationsService { messages })
    }

    /// What a customer was told, latest first.
    ///
    /// # Errors
    /// 400 for what can't be a customer, 503 if they cannot be had.
    pub async fn latest(&self, customer: &str) -> Result<Vec<Message>, Problem> {
        check_customer(customer)?;
        self.messages.of(customer).await
    }
}

impl Notifications for NotificationsService {
    fn notify<'a>(&'a self, _: &'a Context, message: &'a Message) -> Reply<'a, Message> {
        Box::pin(async move {
            check_customer(&message.customer)?;
            if message.text.len() > TEXT_BYTES_MAX {
                return Err(Problem::invalid(format!("A message has at most {TEXT_BYTES_MAX} bytes.")));
            }
            self.messages.add(message).await?;
            tell::info("a customer is told", &message.order);
            Ok(message.clone())
        })
    }
}

/// Longest message, bytes.
pub const TEXT_BYTES_MAX: usize = 1_000;
