//! A world with one queue in it, and short words for what is done with that.

use machine::body::Stored;
use machine::command::Answer;
use machine::queue::{
    self, Acknowledge, Define, Extend, Item, Ledger, Nack, Peeked, Receipt, Receive, Received, Send,
    SendItem, Sent, Settings, Settled, Standing, Which, Work,
};
use machine::{Command, Entry, Memory, Refusal, Table};
use prost::Message;

use crate::world::{World, table};

pub const QUEUE: &str = "mail";

pub struct Shop {
    pub world: World,
}

impl Shop {
    pub fn new() -> Shop {
        Shop { world: World::new() }
    }

    pub fn with(settings: Settings) -> Shop {
        let mut shop = Shop::new();
        shop.define(settings);
        shop
    }

    pub fn define(&mut self, settings: Settings) {
        self.run(Define { queue: QUEUE.into(), settings }).expect("settings");
    }

    /// Runs a command whose payloads are all the same, large enough to stay in the log.
    pub fn run(&mut self, command: impl Into<Command>) -> Result<Option<queue::Answer>, Refusal> {
        let command = command.into();
        let bodies = match &command.kind {
            Some(machine::command::Kind::Queue(queue::Command { kind: Some(queue::Kind::Send(send)) })) => {
                send.items.iter().map(|item| item.body as usize + 1).max().unwrap_or(0)
            }
            _ => 0,
        };
        let entry = (0..bodies).fold(Entry::new(command), |entry, _| entry.with_body(vec![7; 500]));
        let reply = self.world.run(entry)?;
        self.world.check_pointers(pointers);
        match reply.answer {
            Some(Answer::Queue(reply)) => Ok(reply.answer),
            other => panic!("{other:?} is no reply of a queue"),
        }
    }

    pub fn try_send(&mut self, items: Vec<SendItem>) -> Result<Sent, Refusal> {
        match self.run(Send { queue: QUEUE.into(), items })? {
            Some(queue::Answer::Sent(sent)) => Ok(sent),
            other => panic!("{other:?}"),
        }
    }

    /// Sends one item: its number.
    pub fn send(&mut self, item: SendItem) -> u64 {
        self.try_send(vec![item]).expect("sent").items[0]
    }

    pub fn send_plain(&mut self, count: u64) -> Vec<u64> {
        (0..count).map(|_| self.send(SendItem::default())).collect()
    }

    pub fn receive_all(&mut self, max: u32) -> Received {
        let receive = Receive { queue: QUEUE.into(), consumer: "ada".into(), max, visibility_ms: 0 };
        match self.run(receive).expect("received") {
            Some(queue::Answer::Received(received)) => received,
            other => panic!("{other:?}"),
        }
    }

    pub fn receive(&mut self, max: u32) -> Vec<Work> {
        self.receive_all(max).items
    }

    /// The one item that is to be had.
    pub fn receive_one(&mut self) -> Work {
        let mut works = self.receive(1);
        assert_eq!(works.len(), 1, "nothing is to be had");
        works.remove(0)
    }

    pub fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<Settled, Refusal> {
        self.settle(Acknowledge { queue: QUEUE.into(), receipts: receipts.to_vec(), all: false })
    }

    pub fn nack(&mut self, receipt: Receipt, cause: &str, delay_ms: Option<u64>) -> Result<Settled, Refusal> {
        let (queue, receipts, cause) = (QUEUE.into(), vec![receipt], cause.into());
        self.settle(Nack { queue, receipts, cause, delay_ms, ..Nack::default() })
    }

    pub fn settle(&mut self, command: impl Into<Command>) -> Result<Settled, Refusal> {
        match self.run(command)? {
            Some(queue::Answer::Settled(settled)) => Ok(settled),
            other => panic!("{other:?}"),
        }
    }

    pub fn extend(&mut self, receipt: Receipt, visibility_ms: u64) -> Result<(), Refusal> {
        self.run(Extend { queue: QUEUE.into(), receipts: vec![receipt], visibility_ms }).map(|_| ())
    }

    pub fn advance(&mut self, millis: u64) {
        self.world.advance(millis);
        self.world.check_pointers(pointers);
    }

    pub fn counts(&self) -> Ledger {
        queue::counts(&self.world.state, QUEUE)
    }

    pub fn get(&self, id: u64) -> Option<Peeked> {
        queue::get(&self.world.state, QUEUE, id)
    }

    pub fn standing(&self, id: u64) -> Option<Standing> {
        self.get(id).map(|peeked| peeked.standing)
    }

    /// The numbers of the items that stand there, over all pages.
    pub fn peek(&self, which: Which) -> Vec<u64> {
        let mut ids = Vec::new();
        let mut from: Option<Vec<u8>> = None;
        loop {
            let page = queue::peek(&self.world.state, QUEUE, which, from.as_deref(), 3);
            ids.extend(page.items.iter().map(|peeked| peeked.id));
            match page.next {
                Some(next) => from = Some(next),
                None => return ids,
            }
        }
    }

    /// Nothing is stored of the queue but its settings, ledger, and what it remembers for a while.
    pub fn assert_clean(&self) {
        for kind in
            [Table::QueueItem, Table::QueueReady, Table::QueueLease, Table::QueueDead, Table::QueueKey]
        {
            assert_eq!(table(&self.world.state, kind), [], "{kind:?}");
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.world.check(pointers);
        }
    }
}

/// The payloads that queues point to.
pub fn pointers(state: &Memory) -> Vec<Stored> {
    let records = table(state, Table::QueueItem).into_iter().filter(|(key, _)| key.ends_with(&[0]));
    records.map(|(_, value)| Item::decode(value).expect("an item").body).collect()
}

pub fn ids(works: &[Work]) -> Vec<u64> {
    works.iter().map(|work| work.receipt.item).collect()
}

pub fn receipts(works: &[Work]) -> Vec<Receipt> {
    works.iter().map(|work| work.receipt).collect()
}
