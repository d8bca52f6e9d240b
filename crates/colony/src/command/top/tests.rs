//! Frames of `colony top` as they are drawn, in two sizes, and what keys do.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::state::{State, Tab, Then};
use super::{once, view};

fn digest() -> Value {
    json!({
        "name": "marketplace", "unix_ms": 0, "uptime_ms": 7_380_000, "span_ms": 30_000, "faults": 1,
        "services": [
            { "name": "cart", "state": "ready", "ready": 2, "wanted": 2, "rate": 120.4, "errors": 0.0,
              "p50_s": 0.0012, "p99_s": 0.0143, "cpu": 0.42, "memory_bytes": 18_874_368, "restarts": 0 },
            { "name": "payments", "state": "degraded", "ready": 0, "wanted": 1, "rate": 12.0, "errors": 0.25,
              "p50_s": 0.31, "p99_s": 2.5, "cpu": 0.03, "memory_bytes": 9_437_184, "restarts": 7 },
            { "name": "recommendations", "state": "ready", "ready": 1, "wanted": 1, "rate": 0.0, "errors": 0.0,
              "p50_s": null, "p99_s": null, "cpu": null, "memory_bytes": null, "restarts": 0 },
        ],
        "calls": [
            { "call": "gateway /api/cart/**", "rate": 120.4, "errors": 0.0, "p50_s": 0.0012, "p99_s": 0.0143,
              "retries": 0.0, "refused": 0.0, "breaker": "closed" },
            { "call": "checkout -> payments", "rate": 12.0, "errors": 0.25, "p50_s": 0.31, "p99_s": 2.5,
              "retries": 3.2, "refused": 8.0, "breaker": "open" },
        ],
        "topics": [
            { "topic": "shop/order-placed", "rate": 4.0, "messages": 812, "groups": [
                { "group": "delivery", "lag": 3, "aside": 0, "dead": 0, "rate": 4.0 },
                { "group": "notifications", "lag": 190, "aside": 2, "dead": 1, "rate": 1.5 },
            ] },
            { "topic": "shop/unheard", "rate": 0.0, "messages": 0, "groups": [] },
        ],
        "queues": [
            { "queue": "to-pack", "ready": 14, "leased": 2, "delayed": 0, "blocked": 0, "dead": 3, "oldest_s": 312.0 },
        ],
        "slos": [
            { "service": "checkout", "objective": "availability", "target": 0.999, "requests": 120_000, "bad": 240,
              "budget_left": -1.0, "burn": { "1h": 14.8, "6h": 3.0 }, "alert": "page" },
        ],
        "alerts": [
            { "key": "slo checkout availability page", "severity": "page",
              "summary": "checkout spends the error budget of its availability 14.8 times faster than it may" },
        ],
    })
}

fn drawn(state: &mut State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| view::draw(frame, &digest(), state, None)).expect("drawn");
    terminal.backend().to_string()
}

fn press(state: &mut State, keys: &str) -> Then {
    let mut then = Then::GoOn;
    for key in keys.chars() {
        then = state.on_key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
    }
    then
}

#[test]
fn every_view_in_a_small_terminal() {
    for (key, tab) in ('1'..).zip(Tab::ALL) {
        let mut state = State::default();
        press(&mut state, &key.to_string());
        insta::assert_snapshot!(format!("{}_80x24", tab.name()), drawn(&mut state, 80, 24));
    }
}

#[test]
fn every_view_in_a_large_one() {
    for (key, tab) in ('1'..).zip(Tab::ALL) {
        let mut state = State::default();
        press(&mut state, &key.to_string());
        insta::assert_snapshot!(format!("{}_120x40", tab.name()), drawn(&mut state, 120, 40));
    }
}

#[test]
fn all_at_once_for_scripts() {
    insta::assert_snapshot!("once", once(&digest()));
}

#[test]
fn keys_sort_and_filter() {
    let mut state = State::default();
    let first = |state: &mut State| {
        let text = drawn(state, 80, 24);
        text.lines().nth(5).unwrap_or_default().trim_matches(['"', ' ']).split(' ').next().map(str::to_owned)
    };
    assert_eq!(first(&mut state).as_deref(), Some("cart"));
    // By the fourth column, which is the share of errors.
    press(&mut state, "ssss");
    assert_eq!(first(&mut state).as_deref(), Some("payments"));
    press(&mut state, "sssssr");
    assert_eq!((first(&mut state).as_deref(), state.sort), (Some("cart"), None));
    press(&mut state, "/recom");
    assert_eq!(first(&mut state).as_deref(), Some("recommendations"));
    assert_eq!(press(&mut state, "q"), Then::GoOn, "a letter of the filter");
    state.on_key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
    assert_eq!((first(&mut state).as_deref(), press(&mut state, "q")), (Some("cart"), Then::End));
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(state.on_key(control_c), Then::End);
}

#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    for (width, height) in [(1, 1), (3, 2), (20, 4), (300, 3)] {
        for tab in Tab::ALL {
            let mut state = State { tab, above: 1_000, filter: "a".to_owned(), ..State::default() };
            drawn(&mut state, width, height);
        }
    }
}
