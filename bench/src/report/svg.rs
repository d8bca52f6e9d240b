//! The chart: for every case a panel for each figure of its kind, a bar for each system.

use super::layout::{Metric, metrics};
use super::{Row, Run};

/// The whole picture, readable on light and dark ground.
pub fn draw(run: &Run) -> String {
    let cases = run.cases();
    let tallest = cases.iter().map(|case| run.of_case(case).len()).max().unwrap_or(0) as f64;
    let panel = PANEL_HEAD + tallest * BAR_STEP + 24.0;
    let height = HEAD + cases.len() as f64 * (panel + CASE_HEAD);
    let metrics = metrics(run.what);
    let names = name_width(run);
    let panel_width = names + BAR_WIDTH + FIGURE_WIDTH;
    let width = MARGIN * 2.0 + metrics.len() as f64 * panel_width;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let machine = &run.machine;
    out.push_str(&text(
        MARGIN,
        30.0,
        "font-size=\"17\" font-weight=\"600\" fill=\"#1f2933\"",
        "Side by side on one machine",
    ));
    let where_and_when =
        format!("{}, {} cores, {}, {}", machine.cpu, machine.cores, machine.kernel, run.date);
    out.push_str(&text(MARGIN, 50.0, MUTED, &where_and_when));
    for (index, case) in cases.iter().enumerate() {
        let top = HEAD + index as f64 * (panel + CASE_HEAD);
        out.push_str(&text(
            MARGIN,
            top + 16.0,
            "font-size=\"14\" font-weight=\"600\" fill=\"#1f2933\"",
            case,
        ));
        for (column, metric) in metrics.iter().enumerate() {
            let left = MARGIN + column as f64 * panel_width;
            out.push_str(&bars(metric, &run.of_case(case), left, names, top + CASE_HEAD));
        }
    }
    out.push_str("</svg>\n");
    out
}

fn name_width(run: &Run) -> f64 {
    let longest = run.rows.iter().map(|row| row.system.chars().count()).max().unwrap_or(0);
    12.0 + LETTER_WIDTH * longest as f64
}

fn bars(metric: &Metric, rows: &[&Row], left: f64, names: f64, top: f64) -> String {
    let mut out = text(left, top + 12.0, "fill=\"#1f2933\"", metric.title);
    out.push_str(&text(left, top + 27.0, MUTED, metric.better));
    let sum = |row: &Row| (metric.parts)(row).iter().sum::<f64>();
    let most = rows.iter().map(|row| sum(row)).fold(f64::MIN_POSITIVE, f64::max);
    for (index, row) in rows.iter().enumerate() {
        let y = top + PANEL_HEAD + index as f64 * BAR_STEP;
        let colour = if index == 0 { OWN } else { OTHER };
        out.push_str(&text(left, y + 13.0, "fill=\"#1f2933\"", &row.system));
        let mut x = left + names;
        for (part, opacity) in (metric.parts)(row).into_iter().zip([1.0, 0.55]) {
            let width = part / most * BAR_WIDTH;
            if width > 0.0 {
                out.push_str(&format!(
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"17\" fill=\"{colour}\" \
                     fill-opacity=\"{opacity}\"/>\n"
                ));
            }
            x += width;
        }
        out.push_str(&text(x + 5.0, y + 13.0, "fill=\"#1f2933\"", &(metric.text)(row)));
    }
    out
}

fn text(x: f64, y: f64, style: &str, content: &str) -> String {
    let content = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{content}</text>\n")
}

const MARGIN: f64 = 24.0;
const HEAD: f64 = 72.0;
const CASE_HEAD: f64 = 28.0;
const PANEL_HEAD: f64 = 38.0;
const LETTER_WIDTH: f64 = 7.0;
const BAR_WIDTH: f64 = 140.0;
/// Behind the longest bar, with the gap to the next panel.
const FIGURE_WIDTH: f64 = 72.0;
const BAR_STEP: f64 = 24.0;
const OWN: &str = "#c2410c";
const OTHER: &str = "#94a3b8";
const MUTED: &str = "fill=\"#64748b\" font-size=\"11\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::What;
    use crate::report::tests::run;

    #[test]
    fn every_system_has_its_bars() {
        for what in [What::Proxy, What::Idle, What::Policies] {
            let picture = draw(&run(what));
            let panels = metrics(what).len();
            assert_eq!(picture.matches(">envoy<").count(), panels);
            let of_two_parts = picture.matches("fill-opacity=\"0.55\"").count() / 2;
            assert_eq!(picture.matches(&format!("fill=\"{OWN}\"")).count(), panels + of_two_parts);
            assert!(picture.ends_with("</svg>\n") && !picture.contains("NaN"));
        }
    }
}
