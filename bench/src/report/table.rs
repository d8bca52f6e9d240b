//! Aligned text for a terminal, and the same as Markdown.

use super::layout::{columns, compare};
use super::{Row, Run, What};

/// Every case with its table and what the first system is to each of the others.
pub fn render(run: &Run) -> String {
    let mut out = format!("{}\n", conditions(run));
    for line in &run.left_out {
        out.push_str(&format!("{line}\n"));
    }
    for case in run.cases() {
        let rows = run.of_case(case);
        let lines: Vec<Vec<String>> =
            std::iter::once(heads(run.what)).chain(rows.iter().map(|row| cells(run.what, row))).collect();
        out.push_str(&format!("\n{case}\n{}", align(&lines)));
        for line in comparisons(run.what, &rows) {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

/// The same for a file that is read on a page; `chart` is the picture's file name.
pub fn markdown(run: &Run, chart: &str) -> String {
    let mut out =
        format!("# Side by side, {}\n\n{}\n\n![The same as a chart]({chart})\n", run.date, conditions(run));
    if !run.left_out.is_empty() {
        out.push_str(&format!("\n{}\n", list(&run.left_out)));
    }
    for case in run.cases() {
        let rows = run.of_case(case);
        let heads = heads(run.what);
        out.push_str(&format!("\n## {case}\n\n| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len())));
        for row in &rows {
            out.push_str(&format!("| {} |\n", cells(run.what, row).join(" | ")));
        }
        out.push_str(&format!("\n{}\n", list(&comparisons(run.what, &rows))));
    }
    out
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
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

fn heads(what: What) -> Vec<String> {
    let of_figures = columns(what).iter().map(|column| column.head);
    std::iter::once("system").chain(of_figures).map(str::to_owned).collect()
}

fn cells(what: What, row: &Row) -> Vec<String> {
    let name = match row.errors {
        0 => row.system.clone(),
        errors => format!("{} ({errors} errors)", row.system),
    };
    std::iter::once(name).chain(columns(what).iter().map(|column| (column.cell)(row))).collect()
}

fn comparisons(what: What, rows: &[&Row]) -> Vec<String> {
    let Some((first, others)) = rows.split_first() else { return Vec::new() };
    others.iter().map(|other| compare(what, first, other)).collect()
}

/// The first column to the left, figures to the right.
pub fn align(lines: &[Vec<String>]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;

    const CONDITIONS: &str = "AMD EPYC with 2 cores, 24 GiB, Linux 6.18; colony 0.1.0, envoy 1.40.0. Medians of interleaved \
rounds; the load shares the cores. CPU is user and kernel time of the whole process tree.";

    #[test]
    fn the_table_is_aligned_and_compares() {
        let expected = "
http1-64
  system   req/s  (lowest to highest)  p50 ms  p99 ms  CPU µs/req (user + kernel)  MiB idle  loaded
  colony  80,000     70,000 to 90,000    0.80    4.00           12.0 (2.0 + 10.0)        20      26
  envoy   40,000     35,000 to 42,000    0.80    4.00          30.0 (20.0 + 10.0)        20      26
  colony has 0.40x the CPU time of envoy, 2.00x its requests/s, 1.00x its p99, 1.00x its memory
";
        assert_eq!(render(&run(What::Proxy)), format!("{CONDITIONS}\n{expected}"));
    }

    #[test]
    fn idle_connections_are_compared_by_their_memory() {
        let expected = "
http1-64
  system  KiB/connection  (lowest to highest)  MiB before  with all  CPU µs to open one (user + kernel)
  colony            2.50         1.50 to 3.50          20        26                   12.0 (2.0 + 10.0)
  envoy            20.50       18.50 to 22.50          20        26                  30.0 (20.0 + 10.0)
  colony has 0.12x the memory a connection of envoy, 1.00x its memory in all
";
        assert_eq!(render(&run(What::Idle)), format!("{CONDITIONS}\n{expected}"));
    }

    #[test]
    fn policies_are_compared_with_the_default() {
        let text = render(&run(What::Policies));
        assert!(text.contains("+17.00     +16.00 to +21.00\n"), "{text}");
        assert!(text.contains("envoy has 2.50x the CPU time of colony, 0.50x its requests/s"), "{text}");
    }

    #[test]
    fn markdown_has_a_row_a_system() {
        let text = markdown(&run(What::Proxy), "chart.svg");
        assert!(text.contains("| colony | 80,000 | 70,000 to 90,000 |"), "{text}");
        assert!(text.contains("(chart.svg)"));
    }

    #[test]
    fn who_is_left_out_is_said() {
        let run = run(What::Proxy).without(vec!["nginx is left out of http2-16x32: why".to_owned()]);
        assert!(render(&run).contains("\nnginx is left out of http2-16x32: why\n\nhttp1-64\n"));
        assert!(markdown(&run, "chart.svg").contains("\n- nginx is left out of http2-16x32: why\n"));
    }
}
