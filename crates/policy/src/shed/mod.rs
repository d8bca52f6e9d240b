//! Load shedding by priority: who is refused first when not all can be served.
//!
//! Every request has a [`Class`]. Of the requests that may be in flight each class may fill its
//! [`Shares`], the lower the less, so that what the lower ones leave is there for those above them:
//! as utilisation rises the classes are shed one after another, from the lowest. The thresholds by
//! utilisation are those of Netflix ("Keeping Netflix Reliable Using Prioritized Load Shedding",
//! 2020; "Enhancing Netflix Reliability with Service-Level Prioritized Load Shedding", 2024), the
//! classes that callers hand on Google's criticality ("Site Reliability Engineering", 2016, chapter
//! 21) and the priorities of DAGOR (Zhou et al., "Overload Control for Scaling WeChat
//! Microservices", SoCC 2018). What is measured here is requests in flight and not CPU or the wait in
//! a queue, for that is what a bulkhead knows of an upstream whose inside it does not see; its limit
//! may be found out from latency.
//!
//! Who finds no place may wait, for what is left of a full [`Line`]: the highest class is served
//! first, within a class who came first, and where no more may wait, a higher class takes the place
//! of the newest of the lowest one. The machine counts; the driver keeps those who wait.

#[cfg(test)]
mod tests;

/// How much it matters that a request is served. The greater is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Can be done without, or later: prefetching, batches, telemetry.
    Low,
    /// What nothing is said of.
    #[default]
    Normal,
    /// Somebody waits for it.
    High,
    /// What the system is there for.
    Critical,
}

impl Class {
    /// Each of them, the lowest first.
    pub const ALL: [Class; CLASSES] = [Class::Low, Class::Normal, Class::High, Class::Critical];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Class::Low => "low",
            Class::Normal => "normal",
            Class::High => "high",
            Class::Critical => "critical",
        }
    }

    /// The class of this name.
    pub fn named(name: &[u8]) -> Option<Class> {
        Class::ALL.into_iter().find(|class| name.eq_ignore_ascii_case(class.name().as_bytes()))
    }

    /// Its place in [`Class::ALL`].
    pub fn rank(self) -> usize {
        self as usize
    }
}

/// Number of classes.
pub const CLASSES: usize = 4;

/// How much of a limit each class may fill, together with all others: rising, and all of it for the
/// highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares([u64; CLASSES]);

impl Shares {
    /// No class is shed before another.
    pub const WHOLE: Shares = Shares([SCALE; CLASSES]);

    /// Shares from 0 to 1. One that is less than that of a lower class counts as that; zero leaves a
    /// class one place, where that is not taken.
    pub fn new(low: f64, normal: f64, high: f64) -> Shares {
        let scaled = |share: f64| (share.clamp(0.0, 1.0) * SCALE as f64).round() as u64;
        let low = scaled(low);
        let normal = scaled(normal).max(low);
        Shares([low, normal, scaled(high).max(normal), SCALE])
    }

    /// A request of this class is let in while fewer than so many are in flight. At least one, so that no
    /// class is shut out for good; none where the limit is none.
    #[inline]
    pub fn room(&self, limit: usize, class: Class) -> usize {
        let share = (limit as u64).saturating_mul(self.0[class.rank()]) / SCALE;
        (share as usize).max(1).min(limit)
    }
}

/// A share of one; a million for that percentages keep their digits.
const SCALE: u64 = 1_000_000;

/// How many of each class wait for a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line([usize; CLASSES]);

/// What becomes of a request that wants to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It waits, behind those of its class.
    Waits,
    /// It waits, and the newest of this lower class does no longer.
    Displaces(Class),
    /// It does not: nobody who waits is of a lower class.
    Refused,
}

impl Line {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.iter().sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of a class wait.
    pub fn of(&self, class: Class) -> usize {
        self.0[class.rank()]
    }

    /// Who is served next: the first of this class.
    pub fn front(&self) -> Option<Class> {
        Class::ALL.into_iter().rev().find(|class| self.of(*class) > 0)
    }

    /// Whether a request that comes now would overtake somebody of its class or a higher one.
    pub fn is_before(&self, class: Class) -> bool {
        self.front().is_some_and(|front| front >= class)
    }

    /// A request comes that finds no place, where `most` may wait.
    pub fn arrive(&mut self, class: Class, most: usize) -> Arrival {
        let lowest = Class::ALL.into_iter().find(|lower| self.of(*lower) > 0);
        let arrival = match (self.len() < most, lowest) {
            (true, _) => Arrival::Waits,
            (false, Some(lowest)) if lowest < class => Arrival::Displaces(lowest),
            (false, _) => return Arrival::Refused,
        };
        if let Arrival::Displaces(lower) = arrival {
            self.leave(lower);
        }
        self.0[class.rank()] += 1;
        arrival
    }

    /// One of a class waits no longer: it has a place, or has given up. Nobody of it waiting: nothing.
    pub fn leave(&mut self, class: Class) {
        let count = &mut self.0[class.rank()];
        *count = count.saturating_sub(1);
    }
}
