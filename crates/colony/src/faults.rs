//! Faults as they are asked for over the control socket, and in words.

use std::time::Duration;

use mesh::FaultStatus;
use policy::FaultConfig;
use policy::fault::{Effect, Scope, Share, Then};
use serde::{Deserialize, Serialize};

use crate::args::AddFault;
use crate::terminal::time;

/// A fault that somebody wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) on: String,
    #[serde(default)]
    delay_ms: Option<[u64; 2]>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    grpc_status: Option<u16>,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    slow_body: Option<u64>,
    #[serde(default = "all")]
    percent: f64,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, Option<String>)>,
    /// How long.
    for_ms: u64,
}

fn all() -> f64 {
    Share::ALL.as_percent()
}

impl Wanted {
    pub(crate) fn of(args: &AddFault) -> Wanted {
        Wanted {
            on: args.on.clone(),
            delay_ms: args.delay.map(|range| range.0),
            status: args.abort,
            grpc_status: args.abort_grpc,
            reset: args.reset,
            slow_body: args.slow_body,
            percent: args.percent,
            methods: args.method.clone(),
            path: args.path.clone(),
            headers: args.header.iter().map(|header| header.0.clone()).collect(),
            for_ms: args.lasts.as_millis() as u64,
        }
    }

    pub(crate) fn lasts(&self) -> Duration {
        Duration::from_millis(self.for_ms)
    }

    /// What the data plane does.
    ///
    /// # Errors
    /// A sentence, if it makes no sense.
    pub(crate) fn config(&self) -> Result<FaultConfig, String> {
        let mut ends = Vec::new();
        ends.extend(self.status.map(Then::Status));
        ends.extend(self.grpc_status.map(Then::Grpc));
        ends.extend(self.reset.then_some(Then::Reset));
        ends.extend(self.slow_body.map(Then::SlowBody));
        let then = match ends.as_slice() {
            [] => Then::Pass,
            [then] => *then,
            _ => return Err("a try can end in one way only: a status, a reset or a slow body".to_owned()),
        };
        let delay = self.delay_ms.map(|range| range.map(Duration::from_millis));
        Ok(FaultConfig {
            effect: Effect::new(delay.map(|[least, most]| (least, most)), then)?,
            share: Share::percent(self.percent)?,
            scope: Scope::new(self.methods.clone(), self.path.clone(), self.headers.clone())?,
        })
    }
}

/// What it does: "delay 200 ms, abort 503".
pub(crate) fn effect(fault: &FaultStatus) -> String {
    let ms = |ms: u64| time(Duration::from_millis(ms));
    let mut parts = Vec::new();
    parts.extend(fault.delay_ms.map(|[least, most]| match least == most {
        true => format!("delay {}", ms(least)),
        false => format!("delay {} to {}", ms(least), ms(most)),
    }));
    parts.extend(fault.status.map(|status| format!("abort {status}")));
    parts.extend(fault.grpc_status.map(|status| format!("abort gRPC {}", grpc_name(status))));
    parts.extend(fault.reset.then(|| "reset".to_owned()));
    parts.extend(fault.slow_body.map(|rate| format!("slow body {}", rate_text(rate))));
    parts.join(", ")
}

/// Which tries it strikes: "20 % of GET /orders with x-test: 1".
pub(crate) fn scope(fault: &FaultStatus) -> String {
    let mut asked = fault.methods.join(",");
    if let Some(path) = &fault.path {
        asked.push_str(if asked.is_empty() { "" } else { " " });
        asked.push_str(path);
    }
    let mut text = match (fault.percent >= Share::ALL.as_percent(), asked.is_empty()) {
        (true, true) => "all tries".to_owned(),
        (true, false) => format!("all {asked}"),
        (false, true) => format!("{} % of tries", fault.percent),
        (false, false) => format!("{} % of {asked}", fault.percent),
    };
    for (at, (name, value)) in fault.headers.iter().enumerate() {
        text.push_str(if at == 0 { " with " } else { ", " });
        text.push_str(name);
        text.push_str(&value.as_ref().map_or(String::new(), |value| format!(": {value}")));
    }
    text
}

/// All of it: "1 on checkout -> payments: delay 200 ms, 20 % of tries".
pub(crate) fn sentence(fault: &FaultStatus) -> String {
    format!("{} on {}: {}, {}", fault.id, fault.on, effect(fault), scope(fault))
}

/// How often it struck: "3 of 17".
pub(crate) fn struck(fault: &FaultStatus) -> String {
    format!("{} of {}", fault.struck, fault.tries)
}

fn grpc_name(status: u16) -> &'static str {
    let known = manifest::valid::GRPC_STATUSES.iter().find(|(number, _)| *number == status);
    known.map_or("unknown", |(_, name)| name)
}

fn rate_text(rate: u64) -> String {
    match rate {
        rate if rate % (1 << 20) == 0 => format!("{} MiB/s", rate >> 20),
        rate if rate % (1 << 10) == 0 => format!("{} KiB/s", rate >> 10),
        rate => format!("{rate} B/s"),
    }
}
