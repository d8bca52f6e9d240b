//! What is asked of an engine, on its way to a worker.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use log::{AppendError, Log};
use machine::{Entry, Reply, Shard};
use tokio::sync::oneshot;

use super::{Engine, Inner, lock};
use crate::commits::Wait;
use crate::error::Error;
use crate::store::Store;
use crate::worker::Letter;

/// What comes to a worker.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are commands, and a box would be an allocation for each"
)]
pub(super) enum Message {
    Propose { shard: Shard, entry: Entry, asker: Asker },
    Letter(Letter),
    Appended(Vec<Result<(), AppendError>>),
}

/// An answer that comes, unless the engine ends.
pub(crate) type Coming = oneshot::Receiver<Result<Reply, Error>>;

/// Who asked, with how many bytes.
pub(super) struct Asker {
    pub(super) bytes: usize,
    pub(super) then: Then,
}

/// What is done with a command's outcome.
pub(super) enum Then {
    /// Somebody waits for it.
    Tell(oneshot::Sender<Result<Reply, Error>>),
    /// It is called on the worker's thread, and must be quick.
    Call(Box<dyn FnOnce(Result<Reply, Error>) + Send>),
}

impl Then {
    pub(super) fn tell(self, outcome: Result<Reply, Error>) {
        match self {
            // Who asked may have gone.
            Then::Tell(reply) => drop(reply.send(outcome)),
            Then::Call(then) => then(outcome),
        }
    }
}

impl<L: Log, S: Store> Engine<L, S> {
    /// Has `entry` made durable in `shard` and applied. Resolves when both is done.
    ///
    /// # Errors
    ///
    /// [`Error`] says whose fault it is. With [`Error::InDoubt`] the command may have been done or not, with all others it
    /// was not. If the future is dropped, the command may still be done.
    pub async fn propose(&self, shard: Shard, entry: Entry) -> Result<Reply, Error> {
        self.inner.propose(shard, entry).await
    }
}

impl<L: Log, S: Store> Inner<L, S> {
    pub(crate) async fn propose(&self, shard: Shard, entry: Entry) -> Result<Reply, Error> {
        let _wait = Wait::begin();
        let answer = self.begin(shard, entry)?;
        self.answered(answer).await
    }

    /// Proposes: the answer comes. Of those that are for one shard, one is done after the other.
    pub(crate) fn begin(&self, shard: Shard, entry: Entry) -> Result<Coming, Error> {
        let (reply, answer) = oneshot::channel();
        self.put(shard, entry, Then::Tell(reply))?;
        Ok(answer)
    }

    /// The answer, when it comes.
    pub(crate) async fn answered(&self, answer: Coming) -> Result<Reply, Error> {
        answer.await.unwrap_or_else(|_| Err(Error::InDoubt(self.failure.get().cloned())))
    }

    /// Proposes, and has `then` called with what came of it, on the worker's thread. It is not called if the engine ends.
    pub(crate) fn propose_then(
        &self,
        shard: Shard,
        entry: Entry,
        then: impl FnOnce(Result<Reply, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.put(shard, entry, Then::Call(Box::new(then)))
    }

    fn put(&self, shard: Shard, entry: Entry, then: Then) -> Result<(), Error> {
        self.check_shard(shard)?;
        let bytes = entry.check(self.config.body_bytes_max)?;
        entry.check_targets(self.shards)?;
        self.may_write()?;
        if !self.metrics.enter(bytes, self.config.waiting_max, self.config.waiting_bytes_max) {
            return Err(Error::Overloaded);
        }
        let is_taken =
            self.inbox(shard).push(Message::Propose { shard, entry, asker: Asker { bytes, then } });
        if is_taken { Ok(()) } else { Err(self.not_taken()) }
    }

    /// Whoever asks may have the number from a client of theirs.
    pub(super) fn check_shard(&self, shard: Shard) -> Result<(), Error> {
        match shard.0 < self.shards.count() {
            true => Ok(()),
            false => Err(Error::invalid(format!("there is no shard {}", shard.0))),
        }
    }

    /// Proposes so that nobody has to be there for the answer: if whoever asks is gone by then, `undo` is called with it.
    pub(crate) async fn propose_or_undo(
        &self,
        shard: Shard,
        entry: Entry,
        undo: impl FnOnce(Reply) + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<Reply, Error> {
        let (reply, answer) = oneshot::channel();
        let mut answered = Answered { reply: None, undo: Some(undo) };
        let _wait = Wait::begin();
        self.propose_then(shard, entry, move |outcome| {
            then();
            let outcome = outcome.map(|reply| {
                answered.reply = Some(reply);
                answered
            });
            // What is not taken is undone when it is dropped.
            drop(reply.send(outcome));
        })?;
        match answer.await {
            Ok(outcome) => outcome.map(Answered::take),
            Err(_) => Err(Error::InDoubt(self.failure.get().cloned())),
        }
    }

    fn may_write(&self) -> Result<(), Error> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        if let Some(failure) = self.failure.get() {
            return Err(Error::Failed(Arc::clone(failure)));
        }
        if self.store_fails.load(Ordering::Relaxed) && self.is_stalled() {
            return Err(self.no_checkpoint());
        }
        Ok(())
    }

    /// Why nothing is taken while too much waits for a checkpoint.
    fn no_checkpoint(&self) -> Error {
        match lock(&self.store_failure).as_ref().filter(|failure| !failure.is_full()) {
            Some(failure) => Error::Unwritable(failure.clone()),
            None => Error::Full,
        }
    }

    /// Whether there is any use in waiting for something new.
    pub(crate) fn may_go_on(&self) -> Result<(), Error> {
        match self.failure.get() {
            _ if self.is_over() => Err(Error::Closed),
            Some(failure) => Err(Error::Failed(Arc::clone(failure))),
            None => Ok(()),
        }
    }

    /// What is said of a command that no worker has taken, and none will.
    pub(super) fn not_taken(&self) -> Error {
        self.failure.get().map_or(Error::Closed, |failure| Error::Failed(Arc::clone(failure)))
    }
}

/// An answer on its way to who asked.
struct Answered<U: FnOnce(Reply)> {
    reply: Option<Reply>,
    undo: Option<U>,
}

impl<U: FnOnce(Reply)> Answered<U> {
    fn take(mut self) -> Reply {
        self.undo = None;
        self.reply.take().unwrap_or_default()
    }
}

impl<U: FnOnce(Reply)> Drop for Answered<U> {
    fn drop(&mut self) {
        if let (Some(reply), Some(undo)) = (self.reply.take(), self.undo.take()) {
            undo(reply);
        }
    }
}
