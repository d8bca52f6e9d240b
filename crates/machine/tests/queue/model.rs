//! A queue beside a model of it: whatever is done in whatever order, each item is where it should be, each
//! lease has one holder, and what is handed out is what should be next.

use std::collections::BTreeMap;

use machine::effect::Channel;
use machine::queue::{
    Available, Cancel, Extend, Nack, Pause, Purge, Rate, Receipt, Redrive, Resume, SendItem, Settings,
    Standing,
};
use machine::{Code, Effect, queue};
use proptest::prelude::*;

use crate::shop::{QUEUE, Shop};

#[derive(Clone, Debug)]
enum Action {
    Send {
        priority: u32,
        key: Option<u8>,
        delay_ms: u64,
        ttl_ms: u64,
        dedup: Option<u8>,
    },
    Receive {
        consumer: u8,
        max: u32,
        visibility_ms: u64,
    },
    Acknowledge {
        receipts: Vec<prop::sample::Index>,
        all: bool,
    },
    Nack {
        receipts: Vec<prop::sample::Index>,
        delay_ms: Option<u64>,
        not_begun: bool,
        for_good: bool,
    },
    Extend {
        receipt: prop::sample::Index,
        visibility_ms: u64,
    },
    Cancel {
        item: prop::sample::Index,
    },
    /// Time passes and what is due fires, each at its time.
    Advance(u64),
    /// Time passes while nobody leads the shard; what is due fires late.
    Late(u64),
    Pause(bool),
    Redrive,
    Purge {
        waiting: bool,
        dead: bool,
    },
    Define(Settings),
}

fn action() -> impl Strategy<Value = Action> {
    let some = || prop::collection::vec(any::<prop::sample::Index>(), 1..6);
    let ms = || prop_oneof![2 => Just(0_u64), 3 => 1..200_u64];
    prop_oneof![
        8 => (0..=9_u32, prop::option::of(0..3_u8), ms(), ms(), prop::option::weighted(0.2, 0..4_u8)).prop_map(
            |(priority, key, delay_ms, ttl_ms, dedup)| Action::Send { priority, key, delay_ms, ttl_ms, dedup }
        ),
        6 => (0..3_u8, 1..40_u32, 1..300_u64)
            .prop_map(|(consumer, max, visibility_ms)| Action::Receive { consumer, max, visibility_ms }),
        5 => (some(), prop::bool::weighted(0.2)).prop_map(|(receipts, all)| Action::Acknowledge { receipts, all }),
        3 => (some(), prop::option::of(ms()), prop::bool::weighted(0.3), prop::bool::weighted(0.2)).prop_map(
            |(receipts, delay_ms, not_begun, for_good)| Action::Nack { receipts, delay_ms, not_begun, for_good }
        ),
        2 => (any::<prop::sample::Index>(), 1..400_u64)
            .prop_map(|(receipt, visibility_ms)| Action::Extend { receipt, visibility_ms }),
        1 => any::<prop::sample::Index>().prop_map(|item| Action::Cancel { item }),
        5 => (0..150_u64).prop_map(Action::Advance),
        2 => (0..400_u64).prop_map(Action::Late),
        1 => any::<bool>().prop_map(Action::Pause),
        1 => settings().prop_map(Action::Define),
        1 => Just(Action::Redrive),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(waiting, dead)| Action::Purge { waiting: waiting || !dead, dead }),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let limit = |max: u32| prop_oneof![Just(0), 1..=max];
    (limit(4), limit(2), 1..4_u32, prop_oneof![Just(0_u64), 1..100_u64], any::<bool>(), any::<bool>())
        .prop_map(|(concurrency, key_concurrency, attempts_max, backoff, dead, expired)| Settings {
            concurrency,
            key_concurrency,
            attempts_max,
            backoff_ms: Some(backoff),
            dead_letters: Some(dead),
            dead_letters_expired: expired,
            dedup_window_ms: Some(150),
            ..Settings::default()
        })
}

fn rate() -> impl Strategy<Value = Rate> {
    (1..5_u32, 10..200_u64, 0..4_u32).prop_map(|(count, per_ms, burst)| Rate { count, per_ms, burst })
}

/// Where the model has an item.
#[derive(Clone, Debug, PartialEq)]
enum At {
    Waits { ready_ms: u64 },
    Leased { lease: u64, until_ms: u64, consumer: String, back_ms: u64 },
    Dead,
}

#[derive(Clone, Debug)]
struct Tracked {
    priority: u32,
    key: String,
    expires_ms: u64,
    failed: u32,
    at: At,
}

