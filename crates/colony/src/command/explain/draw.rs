//! An explanation for people.

use std::fmt::Write as _;
use std::time::Duration;

use manifest::terms::{Attempts, Place, Policy, Terms, Undeclared, Worst};
use mesh::{Side, Tried};
use serde_json::Value;

use super::request::{OfRequest, OfRoute, why};
use super::{OfCall, Told, Way};
use crate::terminal::{Style, paint, table};

pub(super) fn told(told: &Told, width: usize, colours: bool) -> String {
    let pen = Pen { width, colours };
    match told {
        Told::Request(of) => pen.request(of),
        Told::Call(of) => pen.call(of),
    }
}

struct Pen {
    width: usize,
    colours: bool,
}

type Row = Vec<(String, Style)>;

impl Pen {
    fn request(&self, of: &OfRequest) -> String {
        let mut out =
            self.heading(&format!("{} {}", of.asked.method, of.asked.target), &format!("at {}", of.host));
        match (&of.refused, of.taken) {
            (Some((refusal, why)), _) => {
                let why = why.as_deref().unwrap_or("no route takes it");
                let answer = format!("the gateway answers {} {}", refusal.status, refusal.problem);
                out += &self.line("refused", Style::Bad, &format!("{why}: {answer}"));
            }
            (None, Some(at)) => {
                let to =
                    of.way.as_ref().map_or("", |way| way.terms.split.as_deref().unwrap_or(way.to.as_str()));
                out +=
                    &self.line("route", Style::Plain, &format!("{} of {}, to {to}", at + 1, of.routes.len()));
                if let (Some(side), Some(way)) = (of.side, &of.way) {
                    let by = match side {
                        Side::ByHeader(_) => format!("{}, for its headers", way.to),
                        Side::ByUser(_) => format!("{}, for what keeps a user there", way.to),
                        Side::ByShare => "any, by the shares".to_owned(),
                    };
                    out += &self.line("side", Style::Plain, &by);
                }
                let by = of.rewritten.as_ref().map_or(String::new(), |place| {
                    format!("  {}", paint(self.colours, Style::Dim, &format!("rewrite, {}", show(place))))
                });
                out += &self.line("asks for", Style::Plain, &format!("{}{by}", of.target));
            }
            (None, None) => {}
        }
        if let Some((at, route)) = of.nearest.and_then(|at| Some((at, of.routes.get(at)?))) {
            let near = format!("route {}, {}  {}", at + 1, route.name, self.fit(route).0);
            out += &self.line("nearest", Style::Plain, &near);
        }
        out += "\n";
        if !of.routes.is_empty() {
            out += &self.routes(&of.routes);
            out += "\n";
        }
        if let Some(way) = &of.way {
            let once = (!of.idempotent).then_some(of.asked.method.as_str());
            out += &self.way(way, once, of.left);
            out += &self.after(way);
        }
        out
    }

    fn call(&self, of: &OfCall) -> String {
        let name = &of.name;
        match &of.way {
            Ok(way) => {
                let place = way.terms.place.as_ref().map_or(String::new(), show);
                let split = way.terms.split.as_ref();
                let split = split.map_or(String::new(), |split| {
                    self.line("to", Style::Plain, split)
                        + "
"
                });
                self.heading(name, &place) + &split + &self.way(way, None, None) + &self.after(way)
            }
            Err(undeclared) => self.heading(name, "") + &self.undeclared(undeclared),
        }
    }

    fn undeclared(&self, undeclared: &Undeclared) -> String {
        let mut out = self.line("refused", Style::Bad, &undeclared.why);
        out += &self.line("", Style::Plain, &undeclared.hint);
        if let Some(add) = &undeclared.add {
            out += &self.line("", Style::Plain, "to declare it, add to the manifest:");
            out += "\n";
            for line in add.lines() {
                let _ = writeln!(out, "    {line}");
            }
        }
        out + "\n"
    }

    fn heading(&self, what: &str, beside: &str) -> String {
        let what = paint(self.colours, Style::Bold, what);
        let beside = paint(self.colours, Style::Dim, beside);
        format!("\n  {}\n\n", format!("{what}  {beside}").trim_end())
    }

    fn line(&self, label: &str, style: Style, text: &str) -> String {
        let style = if style == Style::Plain { Style::Dim } else { style };
        format!("  {}  {text}\n", paint(self.colours, style, &format!("{label:8}")))
    }

