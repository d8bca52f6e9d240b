//! What people see: colours where a terminal is, none elsewhere; times and numbers as one says them.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use telemetry::logs::Stream;

use crate::failure::Failure;

/// Colours that services are told apart by.
const SERVICE_COLOURS: [u8; 6] = [36, 32, 35, 34, 33, 96];

/// How something is set off from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    /// A colour of its own for each name.
    Name,
}

/// Whether standard output wants colours: it is a terminal, and nobody said otherwise
/// (<https://no-color.org>).
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Width to draw in.
pub(crate) fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// `text` in a style, if `colours`.
pub(crate) fn paint(colours: bool, style: Style, text: &str) -> String {
    let code = match style {
        _ if !colours => 0,
        Style::Plain => 0,
        Style::Bold => 1,
        Style::Dim => 2,
        Style::Good => 32,
        Style::Warn => 33,
        Style::Bad => 31,
        Style::Name => colour_of(text),
    };
    match code {
        0 => text.to_owned(),
        code => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}

/// The same for text that is padded to a width first.
pub(crate) fn pad(colours: bool, style: Style, text: &str, width: usize) -> String {
    paint(colours, style, &format!("{text:width$}"))
}

fn colour_of(name: &str) -> u8 {
    let name = name.trim().trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
    let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    SERVICE_COLOURS[sum % SERVICE_COLOURS.len()]
}

/// Prints to standard output; a reader that has gone away ends nothing.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// A line on standard error that the next one replaces; nothing where no terminal is.
pub(crate) fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[2K  {text}");
        let _ = stderr.flush();
    }
}

/// Takes the last [`progress`] away.
pub(crate) fn end_progress() {
    let mut stderr = std::io::stderr().lock();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[2K");
        let _ = stderr.flush();
    }
}

/// Says on standard error why a command failed.
pub(crate) fn failure(failure: &Failure) {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut text = String::new();
    if !failure.message.is_empty() {
        let _ = writeln!(text, "{} {}", paint(colours, Style::Bad, "error:"), failure.message);
    }
    for hint in &failure.hints {
        let _ = writeln!(text, "  {} {hint}", paint(colours, Style::Dim, "help:"));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// A line of output for people, as `colony up` and `colony logs` print it.
pub(crate) fn output_line(colours: bool, width: usize, instance: &str, stream: Stream, text: &str) -> String {
    let name = pad(colours, Style::Name, instance, width);
    let bar = match stream {
        Stream::Stdout => paint(colours, Style::Dim, "|"),
        Stream::Stderr => paint(colours, Style::Warn, "!"),
        Stream::Colony => paint(colours, Style::Bold, "*"),
    };
    format!("  {name}  {bar} {text}\n")
}

/// A duration as one says it: `43 ms`, `1.24 s`, `3 min 5 s`, `2 h 10 min`.
pub(crate) fn time(duration: Duration) -> String {
    let (ms, seconds) = (duration.as_millis(), duration.as_secs());
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{:.2} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Rows under headings, aligned. Numbers (columns whose heading begins with a space) to the right.
pub(crate) fn table(colours: bool, headings: &[&str], rows: &[Vec<(String, Style)>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.0.chars().count()));
        cells.max().unwrap_or(0).max(headings[column].trim().chars().count())
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut out = String::new();
    let heading: Vec<(String, Style)> = headings.iter().map(|h| (h.trim().to_owned(), Style::Dim)).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::from(" ");
        for (column, (text, style)) in row.iter().enumerate() {
            let fill = " ".repeat(widths[column].saturating_sub(text.chars().count()));
            let right = headings[column].starts_with(' ');
            let cell = paint(colours, *style, text);
            let _ = match right {
                true => write!(line, " {fill}{cell} "),
                false => write!(line, " {cell}{fill} "),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0_u64, 43, 1240, 185_000, 7_800_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(said, ["0 ms", "43 ms", "1.24 s", "3 min 5 s", "2 h 10 min"]);
    }

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let cell = |text: &str| (text.to_owned(), Style::Plain);
        let rows = [vec![cell("catalog"), cell("2")], vec![cell("x"), cell("1000")]];
        assert_eq!(
            table(false, &["name", " n"], &rows),
            "  name        n\n  catalog     2\n  x        1000\n"
        );
    }
}
