//! Definitions that every shard has to know.
//!
//! A definition goes to one shard first, its home, and in the same commit on its way to all others: so it arrives in
//! each, also after a crash in between, and of two definitions the same comes last everywhere. What is not as it
//! should be in some shard all the same, such as after somebody told only some of them, is mended by defining again.

use std::sync::Arc;
use std::time::Duration;

use log::Log;
use machine::effect::Channel;
use machine::limits::ENTRY_SENDS_MAX;
use machine::outbox::Send;
use machine::{Code, Command, Entry, Read, Refusal, Shard};

use crate::engine::Inner;
use crate::error::Error;
use crate::store::Store;
use crate::wait::Waiters;

/// What a shard says of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has it.
    Same,
    /// It has none, or one that may be changed.
    Other,
    /// It has one that cannot be changed to this: what it says.
    Contrary(String),
}

/// Has `command` known by all shards, and waits until it is. Nothing is written if it is already. `forget` is called when
/// what was known before does not hold any more.
///
/// # Errors
///
/// If shards disagree in what is settled, or it is refused or takes long; then it is finished by itself.
pub(crate) async fn everywhere<L: Log, S: Store>(
    inner: &Arc<Inner<L, S>>,
    what: &str,
    home: Shard,
    channel: Channel,
    command: Command,
    look: impl Fn(&dyn Read) -> Standing,
    forget: impl Fn() + Clone + std::marker::Send + 'static,
) -> Result<(), Error> {
    forget();
    let stands = |shard| inner.read(shard, |state, _| look(state));
    let mut known = true;
    for shard in inner.shards().all() {
        match stands(shard)? {
            Standing::Same => {}
            Standing::Other => known = false,
            Standing::Contrary(says) => return Err(disagreement(what, shard, &says)),
        }
    }
    if known {
        return Ok(());
    }
    let waiting = Waiters::at(inner.waiters(), vec![channel]);
    for entry in entries(inner, home, &command) {
        inner.propose_or_undo(home, entry, |_| {}, forget.clone()).await?;
    }
    let arrived = async {
        loop {
            let woken = waiting.woken();
            // Where the home says something else by now, somebody has defined it anew, and that is theirs to wait for.
            let superseded = stands(home)? != Standing::Same;
            let mut shards = inner.shards().all();
            let missing = shards.try_fold(0, |missing, shard| {
                stands(shard).map(|stands| missing + u32::from(stands != Standing::Same))
            })?;
            if superseded || missing == 0 {
                return Ok(());
            }
            woken.await;
            inner.may_go_on()?;
        }
    };
    tokio::time::timeout(ARRIVAL_WAIT, arrived).await.unwrap_or_else(|_| {
        let late = format!("{what} is defined, and not yet known by all shards: it will be, ask again then");
        Err(Error::Refused(Refusal::new(Code::Unavailable, late)))
    })
}

/// The home's own entry, and with it all others; several only where there are more shards than an entry may send to.
fn entries<L: Log, S: Store>(inner: &Inner<L, S>, home: Shard, command: &Command) -> Vec<Entry> {
    let others: Vec<Shard> = inner.shards().all().filter(|shard| *shard != home).collect();
    let entry = |shards: &[Shard]| {
        let mut entry = Entry::new(command.clone());
        entry.sends = shards.iter().map(|shard| Send::new(*shard, command.clone())).collect();
        entry
    };
    match others.is_empty() {
        true => vec![entry(&[])],
        false => others.chunks(ENTRY_SENDS_MAX).map(entry).collect(),
    }
}

fn disagreement(what: &str, shard: Shard, says: &str) -> Error {
    let settled =
        format!("{what} cannot be defined like that: in shard {} it is settled that {says}", shard.0);
    Error::Refused(Refusal::new(Code::Conflict, settled))
}

/// How long is waited until all shards know.
const ARRIVAL_WAIT: Duration = Duration::from_secs(10);
