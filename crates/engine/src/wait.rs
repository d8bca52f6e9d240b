//! Waiting until a shard's machine says that there may be something to look at.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use machine::effect::Channel;
use tokio::sync::Notify;

/// Who waits at which channel.
#[derive(Debug, Default)]
pub struct Waiters {
    count: AtomicUsize,
    channels: Mutex<HashMap<Channel, Vec<Arc<Notify>>>>,
}

/// A place at channels. Whoever has one looks at the state, then waits, and looks again:
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
    at: Vec<Channel>,
    notify: Arc<Notify>,
}

impl Waiters {
    /// A place at all of `at`.
    pub fn at(waiters: &Arc<Waiters>, at: Vec<Channel>) -> Waiting {
        let notify = Arc::new(Notify::new());
        let mut channels = waiters.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in &at {
            channels.entry(*channel).or_default().push(Arc::clone(&notify));
        }
        // After the entry is there, and before the state is looked at: a waker that sees no one has written
        // what this one will see.
        waiters.count.fetch_add(1, Ordering::SeqCst);
        drop(channels);
        Waiting { waiters: Arc::clone(waiters), at, notify }
    }

    /// Wakes all who wait at `channel`.
    pub fn wake(&self, channel: Channel) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for notify in channels.get(&channel).into_iter().flatten() {
            notify.notify_waiters();
        }
    }

    /// Wakes all, since nothing will happen any more.
    pub fn wake_all(&self) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.values().flatten().for_each(|notify| notify.notify_waiters());
    }
}

impl Waiting {
    /// What wakes it, for others who have something for it.
    pub(crate) fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.notify)
    }

    /// Comes true when a channel is woken after this call.
    pub fn woken(&self) -> impl Future<Output = ()> + '_ {
        self.notify.notified()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
        let mut channels = self.waiters.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in &self.at {
            if let Entry::Occupied(mut occupied) = channels.entry(*channel) {
                occupied.get_mut().retain(|notify| !Arc::ptr_eq(notify, &self.notify));
                if occupied.get().is_empty() {
                    occupied.remove();
                }
            }
        }
    }
}
