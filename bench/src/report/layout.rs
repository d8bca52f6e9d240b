//! Which figures are shown, for each kind of run: columns of the table, panels of the chart, and the
//! sentences that compare.

use super::{Row, What};

/// A column of the table.
pub struct Column {
    pub head: &'static str,
    pub cell: fn(&Row) -> String,
}

/// A figure that a panel of the chart shows as bars; of two parts when it is made of two.
pub struct Metric {
    pub title: &'static str,
    pub better: &'static str,
    pub parts: fn(&Row) -> [f64; 2],
    pub text: fn(&Row) -> String,
}

/// The columns behind the system's name.
pub fn columns(what: What) -> &'static [Column] {
    match what {
        What::Proxy => &PROXY,
        What::Durable | What::Api => &DURABLE,
        What::Idle => &IDLE,
        What::Policies => &POLICIES,
        What::Telemetry => &TELEMETRY,
    }
}

/// The panels of a case.
pub fn metrics(what: What) -> &'static [Metric] {
    match what {
        What::Proxy | What::Policies | What::Telemetry | What::Durable | What::Api => &LOADED_BARS,
        What::Idle => &IDLE_BARS,
    }
}

/// What one of the others is beside the first system.
pub fn compare(what: What, first: &Row, other: &Row) -> String {
    let (own, its) = (&first.system, &other.system);
    let cpu = ratio(first.cpu_us_per_op, other.cpu_us_per_op);
    match what {
        What::Durable | What::Api => format!(
            "{own} has {cpu} the CPU time of {its}, {} its operations/s, {} its p99, {} its memory",
            ratio(first.ops_per_s, other.ops_per_s),
            ratio(first.p99_us, other.p99_us),
            ratio(first.rss_mib, other.rss_mib)
        ),
        What::Proxy => format!(
            "{own} has {cpu} the CPU time of {its}, {} its requests/s, {} its p99, {} its memory",
            ratio(first.ops_per_s, other.ops_per_s),
            ratio(first.p99_us, other.p99_us),
            ratio(first.rss_mib, other.rss_mib)
        ),
        What::Idle => format!(
            "{own} has {} the memory a connection of {its}, {} its memory in all",
            ratio(kib(first), kib(other)),
            ratio(first.rss_mib, other.rss_mib)
        ),
        What::Telemetry => {
            let over = (other.cpu_us_per_op - first.cpu_us_per_op) * other.ops_per_s / 1e6;
            format!("{its} takes {:.1} % of a core more than {own}", over * 100.0)
        }
        What::Policies => format!(
            "{its} has {} the CPU time of {own}, {} its requests/s",
            ratio(other.cpu_us_per_op, first.cpu_us_per_op),
            ratio(other.ops_per_s, first.ops_per_s)
        ),
    }
}

fn ratio(own: f64, other: f64) -> String {
    if other > 0.0 { format!("{:.2}x", own / other) } else { "-".to_owned() }
}

const OPS: Column = Column { head: "req/s", cell: |row| thousands(row.ops_per_s) };
const OPS_ENDS: Column = Column {
    head: "(lowest to highest)",
    cell: |row| {
        let (low, high) = row.spread.ops_per_s;
        format!("{} to {}", thousands(low), thousands(high))
    },
};
const P50: Column = Column { head: "p50 ms", cell: |row| format!("{:.2}", row.p50_us / 1e3) };
const P99: Column = Column { head: "p99 ms", cell: |row| format!("{:.2}", row.p99_us / 1e3) };
const CPU: Column = Column { head: "CPU µs/req (user + kernel)", cell: cpu };

const PROXY: [Column; 7] = [
    OPS,
    OPS_ENDS,
    P50,
    P99,
    CPU,
    Column { head: "MiB idle", cell: |row| format!("{:.0}", row.rss_idle_mib) },
    Column { head: "loaded", cell: |row| format!("{:.0}", row.rss_mib) },
];

