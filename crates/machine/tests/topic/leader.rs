//! A leader that delivers a partition to a group, in a small world.

use std::collections::{BTreeMap, BTreeSet};

use machine::topic::delivery::{Config, ConsumerId, Delivery, Handout};
use machine::topic::read;
use machine::{Code, Command, Entry, Refusal, Reply, Time};

use crate::shop::{GROUP, PARTITION, TOPIC};
use crate::world::World;

pub struct Leader {
    pub world: World,
    pub delivery: Delivery,
    config: Config,
    /// What consumers have: who, and the handout.
    pub hands: BTreeMap<u64, Handout>,
    /// What was acknowledged to this leader, whether that is durable or not.
    pub acknowledged: BTreeSet<u64>,
    /// All that was ever handed out, in order.
    pub history: Vec<Handout>,
    on_the_way: Option<OnTheWay>,
}

/// How far a command has come.
enum OnTheWay {
    Proposed(Command),
    /// It is applied, but the delivery has not been told.
    Applied(Result<Reply, Refusal>),
}

impl Leader {
    pub fn new(world: World) -> Leader {
        Leader::with(world, Config::default())
    }

    pub fn with(world: World, config: Config) -> Leader {
        Leader {
            world,
            delivery: Delivery::new(TOPIC, PARTITION, GROUP, config.clone()),
            config,
            hands: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            history: Vec::new(),
            on_the_way: None,
        }
    }

    /// Another leader takes over: nothing but the state is known.
    pub fn crash(&mut self) {
        self.delivery = Delivery::new(TOPIC, PARTITION, GROUP, self.config.clone());
        self.forget();
        self.on_the_way = None;
    }

    /// What the group was is not what it is.
    pub fn forget(&mut self) {
        self.hands.clear();
        self.acknowledged.clear();
    }

    /// Grants a consumer credits, and says which offsets come of it.
    pub fn grant(&mut self, consumer: ConsumerId, credits: u64) -> Vec<u64> {
        self.delivery.grant(consumer, credits);
        self.poll()
    }

    /// Polls, and says which offsets are handed out.
    pub fn poll(&mut self) -> Vec<u64> {
        let mut out = Vec::new();
        let now = self.now();
        self.delivery.poll(now, &self.world.state, &mut out);
        let offsets = out.iter().map(|handout| handout.offset).collect();
        for handout in out {
            self.check_handout(&handout);
            self.history.push(handout.clone());
            self.hands.insert(handout.offset, handout);
        }
        offsets
    }

    /// A consumer is done with what it has.
    pub fn acknowledge(&mut self, offset: u64) -> bool {
        let Some(handout) = self.hands.remove(&offset) else { return false };
        let taken = self.delivery.acknowledge(self.now(), handout.consumer, offset);
        if taken {
            self.acknowledged.insert(offset);
        }
        taken
    }

    pub fn fail(&mut self, offset: u64, give_up: bool) -> bool {
        let Some(handout) = self.hands.remove(&offset) else { return false };
        self.delivery.fail(self.now(), handout.consumer, offset, "no", give_up)
    }

    pub fn release(&mut self, offset: u64) -> bool {
        let Some(handout) = self.hands.remove(&offset) else { return false };
        self.delivery.release(self.now(), handout.consumer, offset)
    }

    pub fn leave(&mut self, consumer: ConsumerId) {
        self.hands.retain(|_, handout| handout.consumer != consumer);
        self.delivery.leave(self.now(), consumer);
    }

    /// Proposes a command, applies the one that is proposed, or tells what came of it: one step of these.
    pub fn step(&mut self) -> bool {
        match self.on_the_way.take() {
            Some(OnTheWay::Proposed(command)) => {
                self.on_the_way = Some(OnTheWay::Applied(self.world.run(Entry::new(command))));
                true
            }
            Some(OnTheWay::Applied(outcome)) => {
                self.settle(outcome);
                true
            }
            None => {
                self.on_the_way = self.delivery.propose().map(OnTheWay::Proposed);
                self.on_the_way.is_some()
            }
        }
    }

    /// There is no room for the command that is proposed.
    pub fn refuse(&mut self) {
        if matches!(self.on_the_way, Some(OnTheWay::Proposed(_))) {
            self.on_the_way = None;
            self.settle(Err(Refusal::new(Code::Unavailable, "too much is on its way")));
        }
    }

    /// Writes all down that is to be written down.
    pub fn settle_all(&mut self) {
        while self.step() {}
    }

    pub fn now(&self) -> Time {
        self.world.now()
    }

    fn settle(&mut self, outcome: Result<Reply, Refusal>) {
        self.delivery.settle(self.world.now(), outcome.as_ref());
    }

    /// What must hold for whatever is handed out.
    fn check_handout(&self, handout: &Handout) {
        let Handout { offset, message, .. } = handout;
        assert!(!self.is_done(*offset), "{offset} is delivered, but the group is done with it");
        assert!(!message.is_expired(self.now()), "{offset} has expired");
        let aside = read::asides(&self.world.state, TOPIC, PARTITION, GROUP, *offset, 1);
        let aside = aside.first().filter(|(at, _)| at == offset).map(|(_, aside)| aside);
        assert!(aside.is_none_or(|aside| aside.is_due(self.now())), "{offset} is delivered before its time");
        // More if somebody has resolved it since, which is seen when nothing is on its way.
        assert!(handout.attempt > aside.map_or(0, |aside| aside.attempts));
        self.check_order(handout);
    }

    /// All before it of its key are done with, or gone.
    fn check_order(&self, handout: &Handout) {
        let key = &handout.message.attributes.key;
        if key.is_empty() {
            return;
        }
        for (before, message) in
            read::page(&self.world.state, TOPIC, PARTITION, 0, handout.offset as usize, self.now())
        {
            if before >= handout.offset {
                break;
            }
            let same = message.attributes.key == *key;
            let done = self.is_done(before);
            assert!(!same || done, "{} overtakes {before}", handout.offset);
        }
    }

    /// Whether the group is done with a message, as its consumers know it.
    fn is_done(&self, offset: u64) -> bool {
        let group = read::group(&self.world.state, TOPIC, PARTITION, GROUP).expect("a group").group;
        let aside = read::asides(&self.world.state, TOPIC, PARTITION, GROUP, offset, 1);
        let is_aside = aside.first().is_some_and(|(at, _)| *at == offset);
        self.acknowledged.contains(&offset) || (group.done().contains(offset) && !is_aside)
    }
}
