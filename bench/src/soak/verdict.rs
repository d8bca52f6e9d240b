//! What came of a soak.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::Plan;
use super::memory::Memory;
use super::streams::Streamed;
use crate::harness::machine::Machine;
use crate::report::store;

/// Growth of the memory from the second to the last fifth of the time that is no growth: allocators and
/// histories of lines move by that much.
const GROWTH_MAX: f64 = 1.10;

/// Everything that is kept of it.
#[derive(Serialize)]
pub struct Verdict {
    pub date: String,
    pub machine: Machine,
    pub seconds: u64,
    pub rate: u32,
    pub seed: u64,
    /// Kinds of troubles and how many of each.
    pub troubles: BTreeMap<&'static str, u32>,
    /// `colony load --json`.
    pub load: Value,
    /// Over all calls.
    pub retries: u64,
    pub fallbacks: u64,
    pub streams: usize,
    pub events: u64,
    pub broken_streams: Vec<String>,
    pub rss_early_kib: u64,
    pub rss_late_kib: u64,
    pub rss_most_kib: u64,
    /// Sentences on what should not have been; none: it held.
    pub wrong: Vec<String>,
}

impl Verdict {
    pub fn new(
        machine: Machine,
        plan: &Plan,
        load: Value,
        streamed: &Streamed,
        troubles: BTreeMap<&'static str, u32>,
        memory: &Memory,
        status: &Value,
    ) -> Verdict {
        let (early, late) = memory.early_and_late();
        let calls = || status["calls"].as_array().into_iter().flatten();
        let sum = |name: &str| calls().filter_map(|call| call[name].as_u64()).sum();
        let mut verdict = Verdict {
            date: store::today(),
            machine,
            seconds: plan.time.as_secs(),
            rate: plan.rate,
            seed: plan.seed,
            troubles,
            retries: sum("retries"),
            fallbacks: sum("fallbacks"),
            load,
            streams: streamed.streams,
            events: streamed.events,
            broken_streams: streamed.broken.clone(),
            rss_early_kib: early,
            rss_late_kib: late,
            rss_most_kib: memory.most(),
            wrong: Vec::new(),
        };
        verdict.wrong = verdict.judge();
        verdict
    }

    fn judge(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let failed = self.load["failed"].as_u64();
        if failed != Some(0) {
            let failures = &self.load["failures"];
            wrong.push(format!("{} requests failed: {failures}", failed.unwrap_or_default()));
        }
        wrong.extend(self.broken_streams.iter().map(|why| format!("a stream broke {why}")));
        if self.rss_late_kib as f64 > self.rss_early_kib as f64 * GROWTH_MAX {
            wrong.push(format!(
                "memory grew from {} to {} MiB",
                self.rss_early_kib >> 10,
                self.rss_late_kib >> 10
            ));
        }
        wrong
    }

    /// For people.
    pub fn text(&self) -> String {
        let number = |name: &str| self.load[name].as_u64().unwrap_or_default();
        let latency = |name: &str| self.load["latency"][name].as_f64().unwrap_or_default() / 1000.0;
        let mib = |kib: u64| kib as f64 / 1024.0;
        let troubles: Vec<String> =
            self.troubles.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        let mut text = String::new();
        let _ = writeln!(
            text,
            "soak         {} s at {} requests/s, seed {}; {}, {} cores, {}",
            self.seconds, self.rate, self.seed, self.machine.cpu, self.machine.cores, self.date
        );
        let _ = writeln!(text, "troubles     {}", troubles.join(", "));
        let _ = writeln!(
            text,
            "requests     {} sent, {} ok, {} failed; {} retries, {} fallbacks on the way",
            number("sent"),
            number("ok"),
            number("failed"),
            self.retries,
            self.fallbacks
        );
        let _ = writeln!(
            text,
            "latency      p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
            latency("p50_us"),
            latency("p99_us"),
            latency("p999_us")
        );
        let _ = writeln!(
            text,
            "streams      {} open all the time, {} events, {} broken",
            self.streams,
            self.events,
            self.broken_streams.len()
        );
        let _ = writeln!(
            text,
            "memory       {:.1} MiB early, {:.1} MiB late, {:.1} MiB at the most",
            mib(self.rss_early_kib),
            mib(self.rss_late_kib),
            mib(self.rss_most_kib)
        );
        match self.wrong.is_empty() {
            true => text.push_str("it held\n"),
            false => self.wrong.iter().for_each(|wrong| text.push_str(&format!("WRONG        {wrong}\n"))),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn verdict(failed: u64, late: u64, broken: &[&str]) -> Verdict {
        let plan = Plan { time: Duration::from_secs(600), rate: 300, every: Duration::from_secs(5), seed: 1 };
        let load =
            json!({ "sent": 10, "ok": 10 - failed, "failed": failed, "failures": { "reset": failed } });
        let broken = broken.iter().map(|why| (*why).to_owned()).collect();
        let streamed = Streamed { streams: 8, events: 100, broken };
        let mut memory = Memory::default();
        memory.kib = [20_480, 20_480, 20_480, 20_480, late].to_vec();
        let status = json!({ "calls": [{ "retries": 2, "fallbacks": 1 }, { "retries": 3 }] });
        let troubles = BTreeMap::from([("reloads", 3)]);
        Verdict::new(Machine::default(), &plan, load, &streamed, troubles, &memory, &status)
    }

    #[test]
    fn it_holds_only_without_a_failure_a_gap_or_growth() {
        let good = verdict(0, 21_000, &[]);
        assert_eq!((good.wrong.len(), good.retries, good.fallbacks), (0, 5, 1));
        assert!(good.text().ends_with("it held\n"), "{}", good.text());
        assert_eq!(verdict(1, 21_000, &[]).wrong, ["1 requests failed: {\"reset\":1}"]);
        assert_eq!(verdict(0, 30_720, &[]).wrong, ["memory grew from 20 to 30 MiB"]);
        assert_eq!(verdict(0, 0, &["after 3 events: x"]).wrong, ["a stream broke after 3 events: x"]);
    }
}
