//! Queues as users think of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bytes::Bytes;
use machine::queue::{
    self, Answer, Cancelled, Receipt, Received, Redrive, Redriven, Reply, SendItem, Sent, Settings, Settled,
    Standing, Work,
};
use machine::{Code, Read, Time};

use super::{Payloads, Step};

/// Queues by name.
#[derive(Default)]
pub struct Queues {
    queues: BTreeMap<String, Queue>,
}

#[derive(Default)]
struct Queue {
    items: BTreeMap<u64, Item>,
    last_item: u64,
    last_lease: u64,
    /// Until when a deduplication id is known, and which item it was.
    seen: BTreeMap<String, (u64, u64)>,
    settings: Settings,
    paused: bool,
    redrive: Option<Redriving>,
}

/// A redrive, and when it was asked for with which item the last.
struct Redriving {
    redrive: Redrive,
    began_ms: u64,
    last_item: u64,
}

struct Item {
    payload: Bytes,
    priority: u32,
    sent_ms: u64,
    ready_ms: u64,
    expires_ms: u64,
    failed: u32,
    stands: Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Delayed,
    Ready,
    Leased { lease: u64, until_ms: u64 },
    Dead { since_ms: u64 },
}

impl Queues {
    pub(super) fn apply(&mut self, step: &Step<'_>, command: &queue::Command) -> Result<Reply, Code> {
        let answer = match command.kind.as_ref().expect("what is in the log says what it is") {
            queue::Kind::Define(define) => {
                self.at(&define.queue).settings = define.settings.clone();
                return Ok(Reply::default());
            }
            queue::Kind::Pause(pause) => {
                self.at(&pause.queue).paused = true;
                return Ok(Reply::default());
            }
            queue::Kind::Resume(resume) => {
                self.at(&resume.queue).paused = false;
                return Ok(Reply::default());
            }
            queue::Kind::Send(send) => Answer::Sent(self.at(&send.queue).send_all(step, &send.items)?),
            queue::Kind::Cancel(cancel) => Answer::Cancelled(self.at(&cancel.queue).cancel(&cancel.items)),
            queue::Kind::Redrive(redrive) => Answer::Redriven(self.at(&redrive.queue).redrive(step, redrive)),
            queue::Kind::Receive(receive) => {
                let queue = self.at(&receive.queue);
                let visibility_ms =
                    if receive.visibility_ms == 0 { VISIBILITY_MS } else { receive.visibility_ms };
                Answer::Received(queue.receive(step, receive.max as usize, visibility_ms))
            }
            queue::Kind::Acknowledge(acknowledge) => {
                let queue = self.at(&acknowledge.queue);
                let (good, fenced) = queue.split(&acknowledge.receipts, acknowledge.all)?;
                for receipt in good {
                    queue.items.remove(&receipt.item);
                }
                Answer::Settled(Settled { fenced })
            }
            queue::Kind::Nack(nack) => {
                let queue = self.at(&nack.queue);
                let (good, fenced) = queue.split(&nack.receipts, false)?;
                for receipt in good {
                    queue.fail(receipt.item, step.time, nack.delay_ms, nack.for_good);
                }
                Answer::Settled(Settled { fenced })
            }
            queue::Kind::Extend(extend) => {
                let queue = self.at(&extend.queue);
                let (good, fenced) = queue.split(&extend.receipts, false)?;
                let until_ms = step.time.after(extend.visibility_ms).as_millis();
                for Receipt { lease, item } in good {
                    queue.item(item).stands = Stands::Leased { lease, until_ms };
                }
                Answer::Extended(queue::Extended { until_ms, fenced })
            }
            other => panic!("the model does not know {other:?}"),
        };
        Ok(Reply { answer: Some(answer) })
    }

    /// What comes due by `now`: delays and leases end.
    pub(super) fn fire(&mut self, now: Time) {
        for queue in self.queues.values_mut() {
            queue.seen.retain(|_, (until, _)| *until > now.as_millis());
            let leases: Vec<u64> =
                queue.items.iter().filter(|(_, item)| item.ends_by(now)).map(|(id, _)| *id).collect();
            for id in leases {
                queue.fail(id, now, None, false);
            }
            let ready = |item: &&mut Item| item.stands == Stands::Delayed && item.ready_ms <= now.as_millis();
            queue.items.values_mut().filter(ready).for_each(|item| item.stands = Stands::Ready);
            queue.items.retain(|_, item| !(item.waits() && item.is_expired(now)));
            queue.revive(now);
        }
    }

    fn at(&mut self, queue: &str) -> &mut Queue {
        self.queues.entry(queue.to_owned()).or_default()
    }

    /// The receipts by which items are held, for consumers.
    pub fn held(&self, queue: &str) -> Vec<Receipt> {
        let items = self.queues.get(queue).into_iter().flat_map(|queue| &queue.items);
        let receipt = |(id, item): (&u64, &Item)| match item.stands {
            Stands::Leased { lease, .. } => Some(Receipt { lease, item: *id }),
            _ => None,
        };
        items.filter_map(receipt).collect()
    }

