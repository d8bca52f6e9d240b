//! What the user of `colony top` chose: which view, sorted and filtered how.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Services,
    Calls,
    Topics,
    Queues,
    Objectives,
}

impl Tab {
    pub(super) const ALL: [Tab; 5] = [Tab::Services, Tab::Calls, Tab::Topics, Tab::Queues, Tab::Objectives];

    pub(super) fn name(self) -> &'static str {
        match self {
            Tab::Services => "services",
            Tab::Calls => "calls",
            Tab::Topics => "topics",
            Tab::Queues => "queues",
            Tab::Objectives => "objectives",
        }
    }

    fn place(self) -> usize {
        Tab::ALL.iter().position(|tab| *tab == self).unwrap_or(0)
    }

    fn moved(self, by: usize) -> Tab {
        Tab::ALL[(self.place() + by) % Tab::ALL.len()]
    }
}

/// The choices.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) tab: Tab,
    /// The column to sort by, counted from the left; none: as the node tells it.
    pub(super) sort: Option<usize>,
    pub(super) reverse: bool,
    pub(super) filter: String,
    /// Whether the filter is being written.
    pub(super) filtering: bool,
    /// How many rows are above the first that is shown.
    pub(super) above: usize,
    /// How many columns there are to sort by, as of the last drawing.
    pub(super) columns: usize,
}

/// Longest filter.
const FILTER_MAX: usize = 60;

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    End,
}

impl State {
    pub(super) fn on_key(&mut self, key: KeyEvent) -> Then {
        if key.kind == KeyEventKind::Release {
            return Then::GoOn;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Then::End;
        }
        if self.filtering {
            self.write(key.code);
            return Then::GoOn;
        }
        match key.code {
            KeyCode::Char('q') => return Then::End,
            KeyCode::Esc => (self.filter, self.sort) = (String::new(), None),
            KeyCode::Char(digit @ '1'..='5') => self.turn_to(Tab::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.tab.moved(1)),
            KeyCode::BackTab | KeyCode::Left => self.turn_to(self.tab.moved(Tab::ALL.len() - 1)),
            KeyCode::Char('s') => {
                let next = self.sort.map_or(0, |column| column + 1);
                self.sort = (next < self.columns).then_some(next);
            }
            KeyCode::Char('r') => self.reverse = !self.reverse,
            KeyCode::Char('/') => (self.filtering, self.above) = (true, 0),
            KeyCode::Down | KeyCode::Char('j') => self.above = self.above.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.above = self.above.saturating_sub(1),
            KeyCode::PageDown => self.above = self.above.saturating_add(10),
            KeyCode::PageUp => self.above = self.above.saturating_sub(10),
            KeyCode::Home => self.above = 0,
            _ => {}
        }
        Then::GoOn
    }

    fn turn_to(&mut self, tab: Tab) {
        (self.tab, self.sort, self.above) = (tab, None, 0);
    }

    fn write(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.filtering = false,
            KeyCode::Esc => (self.filtering, self.filter) = (false, String::new()),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.chars().count() < FILTER_MAX => self.filter.push(letter),
            _ => {}
        }
    }
}
