//! Aligned text for a terminal, and the same as Markdown.

use super::{Row, Run};

const HEAD: [&str; 8] = [
    "system",
    "req/s",
    "(lowest to highest)",
    "p50 ms",
    "p99 ms",
    "CPU µs/req (user + kernel)",
    "MiB idle",
    "loaded",
];

/// Every case with its table and what the first system is to each of the others.
pub fn render(run: &Run) -> String {
    let mut out = format!("{}\n", conditions(run));
    for case in run.cases() {
        let rows = run.of_case(case);
        let cells: Vec<Vec<String>> = std::iter::once(HEAD.map(str::to_owned).to_vec())
            .chain(rows.iter().map(|row| cells(row)))
            .collect();
        out.push_str(&format!("\n{case}\n{}", align(&cells)));
        for line in ratios(&rows) {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

/// The same for a file that is read on a page; `chart` is the picture's file name.
pub fn markdown(run: &Run, chart: &str) -> String {
    let mut out =
        format!("# Side by side, {}\n\n{}\n\n![The same as a chart]({chart})\n", run.date, conditions(run));
    for case in run.cases() {
        let rows = run.of_case(case);
        out.push_str(&format!("\n## {case}\n\n| {} |\n|{}\n", HEAD.join(" | "), "---|".repeat(HEAD.len())));
        for row in &rows {
            out.push_str(&format!("| {} |\n", cells(row).join(" | ")));
        }
        out.push('\n');
        for line in ratios(&rows) {
            out.push_str(&format!("- {line}\n"));
        }
    }
    out
}

fn conditions(run: &Run) -> String {
    let machine = &run.machine;
    let versions: Vec<String> =
        run.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "{} with {} cores, {} GiB, {}; {}. Medians of interleaved rounds; the load shares the cores. CPU is user and \
         kernel time of the whole process tree.",
        machine.cpu,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        versions.join(", ")
    )
}

fn cells(row: &Row) -> Vec<String> {
    let (low, high) = row.spread.ops_per_s;
    let name = match row.errors {
        0 => row.system.clone(),
        errors => format!("{} ({errors} errors)", row.system),
    };
    vec![
        name,
        thousands(row.ops_per_s),
        format!("{} to {}", thousands(low), thousands(high)),
        format!("{:.2}", row.p50_us / 1e3),
        format!("{:.2}", row.p99_us / 1e3),
        format!("{:.1} ({:.1} + {:.1})", row.cpu_us_per_op, row.cpu_user_us_per_op, row.cpu_kernel_us_per_op),
        format!("{:.0}", row.rss_idle_mib),
        format!("{:.0}", row.rss_mib),
    ]
}

fn ratios(rows: &[&Row]) -> Vec<String> {
    let Some((first, others)) = rows.split_first() else { return Vec::new() };
    let ratio =
        |own: f64, other: f64| if other > 0.0 { format!("{:.2}x", own / other) } else { "-".to_owned() };
    let line = |other: &&Row| {
        format!(
            "{} has {} the CPU time of {}, {} its requests/s, {} its p99, {} its memory",
            first.system,
            ratio(first.cpu_us_per_op, other.cpu_us_per_op),
            other.system,
            ratio(first.ops_per_s, other.ops_per_s),
            ratio(first.p99_us, other.p99_us),
            ratio(first.rss_mib, other.rss_mib)
        )
    };
    others.iter().map(line).collect()
}

/// The first column to the left, figures to the right.
fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        out.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
    }
    out
}

pub(super) fn thousands(value: f64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;

    #[test]
    fn the_table_is_aligned_and_compares() {
        let expected =
            "AMD EPYC with 2 cores, 24 GiB, Linux 6.18; colony 0.1.0, envoy 1.40.0. Medians of interleaved \
rounds; the load shares the cores. CPU is user and kernel time of the whole process tree.

proxy-64
  system   req/s  (lowest to highest)  p50 ms  p99 ms  CPU µs/req (user + kernel)  MiB idle  loaded
  colony  80,000     70,000 to 90,000    0.80    4.00           12.0 (2.0 + 10.0)        20      26
  envoy   40,000     35,000 to 42,000    0.80    4.00          30.0 (20.0 + 10.0)        20      26
  colony has 0.40x the CPU time of envoy, 2.00x its requests/s, 1.00x its p99, 1.00x its memory
";
        assert_eq!(render(&run()), expected);
    }

    #[test]
    fn markdown_has_a_row_a_system() {
        let text = markdown(&run(), "chart.svg");
        assert!(text.contains("| colony | 80,000 | 70,000 to 90,000 |"), "{text}");
        assert!(text.contains("(chart.svg)"));
    }
}
