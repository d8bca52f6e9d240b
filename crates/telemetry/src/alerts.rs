//! Alerts: what is wrong for long enough that somebody should know, told once when it begins and once when it is over.
//!
//! Whoever looks at the system says each time which conditions hold ([`Board::update`]); the board knows since when, and what was
//! told already. A condition fires when it has held without a break for as long as it says, and is resolved when it has not held
//! for [`CLEAR_MS`]: what flickers is one alert. One that another one says more severely is inhibited while that fires: it is shown
//! and not told (as [Alertmanager](https://prometheus.io/docs/alerting/latest/alertmanager/#inhibition) has it). What fires and what
//! was told of it outlives the board by [`Board::kept`]. Time is an argument.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

/// Who has to do something, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody, in the next days.
    Ticket,
    /// Somebody, now.
    Page,
}

impl Severity {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Ticket => "ticket",
            Severity::Page => "page",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What tells it from others, such as `slo checkout availability page`.
    pub key: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is, as a sentence.
    pub summary: String,
    /// For how long it has to be so.
    pub holds_ms: u64,
    /// The key of the condition that says the same more severely: while that fires, nobody is told of this one.
    pub inhibited_by: Option<String>,
}

/// A condition that is known of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What tells it from others.
    pub key: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is, as a sentence; as of when it was last so.
    pub summary: String,
    /// Since when it is so, in milliseconds since 1970.
    pub since_ms: u64,
    /// Whether it has held for long enough.
    pub firing: bool,
    /// Whether another one that fires says it more severely.
    #[serde(default)]
    pub inhibited: bool,
    /// When it was last so.
    #[serde(skip)]
    seen_ms: u64,
    #[serde(skip)]
    holds_ms: u64,
    #[serde(skip)]
    inhibited_by: Option<String>,
    /// Whether somebody was told that it fires.
    #[serde(skip)]
    told: bool,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// It fires.
    Fired(Alert),
    /// It is over.
    Resolved(Alert),
}

/// An alert that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// What it was.
    #[serde(flatten)]
    pub alert: Alert,
    /// Until when it was so, in milliseconds since 1970.
    pub until_ms: u64,
}

/// All that is known of.
#[derive(Debug, Default)]
pub struct Board {
    known: BTreeMap<String, Alert>,
    past: VecDeque<Past>,
    /// Since when what an earlier board knew is looked at again.
    restored_ms: u64,
}

/// What outlives a board.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    firing: Vec<Firing>,
    /// The last one first.
    past: Vec<Past>,
}

/// An alert that fires, with what is nobody's matter but the board's.
#[derive(Debug, Serialize, Deserialize)]
struct Firing {
    alert: Alert,
    seen_ms: u64,
    told: bool,
    inhibited_by: Option<String>,
}

/// For how long a condition must not hold before its alert is over.
pub const CLEAR_MS: u64 = 60_000;
/// Most alerts at a time; what more there is, is not taken on before others are over.
pub const ALERTS_MAX: usize = 500;
/// Most alerts that are over and still told of.
pub const PAST_MAX: usize = 50;

impl Board {
    /// Takes what holds now; returns what is to be told.
    pub fn update(&mut self, now_ms: u64, conditions: Vec<Condition>) -> Vec<Turn> {
        let held = self.take(now_ms, conditions);
        for alert in self.known.values_mut().filter(|alert| held.contains(&alert.key)) {
            alert.firing |= now_ms.saturating_sub(alert.since_ms) >= alert.holds_ms;
        }
        let is_over = |alert: &Alert| {
            // What an earlier board knew may hold again in a moment.
            let quiet_ms = now_ms.saturating_sub(alert.seen_ms.max(self.restored_ms));
            !held.contains(&alert.key) && (!alert.firing || quiet_ms >= CLEAR_MS)
        };
        let over: Vec<String> =
            self.known.values().filter(|alert| is_over(alert)).map(|alert| alert.key.clone()).collect();
        let over: Vec<Alert> = over.iter().filter_map(|key| self.known.remove(key)).collect();
        let mut turns = Vec::new();
        for mut alert in over.into_iter().filter(|alert| alert.firing) {
            alert.firing = false;
            self.past.push_back(Past { alert: alert.clone(), until_ms: alert.seen_ms });
            turns.extend(alert.told.then_some(Turn::Resolved(alert)));
        }
        self.past.drain(..self.past.len().saturating_sub(PAST_MAX));
        turns.extend(self.tell());
        turns
    }