struct Model {
    shop: Shop,
    settings: Settings,
    items: BTreeMap<u64, Tracked>,
    seen: BTreeMap<String, (u64, u64)>,
    /// Every receipt that was ever handed out, and every number that was ever given.
    receipts: Vec<Receipt>,
    last: u64,
    paused: bool,
    handed_out: Vec<(u64, String)>,
}

impl Model {
    fn new(settings: Settings) -> Model {
        Model {
            shop: Shop::with(settings.clone()),
            settings,
            items: BTreeMap::new(),
            seen: BTreeMap::new(),
            receipts: Vec::new(),
            last: 0,
            paused: false,
            handed_out: Vec::new(),
        }
    }

    fn now(&self) -> u64 {
        self.shop.world.now().as_millis()
    }

    fn available(&self) -> Available {
        queue::available(&self.shop.world.state, QUEUE, self.shop.world.now())
    }

    /// Does it, and looks whether all is as it should be, and whether who waits was woken if there is something.
    fn act(&mut self, action: Action) {
        let waits = self.available() == Available::WhenWoken;
        self.shop.world.wanted.clear();
        let did = format!("{action:?}");
        self.apply(action);
        self.compare();
        if waits && self.available() != Available::WhenWoken {
            let wake = Effect::Wake(Channel::queue(QUEUE));
            assert!(self.shop.world.wanted.contains(&wake), "{did} makes room, and nobody is woken");
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Send { priority, key, delay_ms, ttl_ms, dedup } => {
                let text = |value: Option<u8>, kind: &str| {
                    value.map_or(String::new(), |value| format!("{kind}{value}"))
                };
                let (key, dedup_id) = (text(key, "k"), text(dedup, "d"));
                let priority = Some(priority);
                self.send(SendItem { priority, key, delay_ms, ttl_ms, dedup_id, ..SendItem::default() });
            }
            Action::Receive { consumer, max, visibility_ms } => {
                self.receive(&format!("c{consumer}"), max, visibility_ms);
            }
            Action::Acknowledge { receipts, all } => self.acknowledge(receipts, all),
            Action::Nack { receipts, delay_ms, not_begun, for_good } => {
                self.nack(receipts, delay_ms, not_begun, for_good);
            }
            Action::Extend { receipt, visibility_ms } => self.extend(receipt, visibility_ms),
            Action::Cancel { item } => self.cancel(item),
            Action::Advance(ms) => self.advance(ms),
            Action::Late(ms) => {
                self.shop.world.sleep(ms);
                self.shop.advance(0);
                self.fall_due(self.now());
            }
            Action::Pause(paused) => {
                let queue = QUEUE.to_owned();
                let outcome = match paused {
                    true => self.shop.run(Pause { queue }),
                    false => self.shop.run(Resume { queue }),
                };
                outcome.expect("never refused");
                self.paused = paused;
            }
            Action::Define(settings) => {
                // Of what is leased while keys have no limit, nothing is counted: the model would not agree.
                let key_concurrency = match self.settings.key_concurrency {
                    0 => 0,
                    _ => settings.key_concurrency.max(1),
                };
                let Settings { rate, key_rate, .. } = self.settings.clone();
                self.settings = Settings { key_concurrency, rate, key_rate, ..settings };
                self.shop.define(self.settings.clone());
                self.advance(0);
            }
            Action::Redrive => {
                self.shop.run(Redrive { queue: QUEUE.into(), ..Redrive::default() }).expect("never refused");
                let now = self.now();
                for item in self.items.values_mut().filter(|item| item.at == At::Dead) {
                    (item.at, item.failed, item.expires_ms) = (At::Waits { ready_ms: now }, 0, 0);
                }
                self.advance(0);
            }
            Action::Purge { waiting, dead } => {
                self.shop.run(Purge { queue: QUEUE.into(), waiting, dead }).expect("never refused");
                self.items.retain(|_, item| match item.at {
                    At::Waits { .. } => !waiting,
                    At::Dead => !dead,
                    At::Leased { .. } => true,
                });
                self.advance(0);
            }
        }
    }

