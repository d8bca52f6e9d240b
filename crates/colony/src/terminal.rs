//! What people see: colours where a terminal is, none elsewhere; times and numbers as one says them.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;
use telemetry::logs::Stream;
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Colours that services are told apart by.
const SERVICE_COLOURS: [u8; 6] = [36, 32, 35, 34, 33, 96];
/// Exit code of who wrote for nobody: what a shell shows for SIGPIPE.
const READER_GONE: u8 = 128 + 13;

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

/// Whether standard output wants colours.
pub(crate) fn colours() -> bool {
    wants_colours(std::io::stdout().is_terminal())
}

fn wants_colours(terminal: bool) -> bool {
    let variable = |name: &str| std::env::var_os(name);
    terminal && allows_colours(variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
}

/// Whether the environment has nothing against colours: <https://no-color.org>, and terminals that
/// say of themselves that they know no escapes.
fn allows_colours(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term != Some(OsStr::new("dumb"))
}

/// Whether a line on standard error can be replaced by the next.
fn replaces_lines() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
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

/// Prints the outcome of a command to standard output. Where nobody reads it any more the command
/// ends without a word, as other programs do; any other error is said.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// The same for what need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    write(bytes).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::silent(READER_GONE),
        _ => Failure::new(format!("cannot write to standard output: {error}")),
    })
}

/// Prints the help or the version.
pub(crate) fn print_help(help: &clap::Error) -> Result<ExitCode, Failure> {
    let text = help.render();
    print(&if colours() { text.ansi().to_string() } else { text.to_string() })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what a running node says. Services depend on the node, so it bears that nobody reads it
/// or that there is no room for it.
pub(crate) fn out(text: &str) {
    let _ = write(text.as_bytes());
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Waits until nobody reads standard output any more, and says how to end then; waits for ever where
/// that cannot be told, as with a file. For who may have nothing to print for long, and would not
/// notice.
pub(crate) async fn reader_gone() -> Failure {
    let (sender, gone) = oneshot::channel();
    // A thread of its own, which nobody waits for at the end.
    std::thread::spawn(move || {
        let stdout = std::io::stdout();
        // No event asked for: errors and hang-ups are told without.
        let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        while poll(&mut watched, PollTimeout::NONE) == Err(Errno::EINTR) {}
        if watched[0].any() == Some(true) {
            let _ = sender.send(());
        }
    });
    match gone.await {
        Ok(()) => Failure::silent(READER_GONE),
        Err(_) => std::future::pending().await,
    }
}

/// A line on standard error that the next one replaces; nothing where no terminal is.
pub(crate) fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if replaces_lines() {
        let _ = write!(stderr, "\r\x1b[2K  {text}");
        let _ = stderr.flush();
    }
}

/// Takes the last [`progress`] away.
pub(crate) fn end_progress() {
    let mut stderr = std::io::stderr().lock();
    if replaces_lines() {
        let _ = write!(stderr, "\r\x1b[2K");
        let _ = stderr.flush();
    }
}

/// Says on standard error why a command failed.
pub(crate) fn failure(failure: &Failure) {
    let colours = wants_colours(std::io::stderr().is_terminal());
    let mut text = String::new();
    if !failure.message.is_empty() {
        let _ = writeln!(text, "{} {}", paint(colours, Style::Bad, "error:"), failure.message);
    }
    for hint in &failure.hints {
        let _ = writeln!(text, "  {} {hint}", paint(colours, Style::Dim, "help:"));
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Says the same as one JSON object on standard output, where a script that asked for JSON reads;
/// on standard error if it cannot be said there.
pub(crate) fn failure_json(failure: &Failure) {
    if !failure.message.is_empty() && print(&format!("{}\n", Value::from(failure))).is_err() {
        self::failure(failure);
    }
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
    fn the_environment_can_refuse_colours() {
        let allowed = |no_color: Option<&str>, term: Option<&str>| {
            allows_colours(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(allowed(None, None) && allowed(Some(""), Some("xterm")));
        assert!(!allowed(Some("1"), Some("xterm")));
        assert!(!allowed(None, Some("dumb")));
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
