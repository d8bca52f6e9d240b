//! A timer for silence, which costs nothing until a body first keeps us waiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// Ready when nothing has moved for so long.
pub(crate) struct IdleTimer {
    /// None: never.
    after: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Set by what moves; the next wait starts the time anew.
    moved: bool,
}

impl IdleTimer {
    pub(crate) fn new(after: Option<Duration>) -> IdleTimer {
        IdleTimer { after, sleep: None, moved: false }
    }

    pub(crate) fn reset(&mut self) {
        self.moved = true;
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(after) = self.after else { return Poll::Pending };
        let moved = std::mem::take(&mut self.moved);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        if moved {
            sleep.as_mut().reset(tokio::time::Instant::now() + after);
        }
        sleep.as_mut().poll(cx)
    }
}