    fn send(&mut self, item: SendItem) {
        let now = self.now();
        let known = self.seen.get(&item.dedup_id).filter(|(until, _)| *until > now).map(|(_, id)| *id);
        let sent = self.shop.try_send(vec![item.clone()]).expect("there is room");
        if let Some(first) = known {
            assert_eq!((sent.items, sent.duplicates), (vec![first], vec![0]));
            return;
        }
        self.last += 1;
        assert_eq!((sent.items, sent.duplicates), (vec![self.last], vec![]));
        if !item.dedup_id.is_empty() {
            self.seen.insert(item.dedup_id, (now + 150, self.last));
        }
        let tracked = Tracked {
            priority: item.priority.expect("it is given"),
            key: item.key,
            expires_ms: if item.ttl_ms == 0 { 0 } else { now + item.ttl_ms },
            failed: 0,
            at: At::Waits { ready_ms: now + item.delay_ms },
        };
        self.items.insert(self.last, tracked);
    }

    /// The items that may be had now, in order.
    fn ready(&self) -> Vec<u64> {
        let now = self.now();
        let mut ready: Vec<(u32, u64, u64)> = Vec::new();
        for (id, item) in &self.items {
            if let At::Waits { ready_ms } = item.at
                && ready_ms <= now
            {
                ready.push((9 - item.priority, ready_ms, *id));
            }
        }
        ready.sort_unstable();
        ready.into_iter().map(|(_, _, id)| id).collect()
    }

    fn leased(&self, of: impl Fn(&Tracked) -> bool) -> u64 {
        self.items.values().filter(|item| matches!(item.at, At::Leased { .. }) && of(item)).count() as u64
    }

    /// What would be handed out if there were no rates.
    fn expected(&self, max: u32) -> Vec<u64> {
        if self.paused {
            return Vec::new();
        }
        let left = |limit: u32, leased: u64| match limit {
            0 => u64::MAX,
            limit => u64::from(limit).saturating_sub(leased),
        };
        let mut room = left(self.settings.concurrency, self.leased(|_| true)).min(u64::from(max));
        let mut keys: BTreeMap<&str, u64> = BTreeMap::new();
        let mut expected = Vec::new();
        for id in self.ready() {
            if room == 0 {
                break;
            }
            let key = self.items[&id].key.as_str();
            if !key.is_empty() {
                let limit = || left(self.settings.key_concurrency, self.leased(|item| item.key == key));
                let left = keys.entry(key).or_insert_with(limit);
                if *left == 0 {
                    continue;
                }
                *left -= 1;
            }
            room -= 1;
            expected.push(id);
        }
        expected
    }

    fn has_rates(&self) -> bool {
        self.settings.rate.is_some() || self.settings.key_rate.is_some()
    }

    fn receive(&mut self, consumer: &str, max: u32, visibility_ms: u64) -> usize {
        let expected = self.expected(max);
        let receive = queue::Receive { queue: QUEUE.into(), consumer: consumer.into(), max, visibility_ms };
        let Ok(Some(queue::Answer::Received(received))) = self.shop.run(receive) else { panic!("received") };
        let ids: Vec<u64> = received.items.iter().map(|work| work.receipt.item).collect();
        if self.has_rates() {
            let mut order = self.ready().into_iter();
            assert!(ids.iter().all(|id| order.any(|one| one == *id)), "{ids:?} are in order");
            assert!(ids.len() <= expected.len());
        } else {
            assert_eq!(ids, expected);
        }
        let until_ms = self.now() + visibility_ms;
        for work in received.items {
            assert!(!self.receipts.contains(&work.receipt), "a receipt is never given twice");
            self.receipts.push(work.receipt);
            let item = self.items.get_mut(&work.receipt.item).expect("an item that is there");
            let At::Waits { ready_ms } = item.at else { panic!("{item:?} has a holder") };
            assert!(ready_ms <= until_ms - visibility_ms, "not before its time");
            assert_eq!((work.attempt, work.until_ms), (item.failed + 1, until_ms));
            let (lease, consumer) = (work.receipt.lease, consumer.to_owned());
            item.at = At::Leased { lease, until_ms, consumer, back_ms: ready_ms };
            self.handed_out.push((until_ms - visibility_ms, item.key.clone()));
        }
        ids.len()
    }

    fn is_held(&self, receipt: &Receipt) -> bool {
        let item = self.items.get(&receipt.item);
        item.is_some_and(|item| matches!(item.at, At::Leased { lease, .. } if lease == receipt.lease))
    }

    /// Some receipts of all that there ever were: good ones, and fenced ones.
    fn pick(&self, indices: Vec<prop::sample::Index>) -> (Vec<Receipt>, Vec<Receipt>) {
        let mut picked: Vec<Receipt> = indices.iter().map(|index| *index.get(&self.receipts)).collect();
        picked.sort_unstable();
        picked.dedup();
        picked.into_iter().partition(|receipt| self.is_held(receipt))
    }

