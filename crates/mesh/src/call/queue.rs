//! Those who wait for a place in a bulkhead: a line a class, of which [`Line`] says whose turn it is and
//! who may join. Each is handed what it waits for, or learns by the end of its channel that a higher class
//! has taken its place.

use std::collections::VecDeque;

use policy::shed::CLASSES;
use policy::{Arrival, Class, Line};
use tokio::sync::oneshot;

pub(super) struct Queue<T> {
    next: u64,
    line: Line,
    /// By rank, each by ids that rise.
    waiters: [VecDeque<(u64, oneshot::Sender<T>)>; CLASSES],
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue { next: 0, line: Line::default(), waiters: Default::default() }
    }
}

impl<T> Queue<T> {
    pub(super) fn line(&self) -> Line {
        self.line
    }

    /// A place in the line, of which there are `most`. None: there is none for this class.
    pub(super) fn join(&mut self, class: Class, most: usize) -> Option<(u64, oneshot::Receiver<T>)> {
        match self.line.arrive(class, most) {
            Arrival::Refused => return None,
            Arrival::Displaces(lower) => drop(self.waiters[lower.rank()].pop_back()),
            Arrival::Waits => {}
        }
        let (sender, receiver) = oneshot::channel();
        let id = self.next;
        self.next += 1;
        self.waiters[class.rank()].push_back((id, sender));
        Some((id, receiver))
    }

    /// To the first of a class; back if that waits no longer.
    pub(super) fn give(&mut self, class: Class, what: T) -> Option<T> {
        let Some((_, waiter)) = self.waiters[class.rank()].pop_front() else { return Some(what) };
        self.line.leave(class);
        waiter.send(what).err()
    }

    /// Somebody gives up waiting, if it still does.
    pub(super) fn leave(&mut self, class: Class, id: u64) {
        let waiters = &mut self.waiters[class.rank()];
        if let Ok(at) = waiters.binary_search_by_key(&id, |(id, _)| *id) {
            waiters.remove(at);
            self.line.leave(class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_is_served_first_and_the_newest_of_the_lowest_gives_way() {
        let mut queue = Queue::default();
        let mut join = |class| queue.join(class, 3);
        let (_, mut old) = join(Class::Low).expect("there is room");
        let (_, mut new) = join(Class::Low).expect("there is room");
        let (_, mut normal) = join(Class::Normal).expect("there is room");
        let (_, mut critical) = join(Class::Critical).expect("it takes the place of a lower one");
        assert!(join(Class::Low).is_none());
        assert_eq!(new.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        for (number, waiting) in [&mut critical, &mut normal, &mut old].into_iter().enumerate() {
            let front = queue.line().front().expect("somebody waits");
            assert_eq!(queue.give(front, number), None);
            assert_eq!(waiting.try_recv(), Ok(number));
        }
        assert!(queue.line().is_empty());
    }

    #[test]
    fn who_has_left_is_not_waited_for() {
        let mut queue = Queue::default();
        let (first, _gone) = queue.join(Class::Normal, 2).expect("there is room");
        let (_, second) = queue.join(Class::Normal, 2).expect("there is room");
        queue.leave(Class::Normal, first);
        queue.leave(Class::Normal, first);
        assert_eq!(queue.line().len(), 1);
        drop(second);
        assert_eq!(queue.give(Class::Normal, 7), Some(7));
        assert_eq!(queue.give(Class::Normal, 7), Some(7));
    }
}