    fn routes(&self, routes: &[OfRoute]) -> String {
        let row = |(at, route): (usize, &OfRoute)| {
            let (fit, style) = self.fit(route);
            vec![
                ((at + 1).to_string(), Style::Dim),
                (route.name.clone(), if style == Style::Good { Style::Good } else { Style::Plain }),
                (route.to.clone(), Style::Name),
                (fit, style),
                place(route.place.as_ref()),
            ]
        };
        let rows: Vec<Row> = routes.iter().enumerate().map(row).collect();
        table(self.colours, &[" ", "route", "to", "taken", "declared at"], &rows)
    }

    fn fit(&self, route: &OfRoute) -> (String, Style) {
        match &route.tried {
            Tried::Taken => ("yes".to_owned(), Style::Good),
            Tried::Later => ("no, it comes later".to_owned(), Style::Dim),
            Tried::Misfit(misfit) => (why(misfit), Style::Dim),
        }
    }

    /// `once`: the method of a request that must not be sent twice; `left`: how long its caller waits.
    fn way(&self, way: &Way, once: Option<&str>, left: Option<Duration>) -> String {
        let Terms { policies, worst, attempts, .. } = &way.terms;
        let mut rows: Vec<Row> = Vec::new();
        for (at, policy) in policies.iter().enumerate() {
            self.policy(at, policy, &mut rows);
        }
        table(self.colours, &[" ", "policy", "value", "set at"], &rows)
            + "\n"
            + &self.worst(worst, left)
            + &self.attempts(attempts, once.filter(|_| worst.tries > 1))
    }

    fn policy(&self, at: usize, policy: &Policy, rows: &mut Vec<Row>) {
        let value = if policy.value == "none" { Style::Dim } else { Style::Plain };
        rows.push(vec![
            ((at + 1).to_string(), Style::Dim),
            (policy.name.clone(), Style::Bold),
            (shown(&policy.value), value),
            place(policy.place.as_ref()),
        ]);
        let mut by_default = Vec::new();
        for setting in &policy.options {
            let text = format!("{} {}", setting.key, shown(&setting.value));
            match &setting.place {
                None => by_default.push(text),
                set => rows.push(vec![plain(""), plain(""), plain(&text), place(set.as_ref())]),
            }
        }
        for line in filled(&by_default, self.width.saturating_sub(MARGIN).max(WIDTH_MIN)) {
            rows.push(vec![plain(""), plain(""), (line, Style::Dim), place(None)]);
        }
    }

    fn worst(&self, worst: &Worst, left: Option<Duration>) -> String {
        let time = worst.time.map_or_else(|| "no bound".to_owned(), said);
        let mut out = self.line("at worst", Style::Plain, &format!("{time}: {}", worst.sum));
        if let Some(asked) = worst.asked_to_wait {
            let text = format!("{} if answers ask for a wait with Retry-After", said(asked));
            out += &self.line("", Style::Plain, &text);
        }
        if let Some(left) = left.filter(|left| worst.time.is_none_or(|time| *left < time)) {
            out += &self.line(
                "",
                Style::Plain,
                &format!("{} here, which is all that the caller waits", said(left)),
            );
        }
        if worst.tries == 0 {
            return out;
        }
        let hold = said(worst.each.map_or(mesh::HOLD_MAX, |each| each.min(mesh::HOLD_MAX)));
        let hold = format!("of each try up to {hold} for an instance, while none is ready");
        out + &self.line("", Style::Plain, &hold)
    }

    fn attempts(&self, attempts: &Attempts, once: Option<&str>) -> String {
        if attempts.most == 0 {
            let refusal = mesh::Refusal::too_late();
            let text = format!("0 tries: the gateway answers {} {}", refusal.status, refusal.problem);
            return self.line("at most", Style::Plain, &text);
        }
        let (most, last) = (attempts.most, attempts.way.last().map_or("", |hop| hop.to.as_str()));
        let tries = if most == 1 { "1 try".to_owned() } else { format!("{most} tries") };
        let product = match attempts.way.as_slice() {
            [] | [_] => String::new(),
            way => {
                let factors: Vec<String> =
                    way.iter().map(|hop| format!("{} ({})", hop.tries, hop.call)).collect();
                format!(" = {}", factors.join(" x "))
            }
        };
        let mut out = self.line("at most", Style::Plain, &format!("{tries} at {last}{product}"));
        if let Some(method) = once {
            let text =
                format!("a {method} without `Idempotency-Key` is sent again only while nothing of it was");
            out += &self.line("", Style::Plain, &text);
        }
        if attempts.storm {
            let text = format!(
                "when {last} is down, one request becomes {most}; retry on one of these calls, and say \
                 `retries: none` on the others"
            );
            out += &self.line("warning", Style::Warn, &text);
        }
        out
    }

