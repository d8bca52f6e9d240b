//! A subscription: what it has is in its ledger; two tasks move it.
//!
//! The one *takes*: when somebody waits for messages it looks first for those that are due again, then for new ones, which it
//! waits for in a connection of its own. As nothing is asked for while nobody waits, what lies here is bounded. The other *tells*: what
//! was answered, several at a time, and that what is held still is. When the subscription is dropped the tasks give back what is
//! held, and end.
//!
//! A connection that breaks is made again by both, and nobody notices if that does not take long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::Value;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::ledger::{Answers, Ledger};
use super::{Inner, entry};
use crate::Reply;
use crate::pubsub::{Begin, Delivery, Error, Options, Receipt, Subscription};
use crate::redis::{Unanswered, Waiting};

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
        let taking = tokio::spawn(take(Arc::clone(&shared), connection));
        let telling = Arc::clone(&shared);
        tokio::spawn(async move {
            tell(&telling).await;
            telling.interrupt().await;
            // What it has been brought meanwhile is given back, too.
            let _ = taking.await;
            give_back(&telling).await;
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

/// Brings messages for as long as somebody wants them.
async fn take(shared: Arc<Shared>, connection: Waiting) {
    let mut connection = Some(connection);
    let mut look = Look { due: Instant::now(), given_back: Instant::now() };
    let mut away: Option<Instant> = None;
    let mut wait = WAIT_MIN;
    while let Some(count) = shared.wanting().await {
        let taken = async {
            let connection = match &mut connection {
                Some(connection) => connection,
                gone => gone.insert(shared.redis.connection.waiting().await?),
            };
            shared.lock().waiting = connection.id();
            shared.take(connection, count, &mut look).await
        };
        let unanswered = match taken.await {
            Ok(deliveries) => {
                (away, wait) = (None, WAIT_MIN);
                shared.came(deliveries);
                continue;
            }
            Err(unanswered) => unanswered,
        };
        let code = unanswered.code.clone();
        match (code.as_deref(), away.get_or_insert_with(Instant::now).elapsed()) {
            // The stream was deleted; what is in one that is there now is new.
            (Some("NOGROUP"), _) => {
                let _ = shared.redis.create(&shared.topic, &shared.group, Begin::Start).await;
            }
            (Some("WRONGTYPE"), _) => shared.broken(unanswered.into()),
            (code, for_) => {
                if code.is_none() {
                    connection = None;
                }
                if for_ >= AWAY_MAX {
                    shared.broken(unanswered.into());
                }
            }
        }
        let _ = timeout(wait, shared.closed()).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// When is looked next for messages that are due again, and for those that were given back.
struct Look {
    due: Instant,
    given_back: Instant,
}

impl Shared {
    /// Those that are due, or else new ones, which may be none in a while.
    async fn take(
        &self,
        connection: &mut Waiting,
        count: usize,
        look: &mut Look,
    ) -> Result<Vec<Delivery>, Unanswered> {
        let settings = &self.redis.settings;
        let now = Instant::now();
        if now >= look.due {
            let due = self.claim(connection, count, settings.processing).await?;
            // Where there are as many there may be more.
            if due.len() < count {
                look.due = now + settings.redeliver;
            }
            if !due.is_empty() {
                return Ok(due);
            }
        }
        if now >= look.given_back {
            let back = self.claim(connection, count, GIVEN_BACK / 2).await?;
            if back.len() < count {
                look.given_back = now + LOOK_EVERY;
            }
            if !back.is_empty() {
                return Ok(back);
            }
        }
        let wait = look.due.min(look.given_back).saturating_duration_since(Instant::now());
        // Zero would be: for ever.
        let wait = wait.max(Duration::from_millis(1));
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.group).arg(&self.group).arg("COUNT").arg(count);
        read.arg("BLOCK").arg(millis(wait)).arg("STREAMS").arg(&self.topic).arg(">");
        connection.ask::<Value>(&read, wait).await.map(entry::read)
    }

    async fn claim(
        &self,
        connection: &mut Waiting,
        count: usize,
        idle: Duration,
    ) -> Result<Vec<Delivery>, Unanswered> {
        let mut request = self.redis.claim.prepare_invoke();
        request.key(&self.topic).arg(&self.group).arg(millis(idle)).arg(count);
        connection.script::<Value>(&request).await.map(entry::claimed)
    }

    /// At the end nobody waits for new messages any more. Who may not interrupt that waits a little longer.
    async fn interrupt(&self) {
        let Some(id) = self.lock().waiting else { return };
        let mut interrupt = redis::cmd("CLIENT");
        interrupt.arg("UNBLOCK").arg(id);
        let _ = self.redis.connection.ask::<Value>(&interrupt).await;
    }

    /// Comes true at the end.
    async fn closed(&self) {
        while !self.is_closed() {
            self.wanted.notified().await;
        }
    }
}

/// Tells Redis what was answered and what is held, until the end.
async fn tell(shared: &Shared) {
    let mut keeping = interval(shared.redis.settings.processing / KEPT_TIMES);
    keeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wait = WAIT_MIN;
    while !shared.is_closed() {
        tokio::select! {
            () = shared.answered.notified() => match shared.tell().await {
                Ok(()) => wait = WAIT_MIN,
                Err(_) => {
                    sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                    shared.answered.notify_one();
                }
            },
            _ = keeping.tick() => shared.keep().await,
        }
    }
}

/// Tells Redis at the end that nothing is held any more. Where that does not go, what was held is due some day by itself.
async fn give_back(shared: &Shared) {
    shared.lock().ledger.release_all();
    let limit = shared.redis.settings.processing;
    let _ = timeout(limit, async {
        while shared.tell().await.is_err() {
            sleep(WAIT_MAX).await;
        }
    })
    .await;
}

impl Shared {
    /// Tells Redis what was answered.
    async fn tell(&self) -> Result<(), Unanswered> {
        loop {
            let Some(answers) = self.lock().ledger.telling() else { return Ok(()) };
            let told = self.send(&answers).await;
            let mut state = self.lock();
            match told {
                // What is not there need not be told.
                Err(unanswered) if !is_final(&unanswered) => {
                    state.ledger.untold(answers);
                    return Err(unanswered);
                }
                _ => state.ledger.told(),
            }
            drop(state);
            self.changed.notify_waiters();
        }
    }

    async fn send(&self, answers: &Answers) -> Result<(), Unanswered> {
        if !answers.done.is_empty() {
            let mut done = redis::cmd("XACK");
            done.arg(&self.topic).arg(&self.group);
            for receipt in &answers.done {
                done.arg(entry::id(*receipt));
            }
            let _: u64 = self.redis.connection.ask(&done).await?;
        }
        if !answers.back.is_empty() {
            self.hold(&answers.back, GIVEN_BACK).await?;
        }
        Ok(())
    }

    /// Tells Redis what is still held. If it cannot be told, it is the next time.
    async fn keep(&self) {
        let held = self.lock().ledger.keep(Instant::now());
        if held.is_empty() {
            return;
        }
        if let Ok(others) = self.hold(&held, Duration::ZERO).await {
            self.lock().ledger.lost(&others);
        }
        self.wanted.notify_one();
    }

    async fn hold(&self, held: &[(Receipt, u32)], idle: Duration) -> Result<Vec<Receipt>, Unanswered> {
        let mut request = self.redis.hold.prepare_invoke();
        request.key(&self.topic).arg(&self.group).arg(millis(idle));
        for (receipt, attempt) in held {
            request.arg(entry::id(*receipt)).arg(*attempt);
        }
        let others: Vec<String> = self.redis.connection.script(&request).await?;
        Ok(others.iter().filter_map(|id| entry::receipt(id)).collect())
    }
}

/// Whether it makes no sense to tell it again.
fn is_final(unanswered: &Unanswered) -> bool {
    let code = unanswered.code.as_deref().unwrap_or_default();
    matches!(code, "WRONGTYPE" | "NOGROUP") || unanswered.why.contains("NOGROUP")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How often, in the time after which others may have it, Redis is told that a message is still held.
const KEPT_TIMES: u32 = 3;
/// For how long what was given back looks as if it had been with somebody: ten years, which nothing else has.
const GIVEN_BACK: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// How often is looked for what was given back.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The first wait before Redis is asked again.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// And the longest.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// For how long a Redis may be away until that is told.
const AWAY_MAX: Duration = Duration::from_secs(3);
