//! A subscription to a broker outside: what it has lent (`lent`) behind the trait, with a task that gets it more.
//!
//! The task belongs to the broker's adapter: it adds what comes, and answers the broker for what nobody will answer. It ends
//! with the subscription, and has the broker get back what was lent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::lent::{Arrived, Lent};
use super::{Delivery, Error, Receipt, Subscription};
use crate::Reply;

/// Who has lent it.
pub(super) trait Lender: Send + Sync + 'static {
    /// What it knows a message by.
    type Token: Send + Sync + 'static;

    /// The application is done with messages. What cannot be told is delivered once more, which is no failure.
    fn acknowledge(&self, tokens: Vec<Self::Token>) -> impl Future<Output = ()> + Send;

    /// It is to have messages back.
    fn give_back(&self, tokens: Vec<Self::Token>) -> impl Future<Output = ()> + Send;

    /// Comes true when it has taken note of all that it was told.
    fn settled(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A subscription.
pub(super) struct Consumer<L: Lender> {
    lender: L,
    shared: Arc<Shared<L::Token>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What a subscription and its task share.
pub(super) struct Shared<T> {
    lent: Mutex<Lent<T>>,
    /// Something can be handed out, or there is trouble.
    arrived: Notify,
    /// More may come, or something is for the task to do.
    wanted: Notify,
    closed: Notify,
    trouble: Mutex<Trouble>,
}

#[derive(Default)]
struct Trouble {
    since: Option<Instant>,
    told: Option<Error>,
}

impl<L: Lender> Consumer<L> {
    /// One whose task has the other half.
    pub(super) fn new(lender: L, shared: Arc<Shared<L::Token>>, task: JoinHandle<()>) -> Consumer<L> {
        Consumer { lender, shared, task: Mutex::new(Some(task)) }
    }

    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        loop {
            let next_look = {
                let mut lent = self.shared.lent();
                let taken = lent.take(Instant::now(), SystemTime::now(), max.max(1));
                self.shared.wanted.notify_one();
                if !taken.is_empty() {
                    return Ok(taken);
                }
                lent.next_look()
            };
            if let Some(error) = self.shared.told() {
                return Err(error);
            }
            match next_look {
                None => self.shared.arrived.notified().await,
                Some(at) => tokio::select! {
                    () = self.shared.arrived.notified() => {}
                    () = tokio::time::sleep_until(at.into()) => {}
                },
            }
        }
    }
}

impl<L: Lender> Subscription for Consumer<L> {
    fn next(&self, max: usize) -> Reply<'_, Result<Vec<Delivery>, Error>> {
        Box::pin(Consumer::next(self, max))
    }

    fn acknowledge<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        Box::pin(async {
            let tokens = self.shared.change(|lent| lent.done(messages));
            self.lender.acknowledge(tokens).await;
            Ok(())
        })
    }

    fn fail<'a>(&'a self, message: Receipt, _: &'a str) -> Reply<'a, Result<(), Error>> {
        self.shared.change(|lent| lent.failed(Instant::now(), message));
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        Box::pin(async {
            let tokens = self.shared.change(|lent| lent.returned(messages));
            self.lender.give_back(tokens).await;
            Ok(())
        })
    }

    fn extend<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        self.shared.lent().extended(Instant::now(), messages);
        Box::pin(std::future::ready(Ok(())))
    }

    fn settled(&self) -> Reply<'_, Result<(), Error>> {
        Box::pin(self.lender.settled())
    }

    fn close(&self) -> Reply<'_, Result<(), Error>> {
        self.shared.closed.notify_one();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async {
            // It gives back what is lent, and ends.
            match task {
                Some(task) => task.await.map_err(|error| Error::Unavailable(error.to_string())),
                None => Ok(()),
            }
        })
    }
}

impl<L: Lender> Drop for Consumer<L> {
    fn drop(&mut self) {
        self.shared.closed.notify_one();
    }
}

impl<T> Shared<T> {
    pub(super) fn new(lent: Lent<T>) -> Arc<Shared<T>> {
        Arc::new(Shared {
            lent: Mutex::new(lent),
            arrived: Notify::new(),
            wanted: Notify::new(),
            closed: Notify::new(),
            trouble: Mutex::default(),
        })
    }

    pub(super) fn lent(&self) -> MutexGuard<'_, Lent<T>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is lent, upon which more may come and more be handed out.
    fn change<R>(&self, change: impl FnOnce(&mut Lent<T>) -> R) -> R {
        let mut lent = self.lent();
        let changed = change(&mut lent);
        self.wanted.notify_one();
        // Also for what waits now: the time until then may be shorter than that of the rest.
        self.arrived.notify_one();
        changed
    }

    /// A message has come.
    pub(super) fn add(&self, arrived: Arrived<T>) {
        self.lent().add(arrived);
        self.arrived.notify_one();
    }

    /// Comes true when there may be something for the task to do.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Comes true when the subscription is gone.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    /// The broker delivers.
    pub(super) fn well(&self) {
        *self.trouble() = Trouble::default();
    }

    /// The broker does not deliver. Who waits for messages is told if that goes on for a while: most outages are short, and
    /// pass by themselves.
    pub(super) fn ill(&self, error: Error) {
        let mut trouble = self.trouble();
        let now = Instant::now();
        if now.duration_since(*trouble.since.get_or_insert(now)) >= TOLD_AFTER {
            trouble.since = Some(now);
            trouble.told = Some(error);
            self.arrived.notify_one();
        }
    }

    fn told(&self) -> Option<Error> {
        self.trouble().told.take()
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long nobody is told that nothing can come.
const TOLD_AFTER: Duration = Duration::from_secs(10);
