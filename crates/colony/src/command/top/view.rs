//! One frame of `colony top`.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style as Look};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell as Drawn, Paragraph, Row, Table};
use serde_json::Value;

use super::grid::{self, Cell, Column};
use super::state::{State, Tab};
use crate::terminal::Style;

/// Most alerts that are shown; how many more there are is said.
const ALERTS_MAX: usize = 3;

/// Draws everything; `trouble` is why it is not of now.
pub(super) fn draw(frame: &mut Frame, digest: &Value, state: &mut State, trouble: Option<&str>) {
    let alerts = alerts(digest, trouble);
    let heights = [1, alerts.len() as u16, 1, 1].map(Constraint::Length);
    let [head, above, tabs, gap, body, foot] =
        Layout::vertical(heights.into_iter().chain([Constraint::Min(0), Constraint::Length(1)]))
            .areas(frame.area());
    frame.render_widget(Line::styled(format!(" {}", grid::headline(digest)), Modifier::BOLD), head);
    frame.render_widget(Paragraph::new(alerts), above);
    frame.render_widget(names(state), tabs);
    frame.render_widget(Line::raw(""), gap);
    table(frame, body, digest, state);
    frame.render_widget(help(state), foot);
}

fn alerts(digest: &Value, trouble: Option<&str>) -> Vec<Line<'static>> {
    let all = grid::alerts(digest);
    let more = all.len().saturating_sub(ALERTS_MAX);
    let told = trouble.map(|why| format!("not of now: {why}"));
    let mut lines: Vec<String> = told.into_iter().chain(all.into_iter().take(ALERTS_MAX)).collect();
    if more > 0 {
        lines.push(format!("and {more} more alerts"));
    }
    lines.into_iter().map(|line| Line::styled(format!(" {line}"), look(Style::Bad))).collect()
}

fn names(state: &State) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (at, tab) in Tab::ALL.into_iter().enumerate() {
        let style =
            if tab == state.tab { Look::new().add_modifier(Modifier::REVERSED) } else { look(Style::Dim) };
        spans.push(Span::styled(format!(" {} {} ", at + 1, tab.name()), style));
    }
    Line::from(spans)
}

fn help(state: &State) -> Line<'static> {
    match (state.filtering, state.filter.is_empty()) {
        (true, _) => Line::raw(format!(" /{}_  enter keeps, esc drops the filter", state.filter)),
        (false, false) => {
            Line::styled(format!(" only \"{}\"  esc shows all  q ends", state.filter), look(Style::Dim))
        }
        (false, true) => {
            Line::styled(" 1-5 view  s sort  r reverse  / filter  arrows scroll  q end", look(Style::Dim))
        }
    }
}

fn table(frame: &mut Frame, area: Rect, digest: &Value, state: &mut State) {
    let mut grid = grid::of(state.tab, digest, usize::from(area.width));
    grid.arrange(state);
    state.columns = grid.columns.len();
    if grid.rows.is_empty() {
        let none = if state.filter.is_empty() { "there are none" } else { "none is called so" };
        frame.render_widget(Line::styled(format!("  {none}"), look(Style::Dim)), area);
        return;
    }
    let room = usize::from(area.height.saturating_sub(1)).max(1);
    state.above = state.above.min(grid.rows.len().saturating_sub(room));
    let heading = grid.columns.iter().enumerate().map(|(at, column)| {
        let mark = match (state.sort == Some(at), state.reverse) {
            (false, _) => "",
            (true, false) => "v",
            (true, true) => "^",
        };
        cell(&format!("{}{mark}", column.name), look(Style::Dim), column)
    });
    let heading = Row::new(heading.collect::<Vec<_>>());
    let rows = grid.rows.iter().skip(state.above).take(room).map(|row| {
        Row::new(row.iter().zip(&grid.columns).map(|(one, column)| of(one, column)).collect::<Vec<_>>())
    });
    let widths =
        grid.columns.iter().map(|column| column.width.map_or(Constraint::Min(8), Constraint::Length));
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    frame.render_widget(Table::new(rows, widths).header(heading).column_spacing(1), inner);
}

fn of(one: &Cell, column: &Column) -> Drawn<'static> {
    cell(&one.text, look(one.style), column)
}

fn cell(text: &str, look: Look, column: &Column) -> Drawn<'static> {
    let side = if column.is_number { Alignment::Right } else { Alignment::Left };
    Drawn::from(Line::styled(text.to_owned(), look).alignment(side))
}

/// The terminal's own colours, whatever they are.
fn look(style: Style) -> Look {
    match style {
        Style::Good => Look::new().fg(Color::Green),
        Style::Warn => Look::new().fg(Color::Yellow),
        Style::Bad => Look::new().fg(Color::Red),
        Style::Dim => Look::new().add_modifier(Modifier::DIM),
        Style::Bold => Look::new().add_modifier(Modifier::BOLD),
        Style::Name => Look::new().fg(Color::Cyan),
        Style::Plain => Look::new(),
    }
}
