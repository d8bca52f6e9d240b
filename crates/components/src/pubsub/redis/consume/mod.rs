//! A subscription: what it has is in its ledger; two tasks move it.
//!
//! The one *takes* (`take`): when somebody waits for messages it looks first for those that are due again, then for new ones, which it
//! waits for in a connection of its own. As nothing is asked for while nobody waits, what lies here is bounded. The other *tells* (`tell`): what
//! was answered, several at a time, and that what is held still is. When the subscription is dropped the tasks give back what is
//! held, and end.
//!
//! A connection that breaks is made again by both, and nobody notices if that does not take long.

mod take;
mod tell;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Inner;
use super::ledger::Ledger;
use crate::Reply;
use crate::pubsub::{Delivery, Error, Options, Receipt, Subscription};
use crate::redis::Unanswered;

/// One of a group's consumers.
pub(super) struct Consumer(Arc<Shared>);

struct Shared {
    redis: Arc<Inner>,
    topic: String,
    group: String,
    answer_within: Duration,
    state: Mutex<State>,
    /// Who takes has something to look at.
    wanted: Notify,
    /// Who tells has something to tell, or it is the end.
    answered: Notify,
    /// Whoever waits for messages, or for that all is told, has something to look at.
    changed: Notify,
}

struct State {
    ledger: Ledger,
    is_closed: bool,
    /// It was given up, for Redis was away for too long or says that it cannot be.
    broken: Option<Error>,
    /// The connection that waits for new messages.
    waiting: Option<u64>,
    /// The tasks have ended.
    is_over: bool,
}

impl Consumer {
    pub(super) async fn begin(
        redis: Arc<Inner>,
        topic: &str,
        group: &str,
        options: &Options,
    ) -> Result<Consumer, Error> {
        let held_max = redis.settings.concurrency.unwrap_or(usize::MAX).min(options.held_max);
        let connection = redis.connection.waiting().await?;
        let state = State {
            ledger: Ledger::new(held_max),
            is_closed: false,
            broken: None,
            waiting: None,
            is_over: false,
        };
        let shared = Arc::new(Shared {
            redis,
            topic: topic.to_owned(),
            group: group.to_owned(),
            answer_within: options.answer_within,
            state: Mutex::new(state),
            wanted: Notify::new(),
            answered: Notify::new(),
            changed: Notify::new(),
        });
        let taking = tokio::spawn(take::take(Arc::clone(&shared), connection));
        let telling = Arc::clone(&shared);
        tokio::spawn(async move {
            tell::tell(&telling).await;
            telling.interrupt().await;
            // What it has been brought meanwhile is given back, too.
            let _ = taking.await;
            tell::give_back(&telling).await;
            telling.lock().is_over = true;
            telling.changed.notify_waiters();
        });
        Ok(Consumer(shared))
    }

    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        loop {
            let changed = self.0.changed.notified();
            {
                let mut state = self.0.lock();
                let taken = state.ledger.take(max, Instant::now() + self.0.answer_within);
                if !taken.is_empty() {
                    return Ok(taken);
                }
                if let Some(error) = &state.broken {
                    return Err(error.clone());
                }
                state.ledger.want(max);
            }
            self.0.wanted.notify_one();
            changed.await;
        }
    }

    /// Waits until something of the state holds.
    async fn until(&self, holds: impl Fn(&State) -> bool) -> Result<(), Error> {
        loop {
            let changed = self.0.changed.notified();
            {
                let state = self.0.lock();
                match &state.broken {
                    _ if holds(&state) => return Ok(()),
                    Some(error) => return Err(error.clone()),
                    None => {}
                }
            }
            changed.await;
        }
    }

    fn answer(&self, answer: impl FnOnce(&mut Ledger)) -> Reply<'_, Result<(), Error>> {
        answer(&mut self.0.lock().ledger);
        self.0.answered.notify_one();
        self.0.wanted.notify_one();
        Box::pin(std::future::ready(Ok(())))
    }

    fn end(&self) {
        self.0.lock().is_closed = true;
        self.0.answered.notify_one();
        self.0.wanted.notify_one();
    }
}

impl Subscription for Consumer {
    fn next(&self, max: usize) -> Reply<'_, Result<Vec<Delivery>, Error>> {
        Box::pin(Consumer::next(self, max))
    }

    fn acknowledge<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        self.answer(|ledger| ledger.acknowledge(messages))
    }

    fn fail<'a>(&'a self, message: Receipt, _: &'a str) -> Reply<'a, Result<(), Error>> {
        self.answer(|ledger| ledger.fail(message))
    }

    fn release<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        self.answer(|ledger| ledger.release(messages))
    }

    fn extend<'a>(&'a self, messages: &'a [Receipt]) -> Reply<'a, Result<(), Error>> {
        let until = Instant::now() + self.0.answer_within;
        self.answer(|ledger| ledger.extend(messages.iter().copied(), until))
    }

    fn settled(&self) -> Reply<'_, Result<(), Error>> {
        Box::pin(self.until(|state| state.ledger.is_told()))
    }

    fn close(&self) -> Reply<'_, Result<(), Error>> {
        self.end();
        Box::pin(async {
            self.until(|state| state.is_over).await?;
            match self.0.lock().ledger.is_told() {
                true => Ok(()),
                false => {
                    Err(Error::Unavailable("redis could not be told of all that was answered".to_owned()))
                }
            }
        })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn came(&self, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            self.lock().ledger.came(deliveries);
            self.changed.notify_waiters();
        }
    }

    fn broken(&self, error: Error) {
        self.lock().broken.get_or_insert(error);
        self.changed.notify_waiters();
    }

    /// How many messages somebody waits for; nothing at the end.
    async fn wanting(&self) -> Option<usize> {
        loop {
            {
                let state = self.lock();
                if state.is_closed {
                    return None;
                }
                match state.ledger.wanted().min(self.redis.settings.depth) {
                    0 => {}
                    wanted => return Some(wanted),
                }
            }
            self.wanted.notified().await;
        }
    }
}

/// Whether there is no such stream, or it has no such group. From within a script older versions say so in the text only.
fn is_gone(unanswered: &Unanswered) -> bool {
    unanswered.code.is_some() && unanswered.why.contains("NOGROUP")
}

/// Whether something else than a stream is there.
fn is_other(unanswered: &Unanswered) -> bool {
    unanswered.code.as_deref() == Some("WRONGTYPE")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// For how long what was given back looks as if it had been with somebody: ten years, which nothing else has.
const GIVEN_BACK: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// The first wait before Redis is asked again.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(1);
