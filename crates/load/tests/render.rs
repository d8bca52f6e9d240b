//! What people read, frozen.

use std::collections::BTreeMap;

use load::report::{Example, Failures, JourneyReport, Latency, Report, StepReport, Tick};

fn latency(scale: u64) -> Latency {
    Latency {
        p50_us: 9 * scale,
        p90_us: 23 * scale,
        p99_us: 120 * scale,
        p999_us: 900 * scale,
        max_us: 15_000 * scale,
        mean_us: 14 * scale,
    }
}

fn step(name: &str, ok: u64, failed: u64) -> StepReport {
    StepReport { name: name.into(), sent: ok + failed, ok, failed, latency: latency(80) }
}

fn shopping() -> Report {
    Report {
        name: "shopping".into(),
        target: "http://127.0.0.1:8080".into(),
        intended_rate: 500.0,
        achieved_rate: 499.93,
        seconds: 30.0,
        sent: 15_000,
        ok: 14_983,
        failed: 17,
        failures: Failures { timeout: 5, status: BTreeMap::from([(503, 12)]), ..Failures::default() },
        latency: latency(100),
        lag: latency(1),
        bytes: 83_000_000,
        connections: 31,
        repeated: 2,
        journeys: vec![
            JourneyReport {
                name: "browse".into(),
                started: 4_000,
                completed: 3_998,
                failed: 0,
                steps: vec![step("home", 4_000, 0), step("search", 4_000, 0), step("product", 3_999, 0)],
            },
            JourneyReport {
                name: "buy".into(),
                started: 1_500,
                completed: 1_480,
                failed: 17,
                steps: vec![step("add to cart", 1_500, 0), step("checkout", 1_484, 17)],
            },
        ],
        examples: vec![
            Example {
                step: "buy / checkout".into(),
                kind: "status",
                status: Some(503),
                detail: "{\"title\":\"circuit open\"}".into(),
                count: 12,
            },
            Example {
                step: "buy / checkout".into(),
                kind: "timeout",
                status: None,
                detail: "no answer within 10s".into(),
                count: 5,
            },
        ],
        ..Report::default()
    }
}

#[test]
fn a_scenario() {
    insta::assert_snapshot!(load::render(&shopping()));
}

#[test]
fn a_single_request_stopped_early_by_a_slow_generator() {
    let report = Report {
        name: "GET".into(),
        target: "http://127.0.0.1:8080/health".into(),
        intended_rate: 90_000.0,
        achieved_rate: 61_000.4,
        seconds: 4.2,
        interrupted: true,
        sent: 300_000,
        ok: 299_000,
        unfinished: 1_000,
        latency: latency(1),
        lag: latency(50),
        bytes: 512,
        connections: 1_024,
        ..Report::default()
    };
    insta::assert_snapshot!(load::render(&report));
}

#[test]
fn progress() {
    let tick = Tick {
        elapsed_s: 7.0,
        total_s: 30.0,
        warming: false,
        rate: 499.6,
        sent: 3_500,
        ok: 3_495,
        failed: 2,
        in_flight: 3,
        latency: latency(100),
    };
    let lines = [load::progress_line(&tick), load::progress_line(&Tick { warming: true, ..Tick::default() })];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn json_has_the_same_names_as_the_report() {
    let json = serde_json::to_value(shopping()).unwrap();
    assert_eq!(json["latency"]["p999_us"], 90_000);
    assert_eq!(json["failures"]["status"]["503"], 12);
    assert_eq!(json["journeys"][1]["steps"][1]["failed"], 17);
}