const DURABLE: [Column; 7] = [
    Column { head: "op/s", ..OPS },
    OPS_ENDS,
    P50,
    P99,
    Column { head: "CPU µs/op (user + kernel)", ..CPU },
    Column { head: "MiB idle", cell: |row| format!("{:.0}", row.rss_idle_mib) },
    Column { head: "loaded", cell: |row| format!("{:.0}", row.rss_mib) },
];

const POLICIES: [Column; 7] = beside_the_first("µs over default");
const TELEMETRY: [Column; 7] = beside_the_first("µs over the first");

/// With what each takes more than the first system, under this heading.
const fn beside_the_first(head: &'static str) -> [Column; 7] {
    [
        OPS,
        OPS_ENDS,
        P50,
        P99,
        CPU,
        Column { head, cell: |row| signed(row.cpu_us_over_first.unwrap_or(0.0)) },
        Column { head: "(lowest to highest)", cell: |row| span(row.spread.cpu_us_over_first, signed) },
    ]
}

const IDLE: [Column; 5] = [
    Column { head: "KiB/connection", cell: |row| format!("{:.2}", kib(row)) },
    Column {
        head: "(lowest to highest)",
        cell: |row| span(row.spread.kib_per_connection, |kib| format!("{kib:.2}")),
    },
    Column { head: "MiB before", cell: |row| format!("{:.0}", row.rss_idle_mib) },
    Column { head: "with all", cell: |row| format!("{:.0}", row.rss_mib) },
    Column { head: "CPU µs to open one (user + kernel)", cell: cpu },
];

const LOADED_BARS: [Metric; 4] = [
    Metric {
        title: "operations a second",
        better: "more is better",
        parts: |row| [row.ops_per_s, 0.0],
        text: |row| thousands(row.ops_per_s),
    },
    Metric {
        title: "p99, ms",
        better: LESS,
        parts: |row| [row.p99_us, 0.0],
        text: |row| format!("{:.2}", row.p99_us / 1e3),
    },
    Metric {
        title: "CPU µs an operation: user, kernel",
        better: LESS,
        parts: cpu_parts,
        text: |row| format!("{:.1}", row.cpu_us_per_op),
    },
    Metric {
        title: "memory under load, MiB",
        better: LESS,
        parts: |row| [row.rss_mib, 0.0],
        text: |row| format!("{:.0}", row.rss_mib),
    },
];

const IDLE_BARS: [Metric; 3] = [
    Metric {
        title: "memory a connection, KiB",
        better: LESS,
        parts: |row| [kib(row).max(0.0), 0.0],
        text: |row| format!("{:.2}", kib(row)),
    },
    Metric {
        title: "memory: before, all connections, MiB",
        better: LESS,
        parts: |row| [row.rss_idle_mib, (row.rss_mib - row.rss_idle_mib).max(0.0)],
        text: |row| format!("{:.0}", row.rss_mib),
    },
    Metric {
        title: "CPU µs to open one: user, kernel",
        better: LESS,
        parts: cpu_parts,
        text: |row| format!("{:.1}", row.cpu_us_per_op),
    },
];

const LESS: &str = "less is better";

fn cpu(row: &Row) -> String {
    format!("{:.1} ({:.1} + {:.1})", row.cpu_us_per_op, row.cpu_user_us_per_op, row.cpu_kernel_us_per_op)
}

fn cpu_parts(row: &Row) -> [f64; 2] {
    [row.cpu_user_us_per_op, row.cpu_kernel_us_per_op]
}

fn kib(row: &Row) -> f64 {
    row.kib_per_connection.unwrap_or(0.0)
}

fn signed(value: f64) -> String {
    format!("{value:+.2}")
}

fn span(ends: Option<(f64, f64)>, text: fn(f64) -> String) -> String {
    ends.map_or_else(|| "-".to_owned(), |(low, high)| format!("{} to {}", text(low), text(high)))
}

pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