    /// Takes on what holds; returns the keys of it.
    fn take(&mut self, now_ms: u64, conditions: Vec<Condition>) -> BTreeSet<String> {
        let mut held = BTreeSet::new();
        for condition in conditions {
            if !self.known.contains_key(&condition.key) && self.known.len() >= ALERTS_MAX {
                continue;
            }
            held.insert(condition.key.clone());
            let alert = self.known.entry(condition.key.clone()).or_insert_with(|| Alert {
                key: condition.key,
                severity: condition.severity,
                summary: String::new(),
                since_ms: now_ms,
                firing: false,
                inhibited: false,
                seen_ms: now_ms,
                holds_ms: condition.holds_ms,
                inhibited_by: condition.inhibited_by,
                told: false,
            });
            alert.summary = condition.summary;
            alert.seen_ms = now_ms;
        }
        held
    }

    /// Those that fire, nobody was told of and nothing inhibits.
    fn tell(&mut self) -> Vec<Turn> {
        let firing: BTreeSet<String> =
            self.known.values().filter(|alert| alert.firing).map(|alert| alert.key.clone()).collect();
        let mut turns = Vec::new();
        for alert in self.known.values_mut().filter(|alert| alert.firing) {
            alert.inhibited = alert.inhibited_by.as_ref().is_some_and(|other| firing.contains(other));
            if !alert.told && !alert.inhibited {
                alert.told = true;
                turns.push(Turn::Fired(alert.clone()));
            }
        }
        turns
    }

    /// What is to be known when this board is gone.
    pub fn kept(&self) -> Kept {
        let firing = self.known.values().filter(|alert| alert.firing).map(|alert| Firing {
            alert: alert.clone(),
            seen_ms: alert.seen_ms,
            told: alert.told,
            inhibited_by: alert.inhibited_by.clone(),
        });
        Kept { firing: firing.collect(), past: self.past().cloned().collect() }
    }

    /// Takes on what an earlier board has known. What fired then fires on, and nobody is told again; what does not hold any more is over
    /// [`CLEAR_MS`] from now, as of when it was last so.
    pub fn restore(&mut self, now_ms: u64, kept: Kept) {
        self.restored_ms = now_ms;
        for Firing { alert, seen_ms, told, inhibited_by } in kept.firing.into_iter().take(ALERTS_MAX) {
            let alert = Alert { seen_ms, told, inhibited_by, ..alert };
            self.known.insert(alert.key.clone(), alert);
        }
        self.past = kept.past.into_iter().take(PAST_MAX).rev().collect();
    }

    /// Those that are over, the last one first.
    pub fn past(&self) -> impl Iterator<Item = &Past> {
        self.past.iter().rev()
    }

    /// Those that fire, what matters most first.
    pub fn firing(&self) -> Vec<Alert> {
        let mut all: Vec<Alert> = self.known.values().filter(|alert| alert.firing).cloned().collect();
        all.sort_by(|one, two| two.severity.cmp(&one.severity).then(one.since_ms.cmp(&two.since_ms)));
        all
    }
}

/// Something that somebody, or the node itself, has done to the system: what an alert may come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// `reload`, `rollout`, `restart`, `fault`.
    pub kind: Cow<'static, str>,
    /// What, as a sentence.
    pub text: String,
}

/// The last changes.
#[derive(Debug, Default)]
pub struct Changes(VecDeque<Change>);

/// Most changes that are kept.
const CHANGES_MAX: usize = 200;
/// Most that are told beside an alert.
const BESIDE_MAX: usize = 10;
/// How long before an alert's begin what changed may be its cause.
const BEFORE_MS: u64 = 15 * 60_000;

impl Changes {
    /// Notes one.
    pub fn note(&mut self, change: Change) {
        if self.0.len() == CHANGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(change);
    }

    /// Forgets one that did not come about.
    pub fn forget(&mut self, change: &Change) {
        if let Some(at) = self.0.iter().rposition(|noted| noted == change) {
            self.0.remove(at);
        }
    }

    /// Takes what an earlier node has noted: it was before all that is known.
    pub fn restore(&mut self, earlier: Vec<Change>) {
        let room = CHANGES_MAX - self.0.len().min(CHANGES_MAX);
        let earlier = earlier.into_iter().rev().take(room);
        earlier.for_each(|change| self.0.push_front(change));
    }

    /// What changed shortly before an alert began or since, the latest first.
    pub fn beside(&self, alert: &Alert) -> Vec<Change> {
        self.during(alert, u64::MAX)
    }

    /// The same of one that is over: what came later has nothing to do with it.
    pub fn beside_past(&self, past: &Past) -> Vec<Change> {
        self.during(&past.alert, past.until_ms)
    }

    fn during(&self, alert: &Alert, until_ms: u64) -> Vec<Change> {
        let from_ms = alert.since_ms.saturating_sub(BEFORE_MS);
        let within =
            |from_ms, to_ms| self.0.iter().rev().filter(move |one| (from_ms..=to_ms).contains(&one.at_ms));
        // A cause comes before what it causes, so what follows takes only the room that is left.
        let causes: Vec<_> = within(from_ms, alert.since_ms.min(until_ms)).take(BESIDE_MAX).collect();
        let later = within(alert.since_ms + 1, until_ms).take(BESIDE_MAX - causes.len());
        later.chain(causes).cloned().collect()
    }

