//! Beginning to consume.

use super::group::Group;
use super::{GROUPS_MAX, Reply, check_group, group_key, groups_prefix, read};
use crate::context::Context;
use crate::refusal::{Code, Refusal};
use crate::time::Time;

/// Makes a consumer group at a partition; nothing changes if it is there already. Answered with its
/// [`Position`](super::Position).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Subscribe {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The partition.
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    /// The group's name.
    #[prost(string, tag = "3")]
    pub group: String,
    /// Where a new group begins.
    #[prost(message, required, tag = "4")]
    pub from: Place,
}

/// A place in a partition. The end, if nothing is said.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Place {
    /// Which.
    #[prost(oneof = "At", tags = "1, 2, 3, 4")]
    pub at: Option<At>,
}

/// The places in a partition.
#[derive(Clone, Copy, PartialEq, Eq, prost::Oneof)]
pub enum At {
    /// The first message that is kept.
    #[prost(bool, tag = "1")]
    Start(bool),
    /// Behind the last message.
    #[prost(bool, tag = "2")]
    End(bool),
    /// The message with this offset; the nearest if it is not kept, or not there yet.
    #[prost(uint64, tag = "3")]
    Offset(u64),
    /// The first message that was published at this time or later, in milliseconds since the epoch.
    #[prost(uint64, tag = "4")]
    Time(u64),
}

impl Place {
    /// The first message that is kept.
    pub fn start() -> Place {
        Place { at: Some(At::Start(true)) }
    }

    /// Behind the last message.
    pub fn end() -> Place {
        Place { at: Some(At::End(true)) }
    }

    /// The message with this offset.
    pub fn offset(offset: u64) -> Place {
        Place { at: Some(At::Offset(offset)) }
    }

    /// The first message that was published at `time` or later.
    pub fn time(time: Time) -> Place {
        Place { at: Some(At::Time(time.as_millis())) }
    }

    /// The offset that it means now.
    pub(super) fn offset_in(&self, context: &Context<'_>, topic: &str, number: u32) -> u64 {
        let partition = read::partition(context.state(), topic, number);
        match self.at {
            Some(At::Start(_)) => partition.first,
            Some(At::End(_)) | None => partition.next,
            Some(At::Offset(offset)) => offset.clamp(partition.first, partition.next),
            Some(At::Time(time)) => read::offset_at(context.state(), topic, number, Time::from_millis(time)),
        }
    }
}

impl Subscribe {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_group(&self.topic, self.partition, &self.group)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = group_key(&self.topic, self.partition, &self.group);
        if let Some(group) = context.get::<Group>(&key) {
            return Ok(group.position().into());
        }
        self.room(context)?;
        let group = Group::new(self.from.offset_in(context, &self.topic, self.partition), context.sequence());
        context.put(key, &group);
        Ok(group.position().into())
    }

    fn room(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let mut groups = 0;
        context.state().scan_prefix(&groups_prefix(&self.topic, self.partition), &mut |_, _| {
            groups += 1;
            std::ops::ControlFlow::Continue(())
        });
        if groups >= GROUPS_MAX {
            let full = format!(
                "partition {} of topic {:?} has {GROUPS_MAX} groups, which are the most: delete one",
                self.partition, self.topic
            );
            return Err(Refusal::new(Code::Limit, full));
        }
        Ok(())
    }
}