    fn acknowledge(&mut self, indices: Vec<prop::sample::Index>, all: bool) {
        if self.receipts.is_empty() {
            return;
        }
        let (good, fenced) = self.pick(indices);
        let receipts = [good.clone(), fenced.clone()].concat();
        let outcome = self.shop.settle(queue::Acknowledge { queue: QUEUE.into(), receipts, all });
        if good.is_empty() || (all && !fenced.is_empty()) {
            assert_eq!(outcome.expect_err("refused").code(), Code::Fenced);
            return;
        }
        assert_eq!(outcome.expect("some are good").fenced, fenced);
        for receipt in good {
            self.items.remove(&receipt.item);
        }
    }

    fn nack(
        &mut self,
        indices: Vec<prop::sample::Index>,
        delay_ms: Option<u64>,
        not_begun: bool,
        for_good: bool,
    ) {
        if self.receipts.is_empty() {
            return;
        }
        let (good, fenced) = self.pick(indices);
        let receipts = [good.clone(), fenced.clone()].concat();
        let cause = "it broke".to_owned();
        let outcome =
            self.shop.settle(Nack { queue: QUEUE.into(), receipts, cause, delay_ms, not_begun, for_good });
        if good.is_empty() {
            assert_eq!(outcome.expect_err("refused").code(), Code::Fenced);
            return;
        }
        assert_eq!(outcome.expect("some are good").fenced, fenced);
        let now = self.now();
        for receipt in good {
            match not_begun {
                true => self.put_back(receipt.item, now),
                false => self.fail(receipt.item, now, delay_ms, for_good),
            }
        }
    }

    fn put_back(&mut self, id: u64, now: u64) {
        let item = self.items.get_mut(&id).expect("held");
        let At::Leased { back_ms, .. } = item.at else { panic!("{item:?} is not held") };
        item.at = At::Waits { ready_ms: back_ms };
        self.expire(id, now);
    }

    fn fail(&mut self, id: u64, now: u64, delay_ms: Option<u64>, for_good: bool) {
        let item = self.items.get_mut(&id).expect("held");
        item.failed += 1;
        if for_good || item.failed >= self.settings.attempts_max {
            item.at = At::Dead;
            if self.settings.dead_letters == Some(false) {
                self.items.remove(&id);
            }
            return;
        }
        let backoff = self.settings.backoff_ms.expect("it is set") << (item.failed - 1);
        item.at = At::Waits { ready_ms: now + delay_ms.unwrap_or(backoff) };
        self.expire(id, now);
    }

    /// An item that waits may be too old.
    fn expire(&mut self, id: u64, now: u64) {
        let item = self.items.get_mut(&id).expect("it waits");
        if item.expires_ms == 0 || item.expires_ms > now {
            return;
        }
        item.at = At::Dead;
        if !self.settings.dead_letters_expired {
            self.items.remove(&id);
        }
    }

    fn extend(&mut self, receipt: prop::sample::Index, visibility_ms: u64) {
        if self.receipts.is_empty() {
            return;
        }
        let receipt = *receipt.get(&self.receipts);
        let held = self.is_held(&receipt);
        let outcome = self.shop.run(Extend { queue: QUEUE.into(), receipts: vec![receipt], visibility_ms });
        assert_eq!(outcome.is_ok(), held);
        let end = self.now() + visibility_ms;
        if held && let At::Leased { until_ms, .. } = &mut self.items.get_mut(&receipt.item).expect("held").at
        {
            *until_ms = end;
        }
    }

    fn cancel(&mut self, item: prop::sample::Index) {
        let id = item.index(self.last as usize + 1) as u64;
        let Ok(Some(queue::Answer::Cancelled(cancelled))) =
            self.shop.run(Cancel { queue: QUEUE.into(), items: vec![id] })
        else {
            panic!("never refused")
        };
        match self.items.get(&id).map(|item| &item.at) {
            None => assert_eq!(cancelled.not_found, [id]),
            Some(At::Waits { .. }) => {
                assert_eq!((cancelled.not_waiting, cancelled.not_found), (vec![], vec![]));
                self.items.remove(&id);
            }
            Some(_) => assert_eq!(cancelled.not_waiting, [id]),
        }
    }

    fn advance(&mut self, ms: u64) {
        let (from, to) = (self.now(), self.now() + ms);
        self.shop.advance(ms);
        for at in from..=to {
            self.fall_due(at);
        }
    }