    /// What changed in a range, in order.
    pub fn between(&self, from_ms: u64, to_ms: u64) -> impl Iterator<Item = &Change> {
        self.0.iter().filter(move |change| (from_ms..=to_ms).contains(&change.at_ms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition(key: &str, holds_ms: u64) -> Condition {
        Condition {
            key: key.to_owned(),
            severity: Severity::Page,
            summary: key.to_owned(),
            holds_ms,
            inhibited_by: None,
        }
    }

    /// A page, or the ticket that it inhibits.
    fn burning(severity: Severity) -> Condition {
        let inhibited_by = (severity == Severity::Ticket).then(|| "a page".to_owned());
        Condition { severity, inhibited_by, ..condition(&format!("a {}", severity.word()), 0) }
    }

    fn told(turns: &[Turn]) -> Vec<String> {
        let one = |turn: &Turn| match turn {
            Turn::Fired(alert) => format!("{} fires", alert.key),
            Turn::Resolved(alert) => format!("{} is over", alert.key),
        };
        turns.iter().map(one).collect()
    }

    fn fired(turns: &[Turn]) -> usize {
        turns.iter().filter(|turn| matches!(turn, Turn::Fired(_))).count()
    }

    #[test]
    fn it_fires_once_when_it_has_held_and_is_over_once() {
        let mut board = Board::default();
        assert!(board.update(0, vec![condition("a", 120_000)]).is_empty());
        assert!(board.update(60_000, vec![condition("a", 120_000)]).is_empty() && board.firing().is_empty());
        assert_eq!(fired(&board.update(120_000, vec![condition("a", 120_000)])), 1);
        assert!(board.update(180_000, vec![condition("a", 120_000)]).is_empty());
        assert!(board.update(200_000, vec![]).is_empty() && board.firing().len() == 1);
        assert!(board.update(210_000, vec![condition("a", 120_000)]).is_empty(), "it flickers");
        assert!(matches!(&board.update(270_000, vec![])[..], [Turn::Resolved(alert)] if alert.since_ms == 0));
        assert!(board.firing().is_empty());
    }

    #[test]
    fn what_did_not_hold_long_enough_begins_anew() {
        let mut board = Board::default();
        board.update(0, vec![condition("a", 100)]);
        board.update(50, vec![]);
        assert!(board.update(110, vec![condition("a", 100)]).is_empty());
        assert_eq!(fired(&board.update(210, vec![condition("a", 100)])), 1);
    }

    #[test]
    fn of_a_page_and_a_ticket_the_page_is_told() {
        let mut board = Board::default();
        let both = || vec![burning(Severity::Page), burning(Severity::Ticket)];
        assert_eq!(told(&board.update(0, both())), ["a page fires"]);
        let firing = board.firing();
        assert_eq!(
            firing.iter().map(|alert| (&*alert.key, alert.inhibited)).collect::<Vec<_>>(),
            [("a page", false), ("a ticket", true)],
            "both are shown"
        );
        // The ticket outlives the page: now it is told.
        assert!(board.update(10_000, vec![burning(Severity::Ticket)]).is_empty());
        let turns = board.update(70_000, vec![burning(Severity::Ticket)]);
        assert_eq!(told(&turns), ["a page is over", "a ticket fires"]);
        assert!(!board.firing()[0].inhibited);
        // What was told is told to be over, whatever fires meanwhile; what was not is not.
        assert_eq!(told(&board.update(80_000, both())), ["a page fires"]);
        let turns = board.update(80_000 + CLEAR_MS, vec![burning(Severity::Page)]);
        assert_eq!(told(&turns), ["a ticket is over"]);
        board.update(200_000, both());
        board.update(210_000, vec![]);
        assert_eq!(told(&board.update(300_000, vec![])), ["a page is over"]);
        assert_eq!(board.past().filter(|past| past.alert.key == "a ticket").count(), 2);
    }

    #[test]
    fn what_fires_outlives_the_board_and_is_told_once() {
        let mut board = Board::default();
        board.update(0, vec![condition("over", 0)]);
        board.update(
            100_000,
            vec![
                condition("on", 0),
                condition("soon", 60_000),
                burning(Severity::Page),
                burning(Severity::Ticket),
            ],
        );
        let again = |board: &Board, now_ms| {
            let written = serde_json::to_vec(&board.kept()).unwrap();
            let mut next = Board::default();
            next.restore(now_ms, serde_json::from_slice(&written).unwrap());
            next
        };
        let mut next = again(&board, 500_000);
        assert_eq!(next.firing(), board.firing(), "what fires, since when, and who inhibits whom");
        let past = |board: &Board| serde_json::to_value(board.past().collect::<Vec<_>>()).unwrap();
        assert_eq!(past(&next), past(&board));
        let turns = next
            .update(505_000, vec![condition("on", 0), condition("soon", 60_000), burning(Severity::Ticket)]);
        assert!(turns.is_empty(), "{turns:?}");
        // It has not held since, for all that one knows until it is looked at for a while.
        assert!(next.firing().iter().any(|alert| alert.key == "a page"));
        let turns = next.update(560_000, vec![condition("on", 0), burning(Severity::Ticket)]);
        assert_eq!(told(&turns), ["a page is over", "a ticket fires"]);
        assert_eq!(next.past().next().unwrap().until_ms, 100_000, "as of when it was last so");
        assert_eq!(again(&next, 600_000).firing()[0].since_ms, 100_000);
    }

    #[test]
    fn changes_are_told_beside_what_they_may_have_caused() {
        let mut changes = Changes::default();
        let change = |at_ms, kind: &'static str| Change { at_ms, kind: kind.into(), text: String::new() };
        [change(1_000, "reload"), change(1_900_000, "fault"), change(2_000_000, "restart")]
            .into_iter()
            .for_each(|one| changes.note(one));
        let mut board = Board::default();
        board.update(1_950_000, vec![condition("a", 0)]);
        let beside = changes.beside(&board.firing()[0]);
        assert_eq!(beside.iter().map(|change| &*change.kind).collect::<Vec<_>>(), ["restart", "fault"]);
        (0..BESIDE_MAX as u64).for_each(|at| changes.note(change(2_000_000 + at, "restart")));
        let beside = changes.beside(&board.firing()[0]);
        assert_eq!(
            (beside.len(), &*beside[BESIDE_MAX - 1].kind),
            (BESIDE_MAX, "fault"),
            "what follows hides no cause"
        );
        (0..BESIDE_MAX as u64).for_each(|at| changes.forget(&change(2_000_000 + at, "restart")));
        let over = Past { alert: board.firing()[0].clone(), until_ms: 1_960_000 };
        let beside = changes.beside_past(&over);
        assert_eq!(beside, [change(1_900_000, "fault")], "what came after it did not cause it");
        let between = changes.between(1_000, 1_900_000).map(|change| &*change.kind);
        assert_eq!(between.collect::<Vec<_>>(), ["reload", "fault"]);
        changes.restore(vec![change(1, "start"), change(2, "scale")]);
        let all = changes.between(0, u64::MAX).map(|change| change.at_ms);
        assert_eq!(all.collect::<Vec<_>>(), [1, 2, 1_000, 1_900_000, 2_000_000]);
        (0..1_000).for_each(|at| changes.note(change(at, "fault")));
        changes.restore(vec![change(1, "start")]);
        assert!(
            changes.0.len() == CHANGES_MAX && changes.0[0].kind == "fault",
            "there is no room for older ones"
        );
    }

    #[test]
    fn those_that_are_over_are_told_for_a_while() {
        let mut board = Board::default();
        for round in 0..PAST_MAX as u64 + 10 {
            board.update(round * 1_000_000, vec![condition("a", 0)]);
            board.update(round * 1_000_000 + 5_000, vec![condition("a", 0)]);
            board.update(round * 1_000_000 + 500_000, vec![]);
        }
        assert_eq!(board.past().count(), PAST_MAX);
        let last = board.past().next().unwrap();
        assert_eq!(
            (last.alert.since_ms, last.until_ms),
            (59_000_000, 59_005_000),
            "as of when it was last so"
        );
        // What never fired was no alert.
        board.update(100_000_000, vec![condition("b", 60_000)]);
        board.update(100_005_000, vec![]);
        assert!(board.past().all(|past| past.alert.key == "a"));
    }

    proptest! {
        /// Whatever holds when: each alert is told as begun and as over by turns, and what is told is what fires.
        #[test]
        fn begun_and_over_by_turns(steps in prop::collection::vec((1_u64..90_000, prop::collection::vec(0_u8..4, 0..4)), 1..100)) {
            let mut board = Board::default();
            let mut now = 0;
            let mut told: BTreeSet<String> = BTreeSet::new();
            for (step, keys) in steps {
                now += step;
                let conditions = keys.iter().map(|key| condition(&key.to_string(), u64::from(*key) * 30_000)).collect();
                for turn in board.update(now, conditions) {
                    match turn {
                        Turn::Fired(alert) => prop_assert!(told.insert(alert.key)),
                        Turn::Resolved(alert) => prop_assert!(told.remove(&alert.key)),
                    }
                }
                let firing: BTreeSet<String> = board.firing().into_iter().map(|alert| alert.key).collect();
                prop_assert_eq!(&firing, &told);
            }
        }
    }
}
