//! Stories of a window of lines, those who write into it and those who follow it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use proptest::prelude::*;

fn window(lines_max: usize) -> LogWindow {
    LogWindow::new(lines_max, usize::MAX)
}

fn say(window: &LogWindow, service: &str, text: &str) -> u64 {
    window.push(1_700_000_000_000, service, &format!("{service}-1"), Stream::Stdout, text)
}

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn the_last_lines_of_all_or_of_one() {
    let window = window(100);
    for (service, text) in [("cart", "a"), ("catalog", "b"), ("cart", "c"), ("catalog", "d")] {
        say(&window, service, text);
    }
    assert_eq!(texts(&window.tail(None, 3)), ["b", "c", "d"]);
    assert_eq!(texts(&window.tail(Some("cart"), 3)), ["a", "c"]);
    assert_eq!(texts(&window.tail(Some("nobody"), 3)), [""; 0]);
}

#[test]
fn the_oldest_go_and_are_counted() {
    let window = window(3);
    (1..=10).for_each(|n| assert_eq!(say(&window, "cart", &n.to_string()), n));
    let since = window.since(2, None, 100);
    assert_eq!((texts(&since.lines), since.dropped, since.next), (vec!["8", "9", "10"], 5, 10));
    let since = window.since(8, None, 100);
    assert_eq!((texts(&since.lines), since.dropped, since.next), (vec!["9", "10"], 0, 10));
}

#[test]
fn bytes_are_bounded_too() {
    let window = LogWindow::new(1_000, 10_000);
    (0..100).for_each(|_| _ = say(&window, "cart", &"x".repeat(1_000)));
    let kept: usize = window.tail(None, 1_000).iter().map(bytes).sum();
    assert!((8_000..=10_000).contains(&kept), "{kept}");

    let none = LogWindow::new(0, 0);
    say(&none, "cart", "forgotten");
    assert_eq!(none.since(0, None, 9), Since { lines: vec![], dropped: 1, next: 1 });
}

#[test]
fn a_follower_of_one_service_passes_over_the_others() {
    let window = window(100);
    say(&window, "cart", "a");
    (0..5).for_each(|_| _ = say(&window, "catalog", "-"));
    say(&window, "cart", "b");
    say(&window, "catalog", "-");
    let first = window.since(0, Some("cart"), 1);
    assert_eq!((texts(&first.lines), first.next), (vec!["a"], 1));
    let second = window.since(first.next, Some("cart"), 10);
    assert_eq!((texts(&second.lines), second.next), (vec!["b"], 8));
    let third = window.since(second.next, Some("cart"), 10);
    assert_eq!((third.lines.len(), third.dropped, third.next), (0, 0, 8));
}

#[test]
fn a_number_of_another_life_is_the_newest() {
    let window = window(100);
    say(&window, "cart", "a");
    assert_eq!(window.since(500, None, 10), Since { lines: vec![], dropped: 0, next: 1 });
}

#[test]
fn a_long_line_is_cut_with_a_mark() {
    let window = window(100);
    say(&window, "cart", &"é".repeat(TEXT_BYTES_MAX));
    say(&window, "cart", &"x".repeat(TEXT_BYTES_MAX));
    let lines = window.tail(None, 2);
    assert!(lines[0].text.starts_with("éé") && lines[0].text.ends_with("é… [8192 bytes cut]"));
    assert_eq!(lines[1].text.len(), TEXT_BYTES_MAX);
}

#[test]
fn a_line_as_json() {
    let window = window(1);
    window.push(7, "cart", "cart-1", Stream::Stderr, "oh");
    let json = serde_json::to_string(&window.tail(None, 1)[0]).unwrap();
    assert_eq!(
        json,
        r#"{"seq":1,"unix_ms":7,"service":"cart","instance":"cart-1","stream":"stderr","text":"oh"}"#
    );
    assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), window.tail(None, 1)[0]);
}

#[tokio::test]
async fn what_is_there_already_is_not_waited_for() {
    let window = window(10);
    say(&window, "cart", "a");
    window.changed(0).await;
    let newer = tokio::time::timeout(Duration::from_millis(20), window.changed(1));
    assert!(newer.await.is_err(), "there is nothing newer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_see_every_line_of_every_writer() {
    const WRITERS: u64 = 4;
    const LINES: u64 = 2_000;
    let window = Arc::new(window(usize::MAX));
    let follow = |window: Arc<LogWindow>| async move {
        let (mut seen, mut at) = (Vec::new(), 0);
        while at < WRITERS * LINES {
            window.changed(at).await;
            let since = window.since(at, None, 100);
            assert_eq!(since.dropped, 0);
            seen.extend(since.lines.iter().map(|line| line.seq));
            at = since.next;
        }
        seen
    };
    let followers: Vec<_> = (0..3).map(|_| tokio::spawn(follow(window.clone()))).collect();
    for writer in 0..WRITERS {
        let window = window.clone();
        tokio::spawn(async move {
            for line in 0..LINES {
                say(&window, "cart", &format!("{writer} {line}"));
                if line % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    for follower in followers {
        let seen = tokio::time::timeout(Duration::from_secs(30), follower).await;
        let seen = seen.expect("no wake-up is lost").unwrap();
        assert_eq!(seen, (1..=WRITERS * LINES).collect::<Vec<_>>());
    }
}

proptest! {
    /// A follower at any pace gets every line of its service in order, but for those it was told
    /// were dropped, and the window never holds more than it may.
    #[test]
    fn nothing_is_lost_in_silence(
        services in prop::collection::vec(0_u8..3, 0..80),
        lines_max in 0_usize..20,
        bytes_max in 0_usize..4_000,
        paces in prop::collection::vec((0_usize..6, 0_usize..10), 1..20),
        wanted in prop::option::of(0_u8..3),
    ) {
        let window = LogWindow::new(lines_max, bytes_max);
        let name = |service: u8| format!("s{service}");
        let wanted_name = wanted.map(name);
        let (mut at, mut seen, mut dropped) = (0, Vec::new(), 0);
        let mut services = services.iter();
        for (pushes, max) in paces.iter().cycle().take(200) {
            for service in services.by_ref().take(*pushes) {
                say(&window, &name(*service), "text");
            }
            let since = window.since(at, wanted_name.as_deref(), *max);
            prop_assert!(since.lines.len() <= *max && since.next >= at);
            prop_assert!(since.lines.iter().all(|line| line.seq > at && line.seq <= since.next));
            seen.extend(since.lines.iter().map(|line| line.seq));
            dropped += since.dropped;
            at = since.next;
            let all = window.tail(None, usize::MAX);
            prop_assert!(all.len() <= lines_max && all.iter().map(bytes).sum::<usize>() <= bytes_max);
        }
        prop_assert!(seen.is_sorted_by(|one, next| one < next));
        if wanted.is_none() {
            prop_assert_eq!(seen.len() as u64 + dropped, at);
        }
    }
}