    /// The numbers of the last items, for who has sent them.
    pub fn last(&self, queue: &str) -> u64 {
        self.queues.get(queue).map_or(0, |queue| queue.last_item)
    }

    pub(super) fn assert_read(&self, state: &impl Read, payloads: Payloads<'_>) {
        for (name, queue) in &self.queues {
            let counts = queue::counts(state, name);
            assert_eq!(counts.len(), queue.items.len() as u64, "how many items {name:?} has");
            for (id, item) in &queue.items {
                let read =
                    queue::get(state, name, *id).unwrap_or_else(|| panic!("{name:?} has lost item {id}"));
                let stands = match (&read.standing, item.stands) {
                    (Standing::Ready, Stands::Ready) => true,
                    (Standing::Dead(dead), Stands::Dead { since_ms }) => dead.at_ms == since_ms,
                    (Standing::Delayed(at), Stands::Delayed) => at.as_millis() == item.ready_ms,
                    (Standing::Leased { until, .. }, Stands::Leased { until_ms, .. }) => {
                        until.as_millis() == until_ms
                    }
                    _ => false,
                };
                assert!(
                    stands,
                    "item {id} of {name:?} is {:?}, and should be {:?}",
                    read.standing, item.stands
                );
                assert_eq!(payloads(&read.item.body), item.payload, "the payload of item {id} of {name:?}");
            }
        }
    }
}

impl Queue {
    fn send_all(&mut self, step: &Step<'_>, items: &[SendItem]) -> Result<Sent, Code> {
        let now = step.time.as_millis();
        let is_seen = |id: &String| self.seen.get(id).is_some_and(|(until, _)| *until > now);
        let is_new = |(at, item): &(usize, &SendItem)| {
            let repeats = |before: &SendItem| before.dedup_id == item.dedup_id;
            item.dedup_id.is_empty() || !(is_seen(&item.dedup_id) || items[..*at].iter().any(repeats))
        };
        let more = items.iter().enumerate().filter(is_new).count();
        let most = self.settings.length_max as usize;
        if most > 0 && self.items.len() + more > most {
            return Err(Code::Limit);
        }
        let mut sent = Sent::default();
        for (index, item) in (0..).zip(items) {
            match self.send(step, item) {
                Ok(id) => sent.items.push(id),
                Err(first) => {
                    sent.items.push(first);
                    sent.duplicates.push(index);
                }
            }
        }
        Ok(sent)
    }

    fn cancel(&mut self, items: &[u64]) -> Cancelled {
        let mut cancelled = Cancelled::default();
        for id in items {
            match self.items.get(id) {
                Some(item) if item.waits() => drop(self.items.remove(id)),
                Some(_) => cancelled.not_waiting.push(*id),
                None => cancelled.not_found.push(*id),
            }
        }
        cancelled
    }

    /// Dead letters that a redrive is for, in the order of their numbers.
    fn dead<'a>(&'a self, redrive: &'a Redrive) -> impl Iterator<Item = (u64, u64)> + 'a {
        let only = redrive.filter.as_ref().map_or(&[][..], |filter| &filter.items);
        self.items.iter().filter_map(move |(id, item)| match item.stands {
            Stands::Dead { since_ms } if only.is_empty() || only.contains(id) => Some((*id, since_ms)),
            _ => None,
        })
    }

    fn redrive(&mut self, step: &Step<'_>, redrive: &Redrive) -> Redriven {
        let first: Vec<u64> = self.dead(redrive).map(|(id, _)| id).collect();
        let any_dead = self.items.values().any(|item| matches!(item.stands, Stands::Dead { .. }));
        if any_dead && !redrive.dry_run {
            let (began_ms, last_item) = (step.time.as_millis(), self.last_item);
            self.redrive = Some(Redriving { redrive: redrive.clone(), began_ms, last_item });
        }
        Redriven { matching: first.len() as u64, first, more: false }
    }

    /// Does what redrive was asked for.
    fn revive(&mut self, now: Time) {
        let Some(Redriving { redrive, began_ms, last_item }) = self.redrive.take() else { return };
        let most = if redrive.max == 0 { usize::MAX } else { redrive.max as usize };
        let dead = self.dead(&redrive).filter(|(id, since)| *id <= last_item && *since <= began_ms);
        let dead: Vec<u64> = dead.map(|(id, _)| id).take(most).collect();
        for id in dead {
            let item = self.item(id);
            (item.failed, item.ready_ms, item.expires_ms) = (0, now.as_millis(), 0);
            item.stands = Stands::Ready;
        }
    }

    /// The item's number; that of the one that it repeats, if it does.
    fn send(&mut self, step: &Step<'_>, item: &SendItem) -> Result<u64, u64> {
        let now = step.time.as_millis();
        if !item.dedup_id.is_empty() {
            if let Some((until, first)) = self.seen.get(&item.dedup_id)
                && *until > now
            {
                return Err(*first);
            }
            self.seen.insert(item.dedup_id.clone(), (now + DEDUP_WINDOW_MS, self.last_item + 1));
        }
        self.last_item += 1;
        let ready_ms = now.max(item.at_ms) + item.delay_ms;
        self.items.insert(
            self.last_item,
            Item {
                payload: step.bodies[item.body as usize].clone(),
                priority: item.priority.unwrap_or(queue::PRIORITY_DEFAULT),
                sent_ms: now,
                ready_ms,
                expires_ms: if item.ttl_ms > 0 { now + item.ttl_ms } else { 0 },
                failed: 0,
                stands: if ready_ms > now { Stands::Delayed } else { Stands::Ready },
            },
        );
        Ok(self.last_item)
    }