    /// What a running node said, and the end.
    fn after(&self, way: &Way) -> String {
        match &way.live {
            None => "\n".to_owned(),
            Some(live) => {
                let mut out = self.line("now", Style::Plain, &now(live));
                if live["faults"].as_array().is_some_and(|faults| !faults.is_empty()) {
                    out += &self.line(
                        "warning",
                        Style::Warn,
                        "it fails on purpose; `colony fault list` says how",
                    );
                }
                out + &self.otherwise(live) + "\n"
            }
        }
    }

    /// What the node runs with that was not explained.
    fn otherwise(&self, live: &Value) -> String {
        let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
        let differs = live["differs"].as_array().map_or(&[][..], Vec::as_slice);
        let files = || {
            let overlays = live["overlays"].as_array().into_iter().flatten();
            let overlays: String = overlays.map(|path| format!(" --overlay {}", text(path))).collect();
            format!("it runs {}{overlays}", text(&live["manifest"]))
        };
        let mut out = String::new();
        if !differs.is_empty() {
            let what = "the running system has other values than those above:";
            out += &self.line("warning", Style::Warn, what);
            for one in differs {
                let (running, explained) = (text(&one["running"]), text(&one["explained"]));
                let text = format!("  {} {}, not {}", text(&one["key"]), shown(&running), shown(&explained));
                out += &self.line("", Style::Plain, &text);
            }
        }
        if live["same_files"] == false {
            let beside = if differs.is_empty() { ", which comes to the same here" } else { "" };
            out += &self.line("", Style::Plain, &format!("{}{beside}", files()));
        } else if !differs.is_empty() {
            out += &self.line("", Style::Plain, "`colony apply` takes the manifest on as it is now");
        }
        out
    }
}

/// How a call is, in a line.
fn now(live: &Value) -> String {
    let (call, upstream) = (&live["call"], &live["upstream"]);
    let number = |key: &str| call[key].as_u64().unwrap_or(0);
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    let mut parts = vec![
        format!("breaker {}", call["breaker"].as_str().unwrap_or("none")),
        format!("{} ready, {} ejected", count(&upstream["instances"]), count(&call["ejected"])),
    ];
    if let Some(concurrency) = call["concurrency"].as_object() {
        let number = |key: &str| concurrency.get(key).and_then(Value::as_u64).unwrap_or(0);
        parts.push(format!(
            "{} of {} in flight, {} waiting",
            number("in_flight"),
            number("limit"),
            number("waiting")
        ));
    }
    if let Some(zone) = call["zone"].as_object() {
        let number = |key: &str| zone.get(key).and_then(Value::as_u64).unwrap_or(0);
        let own = zone.get("own").and_then(Value::as_str).unwrap_or_default();
        let share = zone.get("share").and_then(Value::as_f64).unwrap_or(0.0);
        let share = (share * 1e3).round() / 10.0;
        parts.push(format!("{share}% stay in {own}, {} of {} well", number("well"), number("all")));
    }
    parts.push(format!(
        "{} requests, {} failed, {} retries",
        number("requests"),
        number("failures"),
        number("retries")
    ));
    parts.join("; ")
}

/// A value on one line, not too long.
fn shown(value: &str) -> String {
    let line: String = value.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match line.char_indices().nth(VALUE_CHARS_MAX) {
        _ if line.is_empty() => "none".to_owned(),
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// As many of `parts` in a line as there is room for.
fn filled(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() + 2 <= width => {
                line.push_str("; ");
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}

fn place(place: Option<&Place>) -> (String, Style) {
    match place {
        None => ("default".to_owned(), Style::Dim),
        Some(place) => (show(place), Style::Plain),
    }
}

/// `colony.yaml:12:15`, and the variables that the value there is made of.
fn show(place: &Place) -> String {
    let variables: String = place.variables.iter().map(|name| format!(" ${{{name}}}")).collect();
    format!("{}:{}:{}{variables}", place.file, place.line, place.column)
}

/// As the manifest writes durations.
fn said(time: Duration) -> String {
    humantime::format_duration(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
        .to_string()
        .replace(' ', "")
}

fn plain(text: &str) -> (String, Style) {
    (text.to_owned(), Style::Plain)
}

/// What stands beside the values.
const MARGIN: usize = 50;
/// Values have as much room also on a narrow terminal.
const WIDTH_MIN: usize = 40;
/// Longest value that is drawn; JSON has all of it.
const VALUE_CHARS_MAX: usize = 60;
