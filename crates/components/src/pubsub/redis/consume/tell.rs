//! Who tells: what was answered, several at a time, and that what is held still is; at the end, that nothing is.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::super::entry;
use super::super::ledger::Answers;
use super::{GIVEN_BACK, Shared, WAIT_MAX, WAIT_MIN, is_gone, is_other, millis};
use crate::pubsub::Receipt;
use crate::redis::Unanswered;

/// Tells Redis what was answered and what is held, until the end.
pub(super) async fn tell(shared: &Shared) {
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
pub(super) async fn give_back(shared: &Shared) {
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
                Err(unanswered) if !is_gone(&unanswered) && !is_other(&unanswered) => {
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

/// How often, in the time after which others may have it, Redis is told that a message is still held.
const KEPT_TIMES: u32 = 3;
