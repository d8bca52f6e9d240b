//! Resolving what was set aside.

use bytes::Bytes;

use super::aside::{Aside, Waits};
use super::group::Open;
use super::settings::Failing;
use super::{RESOLVED_MAX, Reply, Resolved, Span, check_group, dead_letter, read};
use crate::context::Context;
use crate::refusal::{Code, Refusal};
use crate::time::Time;

/// Decides what becomes of messages that a group has set aside, [`RESOLVED_MAX`] of them at once. Answered
/// with [`Resolved`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Resolve {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The group's name.
    #[prost(string, tag = "3")]
    pub group: String,
    /// Which messages.
    #[prost(oneof = "Which", tags = "4, 5, 6")]
    pub which: Option<Which>,
    /// What becomes of them.
    #[prost(enumeration = "Action", tag = "7")]
    pub action: i32,
}

/// Which of the messages that are set aside.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Which {
    /// All.
    #[prost(bool, tag = "4")]
    All(bool),
    /// All of a key.
    #[prost(bytes = "bytes", tag = "5")]
    Key(Bytes),
    /// The one with this offset.
    #[prost(uint64, tag = "6")]
    Offset(u64),
}

/// What becomes of messages that were set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Action {
    /// They are delivered again, at once and in order, with all attempts before them.
    Retry = 0,
    /// They are left out, and counted.
    Skip = 1,
    /// They become dead letters.
    DeadLetter = 2,
}

impl Resolve {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_group(&self.topic, self.partition, &self.group)?;
        let wrong = |wrong| Err(Refusal::new(Code::Invalid, wrong));
        match (&self.which, Action::try_from(self.action)) {
            (None, _) => wrong("which messages shall be resolved: all, those of a key or one offset"),
            (_, Err(_)) => wrong("what shall become of the messages is none of what is known"),
            _ => Ok(()),
        }
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let mut open = Open::new(context, (&self.topic, self.partition), &self.group, None)?;
        let failing = read::failing(context.state(), &self.topic, &self.group);
        if self.action() == Action::DeadLetter && failing.dead_letter.is_none() {
            let nowhere = format!("dead letters of group {:?} have no topic to go to: set one", self.group);
            return Err(Refusal::new(Code::Conflict, nowhere));
        }
        let found = self.find(context, &open);
        let mut resolved = Resolved { count: 0, more: found.len() > RESOLVED_MAX };
        for (offset, aside) in found.into_iter().take(RESOLVED_MAX) {
            if !self.resolve(context, &mut open, &failing, offset, aside) {
                resolved.more = true;
                break;
            }
            resolved.count += 1;
        }
        open.group.revision = context.sequence();
        open.wake(context);
        open.close(context);
        Ok(resolved.into())
    }

    /// What is to be resolved, one more than can be at once if there are more.
    fn find(&self, context: &Context<'_>, open: &Open<'_>) -> Vec<(u64, Aside)> {
        let range = match self.which {
            Some(Which::Offset(offset)) => Span::one(offset).range(),
            _ => 0..u64::MAX,
        };
        let (now, action) = (context.time(), self.action());
        let wanted = |aside: &Aside| match &self.which {
            Some(Which::Key(key)) if *key != aside.key => false,
            _ => action != Action::Retry || !aside.is_due(now) || aside.attempts > 0,
        };
        open.asides(context, range, wanted, RESOLVED_MAX + 1)
    }

    /// Says no if there is no way for a dead letter at present.
    fn resolve(
        &self,
        context: &mut Context<'_>,
        open: &mut Open<'_>,
        failing: &Failing,
        offset: u64,
        aside: Aside,
    ) -> bool {
        match self.action() {
            Action::Retry => {
                let again = aside.again(context.time());
                open.set_aside(context, offset, &again, false);
                return true;
            }
            Action::Skip => open.group.skipped += 1,
            Action::DeadLetter => match open.alive(context, offset) {
                Some(message) => {
                    if !dead_letter::send(context, open, failing, (offset, &message), &aside) {
                        return false;
                    }
                    open.group.dead += 1;
                }
                None => open.group.missed += 1,
            },
        }
        open.take_from_aside(context, offset);
        true
    }
}

impl Aside {
    fn again(mut self, now: Time) -> Aside {
        self.set_waits(Waits::Turn);
        self.next = now.as_millis();
        self.attempts = 0;
        self
    }
}
