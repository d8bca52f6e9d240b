//! Defining a topic.

use std::ops::ControlFlow;

use super::partition::Open;
use super::settings::Settings;
use super::{Reply, partition_of_key, partitions_prefix, settings_key};
use crate::context::Context;
use crate::effect::Channel;
use crate::key::Key;
use crate::limits;
use crate::refusal::{Code, Refusal};

/// Sets what holds for a topic, in place of what was set. To be told to every shard that has one of its
/// partitions; what is told twice changes nothing.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Define {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// What holds for it.
    #[prost(message, required, tag = "2")]
    pub settings: Settings,
}

impl Define {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("topic", &self.topic)?;
        self.settings.check(&self.topic)
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        self.refuse_fewer(context)?;
        context.put(settings_key(&self.topic), &self.settings);
        for key in self.partitions(context) {
            self.tell(context, key);
        }
        context.wake(Channel::topic(&self.topic, 0));
        Ok(Reply::default())
    }

    fn refuse_fewer(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let Some(before) = context.get::<Settings>(&settings_key(&self.topic)) else { return Ok(()) };
        let (before, after) = (before.partitions(), self.settings.partitions());
        if after < before {
            let fewer = format!(
                "topic {:?} has {before} partitions and cannot have {after}: what is in the others would be lost",
                self.topic
            );
            return Err(Refusal::new(Code::Conflict, fewer));
        }
        Ok(())
    }

    fn partitions(&self, context: &Context<'_>) -> Vec<Key> {
        let mut keys = Vec::new();
        context.state().scan_prefix(&partitions_prefix(&self.topic), &mut |key, _| {
            keys.push(Key::from(key));
            ControlFlow::Continue(())
        });
        keys
    }

    fn tell(&self, context: &mut Context<'_>, key: Key) {
        let (topic, number) = partition_of_key(&key);
        let partition = context.get_or_default(&key);
        let mut open = Open { topic: &topic, number, key, partition };
        open.partition.set(&self.settings);
        open.rearm(context);
        open.close(context);
    }
}
