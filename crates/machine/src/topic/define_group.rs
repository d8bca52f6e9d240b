//! Defining what holds for a group.

use super::settings::Failing;
use super::{Reply, group_settings_key};
use crate::context::Context;
use crate::effect::Channel;
use crate::limits;
use crate::refusal::Refusal;

/// Sets what happens to messages that a group fails at, in place of what the topic says. To be told to every
/// shard that has one of the topic's partitions; what is told twice changes nothing.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DefineGroup {
    /// The topic's name.
    #[prost(string, tag = "1")]
    pub topic: String,
    /// The group's name.
    #[prost(string, tag = "2")]
    pub group: String,
    /// What holds; without, what the topic says holds again.
    #[prost(message, optional, tag = "3")]
    pub failing: Option<Failing>,
}

impl DefineGroup {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        limits::name("topic", &self.topic)?;
        limits::name("group", &self.group)?;
        self.failing.iter().try_for_each(|failing| failing.check(&self.topic))
    }

    pub(super) fn apply(&self, context: &mut Context<'_>) -> Result<Reply, Refusal> {
        let key = group_settings_key(&self.topic, &self.group);
        match &self.failing {
            Some(failing) => context.put(key, failing),
            None => context.delete(key),
        }
        context.wake(Channel::topic(&self.topic, 0));
        Ok(Reply::default())
    }
}
