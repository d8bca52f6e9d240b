//! Waiting for items of queues.
//!
//! Who asks a queue for items stands in its *line*. The first of the line looks whether there are some whenever the
//! queue is woken; nobody else is. When it has seen some it *claims* as many as it asks for and has them handed out by a
//! command, and the next becomes the first, who looks whether there are more than are claimed. So items are handed out in
//! the order in which was asked, many commands are on their way at a time, and ten who wait for one item make one command.
//!
//! Who goes away while a command is on its way for it gives back what that hands out, as if it had never been had.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use log::Log;
use machine::command::Answer;
use machine::effect::Channel;
use machine::queue::{self, Available, Nack, Receipt};
use machine::{Command, Entry, Reply, Shard, Time};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::engine::Inner;
use crate::error::Error;
use crate::store::Store;
use crate::wait::{Waiters, Waiting};

/// The lines of queues that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<String, Weak<Line>>>);

/// Who waits for a queue.
#[derive(Debug, Default)]
struct Line(Mutex<At>);

#[derive(Debug, Default)]
struct At {
    last: u64,
    /// By when they came: who is called, and how many items it wants.
    waiting: BTreeMap<u64, (Arc<Notify>, u64)>,
    wanted: u64,
    /// How many items commands may hand out that are on their way.
    claimed: HashMap<Shard, u64>,
}

/// What is asked for: [`queue::Receive`].
pub(crate) struct Asked {
    pub(crate) queue: String,
    pub(crate) consumer: String,
    pub(crate) max: u32,
    pub(crate) visibility_ms: u64,
    /// In how many shards the queue lies, and which of them is looked at first.
    pub(crate) shards: Vec<Shard>,
}

/// What was handed out, and by which shard.
pub(crate) struct Handed {
    pub(crate) shard: Shard,
    pub(crate) items: Vec<queue::Work>,
}

/// What came of a look.
enum Look {
    /// There are some.
    At(Shard),
    /// A rate holds them back until then.
    Later(Time),
    /// There are none, or others have claimed them.
    Nothing,
}

impl Asked {
    fn command(&self) -> queue::Receive {
        queue::Receive {
            queue: self.queue.clone(),
            consumer: self.consumer.clone(),
            max: self.max,
            visibility_ms: self.visibility_ms,
        }
    }

    /// Items, at least one if there is one within `wait`.
    pub(crate) async fn receive<L: Log, S: Store>(
        mut self,
        inner: &Arc<Inner<L, S>>,
        wait: Duration,
    ) -> Result<Option<Handed>, Error> {
        Command::from(self.command()).check()?;
        let deadline = Instant::now().checked_add(wait);
        let line = inner.lines().get(&self.queue);
        let mut place = Place::new(&line, u64::from(self.max));
        let bell = Arc::clone(&place.called);
        let mut waiting: Option<Waiting> = None;
        loop {
            // From here on nothing is missed.
            let called = bell.notified();
            if place.is_first() && waiting.is_none() {
                waiting = Some(Waiters::at(inner.waiters(), vec![Channel::queue(&self.queue)]));
            }
            let woken = waiting.as_ref().map(Waiting::woken);
            let mut later = None;
            match place.look(inner, &mut self)? {
                Look::At(shard) => {
                    place.step_aside();
                    let items = self.hand_out(inner, &line, shard).await?;
                    if !items.is_empty() {
                        return Ok(Some(Handed { shard, items }));
                    }
                    place.step_back();
                    continue;
                }
                Look::Later(time) => later = Some(Instant::now() + time.since(inner.now()).max(LATER_MIN)),
                Look::Nothing => {}
            }
            tokio::select! {
                () = called => {}
                () = or_never(woken) => {}
                () = or_never(later.map(sleep_until)) => {}
                () = or_never(deadline.map(sleep_until)) => return Ok(None),
            }
            inner.may_go_on()?;
        }
    }

    async fn hand_out<L: Log, S: Store>(
        &self,
        inner: &Arc<Inner<L, S>>,
        line: &Arc<Line>,
        shard: Shard,
    ) -> Result<Vec<queue::Work>, Error> {
        let claim = Claim { line: Arc::clone(line), shard, count: u64::from(self.max) };
        let back = (Arc::downgrade(inner), self.queue.clone());
        let undo = move |reply| {
            let receipts = handed_out(reply).iter().map(|work| work.receipt).collect();
            give_back(&back.0, shard, back.1, receipts);
        };
        let reply =
            inner.propose_or_undo(shard, Entry::new(self.command()), undo, move || drop(claim)).await?;
        Ok(handed_out(reply))
    }
}