    fn receive(&mut self, step: &Step<'_>, max: usize, visibility_ms: u64) -> Received {
        let mut ready: Vec<(Reverse<u32>, u64, u64)> = self
            .items
            .iter()
            .filter(|(_, item)| item.stands == Stands::Ready)
            .map(|(id, item)| (Reverse(item.priority), item.ready_ms, *id))
            .collect();
        ready.sort_unstable();
        ready = self.hand_out(ready, max, step.time);
        let until_ms = step.time.after(visibility_ms).as_millis();
        let first = self.last_lease + 1;
        self.last_lease += ready.len().div_ceil(queue::LEASE_ITEMS_MAX) as u64;
        let mut received = Received::default();
        for (place, (_, _, id)) in ready.into_iter().enumerate() {
            let lease = first + (place / queue::LEASE_ITEMS_MAX) as u64;
            let item = self.item(id);
            item.stands = Stands::Leased { lease, until_ms };
            received.items.push(Work {
                receipt: Receipt { lease, item: id },
                until_ms,
                attempt: item.failed + 1,
                priority: item.priority,
                sent_ms: item.sent_ms,
                ..Work::default()
            });
        }
        received
    }

    /// The first of those that are ready, as many as may be had; what is too old among them goes.
    fn hand_out<T: Copy>(&mut self, ready: Vec<(T, u64, u64)>, max: usize, now: Time) -> Vec<(T, u64, u64)> {
        let is_leased = |item: &&Item| matches!(item.stands, Stands::Leased { .. });
        let most = self.settings.concurrency as usize;
        let room = match most {
            0 => usize::MAX,
            most => most.saturating_sub(self.items.values().filter(is_leased).count()),
        };
        let mut handed = Vec::new();
        for place in ready {
            if self.paused || handed.len() == max.min(room) {
                break;
            } else if self.items[&place.2].is_expired(now) {
                self.items.remove(&place.2);
            } else {
                handed.push(place);
            }
        }
        handed
    }

    /// Receipts that are good, and those that are not.
    fn split(&self, receipts: &[Receipt], all: bool) -> Result<(Vec<Receipt>, Vec<Receipt>), Code> {
        let mut sorted = receipts.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let count = sorted.len();
        let is_good = |receipt: &Receipt| match self.items.get(&receipt.item).map(|item| item.stands) {
            Some(Stands::Leased { lease, .. }) => lease == receipt.lease,
            _ => false,
        };
        let (good, fenced): (Vec<_>, Vec<_>) = sorted.into_iter().partition(is_good);
        if fenced.len() == count || (all && !fenced.is_empty()) {
            return Err(Code::Fenced);
        }
        Ok((good, fenced))
    }

    fn fail(&mut self, id: u64, now: Time, delay_ms: Option<u64>, for_good: bool) {
        let backoff_ms = self.settings.backoff_ms.unwrap_or(BACKOFF_MS);
        let attempts_max =
            if self.settings.attempts_max == 0 { ATTEMPTS_MAX } else { self.settings.attempts_max };
        let keeps_dead = self.settings.dead_letters != Some(false);
        let item = self.item(id);
        item.failed += 1;
        let is_used_up = for_good || item.failed >= attempts_max;
        if is_used_up && keeps_dead {
            item.stands = Stands::Dead { since_ms: now.as_millis() };
            return;
        }
        if is_used_up || item.is_expired(now) {
            self.items.remove(&id);
            return;
        }
        let doubled = backoff_ms << (item.failed - 1);
        let wait = delay_ms.unwrap_or(doubled.min(BACKOFF_MS_MAX));
        item.ready_ms = now.as_millis() + wait;
        item.stands = if wait > 0 { Stands::Delayed } else { Stands::Ready };
    }

    fn item(&mut self, id: u64) -> &mut Item {
        self.items.get_mut(&id).expect("the item is there")
    }
}

impl Item {
    /// Whether nobody has it, and somebody may.
    fn waits(&self) -> bool {
        matches!(self.stands, Stands::Ready | Stands::Delayed)
    }

    fn is_expired(&self, now: Time) -> bool {
        self.expires_ms != 0 && self.expires_ms <= now.as_millis()
    }

    fn ends_by(&self, now: Time) -> bool {
        matches!(self.stands, Stands::Leased { until_ms, .. } if until_ms <= now.as_millis())
    }
}

// As the docs of the settings say, where nothing is set.
const VISIBILITY_MS: u64 = 30_000;
const DEDUP_WINDOW_MS: u64 = 5 * 60_000;
const ATTEMPTS_MAX: u32 = 10;
const BACKOFF_MS: u64 = 1_000;
const BACKOFF_MS_MAX: u64 = 15 * 60_000;
