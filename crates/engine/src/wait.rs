//! Waiting until a shard's machine says that there may be something to look at.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use machine::effect::Channel;
use tokio::sync::Notify;

/// Who waits at which channel.
#[derive(Debug, Default)]
pub struct Waiters {
    count: AtomicUsize,
    channels: Mutex<HashMap<Channel, Arc<Notify>>>,
}

/// A place at a channel. Whoever has one looks at the state, then waits, and looks again:
///
/// ```text
/// loop {
///     let woken = waiting.woken();      // from here on nothing is missed
///     if let Some(found) = look() { return found }
///     woken.await;
/// }
/// ```
#[derive(Debug)]
pub struct Waiting {
    waiters: Arc<Waiters>,
    channel: Channel,
    notify: Arc<Notify>,
}

impl Waiters {
    /// A place at `channel`.
    pub fn at(waiters: &Arc<Waiters>, channel: Channel) -> Waiting {
        let mut channels = waiters.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(channels.entry(channel).or_default());
        // After the entry is there, and before the state is looked at: a waker that sees no one has written
        // what this one will see.
        waiters.count.fetch_add(1, Ordering::SeqCst);
        Waiting { waiters: Arc::clone(waiters), channel, notify }
    }

    /// Wakes all who wait at `channel`.
    pub fn wake(&self, channel: Channel) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = channels.get(&channel) {
            notify.notify_waiters();
        }
    }

    /// Wakes all, since nothing will happen any more.
    pub fn wake_all(&self) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.values().for_each(|notify| notify.notify_waiters());
    }
}

impl Waiting {
    /// Comes true when the channel is woken after this call.
    pub fn woken(&self) -> impl Future<Output = ()> + '_ {
        self.notify.notified()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
        let mut channels = self.waiters.channels.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one.
        if Arc::strong_count(&self.notify) <= 2 {
            channels.remove(&self.channel);
        }
    }
}