/// Gives back what nobody has begun with. If that does not work, the leases end by themselves.
pub(crate) fn give_back<L: Log, S: Store>(
    inner: &Weak<Inner<L, S>>,
    shard: Shard,
    queue: String,
    receipts: Vec<Receipt>,
) {
    let Some(inner) = inner.upgrade().filter(|_| !receipts.is_empty()) else { return };
    let nack = Nack { queue, receipts, not_begun: true, ..Nack::default() };
    let _ = inner.propose_then(shard, Entry::new(nack), |_| {});
}

fn handed_out(reply: Reply) -> Vec<queue::Work> {
    match reply.answer {
        Some(Answer::Queue(queue::Reply { answer: Some(queue::Answer::Received(received)) })) => {
            received.items
        }
        _ => Vec::new(),
    }
}

impl Lines {
    fn get(&self, queue: &str) -> Arc<Line> {
        let mut lines = lock(&self.0);
        if let Some(line) = lines.get(queue).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::default();
        lines.insert(queue.to_owned(), Arc::downgrade(&line));
        line
    }
}

impl At {
    fn call_first(&self) {
        if let Some((called, _)) = self.waiting.values().next() {
            called.notify_one();
        }
    }
}

/// Items that a command on its way may hand out.
struct Claim {
    line: Arc<Line>,
    shard: Shard,
    count: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut at = lock(&self.line.0);
        if let Some(claimed) = at.claimed.get_mut(&self.shard) {
            *claimed = claimed.saturating_sub(self.count);
        }
        at.call_first();
    }
}

/// A place in a line.
struct Place<'a> {
    line: &'a Line,
    number: u64,
    wants: u64,
    called: Arc<Notify>,
    /// How many are wanted by those who came before; nothing once it has been called.
    before: Option<u64>,
}

impl<'a> Place<'a> {
    fn new(line: &'a Line, wants: u64) -> Place<'a> {
        let called = Arc::new(Notify::new());
        let mut at = lock(&line.0);
        at.last += 1;
        let (number, before) = (at.last, at.wanted);
        at.waiting.insert(number, (Arc::clone(&called), wants));
        at.wanted += wants;
        drop(at);
        Place { line, number, wants, called, before: Some(before) }
    }

    fn is_first(&self) -> bool {
        lock(&self.line.0).waiting.keys().next() == Some(&self.number)
    }

    /// Looks for a shard with more items than others have claimed, and claims of those. Who has just come may do so too
    /// if there is enough for all before it.
    fn look<L: Log, S: Store>(&mut self, inner: &Inner<L, S>, asked: &mut Asked) -> Result<Look, Error> {
        let before = match self.is_first() {
            true => Some(0),
            false => self.before.take(),
        };
        let Some(before) = before else { return Ok(Look::Nothing) };
        self.before = None;
        let mut later: Option<Time> = None;
        for turn in 0..asked.shards.len() {
            let shard = asked.shards[turn];
            let (available, ready) = inner.read(shard, |state, now| {
                (queue::available(state, &asked.queue, now), queue::counts(state, &asked.queue).ready)
            })?;
            match available {
                Available::Now => {
                    let mut at = lock(&self.line.0);
                    let claimed = at.claimed.entry(shard).or_default();
                    if ready > *claimed + before {
                        *claimed += self.wants;
                        // The next time it begins with another.
                        asked.shards.rotate_left(turn + 1);
                        return Ok(Look::At(shard));
                    }
                }
                Available::At(time) => later = Some(later.map_or(time, |later| later.min(time))),
                Available::WhenWoken => {}
            }
        }
        Ok(later.map_or(Look::Nothing, Look::Later))
    }

    fn step_aside(&self) {
        let mut at = lock(&self.line.0);
        if at.waiting.remove(&self.number).is_some() {
            at.wanted -= self.wants;
        }
        at.call_first();
    }

    fn step_back(&self) {
        let mut at = lock(&self.line.0);
        at.waiting.insert(self.number, (Arc::clone(&self.called), self.wants));
        at.wanted += self.wants;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.step_aside();
    }
}

async fn or_never(future: Option<impl Future<Output = ()>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A rate allows at a millisecond, by a clock that stands still in between.
const LATER_MIN: Duration = Duration::from_millis(1);
