//! Who takes: brings messages for as long as somebody waits for some, those first that are due again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::timeout;

use super::super::entry;
use super::{GIVEN_BACK, Shared, WAIT_MAX, WAIT_MIN, is_gone, is_other, millis};
use crate::pubsub::{Begin, Delivery};
use crate::redis::{Unanswered, Waiting};

/// Brings messages for as long as somebody wants them.
pub(super) async fn take(shared: Arc<Shared>, connection: Waiting) {
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
        let since = *away.get_or_insert_with(Instant::now);
        if unanswered.code.is_none() {
            connection = None;
        }
        if is_gone(&unanswered) {
            // The stream was deleted; what is in one that is there now is new.
            let _ = shared.redis.create(&shared.topic, &shared.group, Begin::Start).await;
        } else if is_other(&unanswered) || since.elapsed() >= AWAY_MAX {
            shared.broken(unanswered.into());
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
    pub(super) async fn interrupt(&self) {
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

/// How often is looked for what was given back.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For how long a Redis may be away until that is told.
const AWAY_MAX: Duration = Duration::from_secs(3);