    /// What ends by `at` ends now.
    fn fall_due(&mut self, at: u64) {
        let ids: Vec<u64> = self.items.keys().copied().collect();
        for id in ids {
            match &self.items[&id].at {
                At::Leased { until_ms, .. } if *until_ms <= at => self.fail(id, at, None, false),
                At::Waits { .. } => self.expire(id, at),
                _ => {}
            }
        }
    }

    /// Every item is where the model has it, and nowhere else; and the counts say so.
    fn compare(&self) {
        let now = self.now();
        let (mut ready, mut blocked, mut delayed, mut leased, mut dead) = (0, 0, 0, 0, 0);
        for id in 1..=self.last {
            let standing = self.shop.standing(id);
            let Some(item) = self.items.get(&id) else {
                assert_eq!(standing, None, "item {id} is gone");
                continue;
            };
            match (&item.at, standing.unwrap_or_else(|| panic!("item {id} is lost: {item:?}"))) {
                (At::Waits { ready_ms }, Standing::Ready) if *ready_ms <= now => ready += 1,
                (At::Waits { ready_ms }, Standing::Blocked) if *ready_ms <= now => blocked += 1,
                (At::Waits { ready_ms }, Standing::Delayed(at)) if *ready_ms > now => {
                    assert_eq!(at.as_millis(), *ready_ms);
                    delayed += 1;
                }
                (
                    At::Leased { until_ms, consumer, .. },
                    Standing::Leased { consumer: has, until, attempt },
                ) => {
                    assert_eq!((consumer, *until_ms, item.failed + 1), (&has, until.as_millis(), attempt));
                    leased += 1;
                }
                (At::Dead, Standing::Dead(_)) => dead += 1,
                (at, standing) => panic!("item {id} should be {at:?} and is {standing:?} at {now}"),
            }
        }
        let counts = self.shop.counts();
        let counted = (counts.ready, counts.blocked, counts.delayed, counts.leased, counts.dead);
        assert_eq!(counted, (ready, blocked, delayed, leased, dead));
    }

    /// Nothing waits forever: consumers that go on asking get everything.
    fn drain(&mut self) {
        self.act(Action::Pause(false));
        let mut rounds = 0;
        while self.items.values().any(|item| item.at != At::Dead) {
            self.receive("last", 50, 1_000);
            let held: Vec<Receipt> =
                self.receipts.iter().filter(|receipt| self.is_held(receipt)).copied().collect();
            if !held.is_empty() {
                self.shop.acknowledge(&held).expect("they are held");
                held.iter().for_each(|receipt| drop(self.items.remove(&receipt.item)));
            }
            self.compare();
            self.advance(50);
            rounds += 1;
            assert!(rounds < 1_000, "{:?} are never had", self.items);
        }
        self.act(Action::Purge { waiting: false, dead: true });
        self.advance(1_000);
        self.shop.assert_clean();
    }

    /// In no stretch of time more were handed out than the rate lets through.
    fn check_rate(&self, rate: &Rate, of: impl Fn(&str) -> bool) {
        let times: Vec<u64> = self.handed_out.iter().filter(|(_, key)| of(key)).map(|(at, _)| *at).collect();
        for (first, from) in times.iter().enumerate() {
            for (last, to) in times.iter().enumerate().skip(first) {
                let through = (last - first + 1) as f64;
                let steady = f64::from(rate.count) * (to - from) as f64 / rate.per_ms as f64;
                assert!(through <= f64::from(rate.burst.max(1)) + steady + 1e-6, "{through} in {from}..{to}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_item_is_where_it_should_be(
        settings in settings(),
        actions in prop::collection::vec(action(), 1..120),
    ) {
        let mut model = Model::new(settings);
        actions.into_iter().for_each(|action| model.act(action));
        model.drain();
    }

    #[test]
    fn rates_are_never_exceeded_and_hold_nothing_back_for_ever(
        settings in settings(),
        rate in prop::option::of(rate()),
        key_rate in prop::option::of(rate()),
        actions in prop::collection::vec(action(), 1..120),
    ) {
        let settings = Settings { rate, key_rate, ..settings };
        let mut model = Model::new(settings.clone());
        actions.into_iter().for_each(|action| model.act(action));
        model.drain();
        if let Some(rate) = &settings.rate {
            model.check_rate(rate, |_| true);
        }
        if let Some(rate) = &settings.key_rate {
            for key in ["k0", "k1", "k2"] {
                model.check_rate(rate, |of| of == key);
            }
        }
    }
}
