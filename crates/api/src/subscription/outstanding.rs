//! Events that a stream has been sent, and that have not been answered.
//!
//! A client handles them one after the other, as a rule, so the time for an event does not begin when it is sent but with
//! the answer to another: a stream that goes on is not late.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use components::pubsub::{Delivery, Receipt};

/// The events, by the ids that the client knows them by. Several may have the same: they are taken as sent.
#[derive(Debug, Default)]
pub struct Outstanding {
    by_id: HashMap<String, VecDeque<(Instant, Delivery)>>,
    count: usize,
    answered: Option<Instant>,
}

impl Outstanding {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// An event is sent.
    pub fn sent(&mut self, now: Instant, id: String, delivery: Delivery) {
        self.by_id.entry(id).or_default().push_back((now, delivery));
        self.count += 1;
    }

    /// An event is answered; none if it is not known, or not any more.
    pub fn answered(&mut self, now: Instant, id: &str) -> Option<Delivery> {
        let same = self.by_id.get_mut(id)?;
        let (_, delivery) = same.pop_front()?;
        if same.is_empty() {
            self.by_id.remove(id);
        }
        self.count -= 1;
        self.answered = Some(now);
        Some(delivery)
    }

    /// Takes out those for which the client has had `timeout` and did not even answer another.
    pub fn overdue(&mut self, now: Instant, timeout: Duration) -> Vec<Delivery> {
        let answered = self.answered;
        let late = |sent: Instant| {
            now.saturating_duration_since(answered.map_or(sent, |at| at.max(sent))) >= timeout
        };
        let mut overdue = Vec::new();
        for same in self.by_id.values_mut() {
            while let Some((_, delivery)) = same.pop_front_if(|(sent, _)| late(*sent)) {
                overdue.push(delivery);
            }
        }
        self.by_id.retain(|_, same| !same.is_empty());
        self.count -= overdue.len();
        overdue
    }

    /// What they are known by to their broker.
    pub fn receipts(&self) -> impl Iterator<Item = Receipt> {
        self.by_id.values().flatten().map(|(_, delivery)| delivery.receipt)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use components::pubsub::Message;

    use super::*;

    fn delivery(offset: u64) -> Delivery {
        let message = Message::new("x");
        Delivery { receipt: Receipt(0, offset), attempt: 1, published: SystemTime::UNIX_EPOCH, message }
    }

    #[test]
    fn answers_find_their_events() {
        let (mut outstanding, now) = (Outstanding::default(), Instant::now());
        for (id, offset) in [("a", 1), ("b", 2), ("a", 3)] {
            outstanding.sent(now, id.to_owned(), delivery(offset));
        }
        let mut answered = |id: &str| outstanding.answered(now, id).map(|delivery| delivery.receipt.1);
        assert_eq!(answered("c"), None);
        assert_eq!((answered("a"), answered("a"), answered("a")), (Some(1), Some(3), None));
        assert_eq!((outstanding.len(), outstanding.receipts().count()), (1, 1));
        assert!(outstanding.answered(now, "b").is_some() && outstanding.is_empty());
    }

    #[test]
    fn who_answers_others_is_not_late() {
        let (mut outstanding, begin) = (Outstanding::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let limit = Duration::from_secs(60);
        for offset in 0..3 {
            outstanding.sent(at(0), offset.to_string(), delivery(offset));
        }
        assert!(outstanding.overdue(at(59), limit).is_empty());
        assert!(outstanding.answered(at(59), "0").is_some());
        assert!(outstanding.overdue(at(118), limit).is_empty());
        outstanding.sent(at(118), "3".to_owned(), delivery(3));
        assert_eq!(outstanding.overdue(at(119), limit).len(), 2);
        assert!(outstanding.answered(at(120), "1").is_none(), "it is too late");
        assert_eq!(
            (outstanding.len(), outstanding.overdue(at(178), limit).len(), outstanding.len()),
            (1, 1, 0)
        );
    }
}
