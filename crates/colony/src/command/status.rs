//! `colony status`: services and instances, calls and their breakers.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use mesh::FaultStatus;
use serde_json::Value;

use crate::args::Json;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{self, Style, paint, table, time};

/// Fewer days of validity than these are shown as bad: whatever renews certificates has failed to.
const DAYS_FEW: u64 = 7;

/// The column of a call's share.
const SHARE: usize = 1;

/// The column of an instance's zone.
const ZONE: usize = 4;

pub(crate) async fn run(args: &Json, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let status = Client::find(data).await?.call(Method::GET, "/api/status", None).await?;
    match args.json {
        true => terminal::print(&format!("{status}\n"))?,
        false => terminal::print(&render(&status, terminal::colours()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn render(status: &Value, colours: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "\n  {}  {}  up {}  {}\n",
        paint(colours, Style::Bold, text(status, "name")),
        status["gateway"].as_str().unwrap_or("no gateway"),
        time(Duration::from_millis(number(status, "uptime_ms"))),
        paint(colours, Style::Dim, &whereabouts(status)),
    );
    out.push_str(&alerts(status, colours));
    out.push_str(&faults(status, colours));
    out.push_str(&certificates(status, colours));
    out.push_str(&durable(status, colours));
    out.push_str(&services(status, colours));
    let externals = externals(status, colours);
    if !externals.is_empty() {
        out.push('\n');
        out.push_str(&externals);
    }
    let calls = calls(status, colours);
    if !calls.is_empty() {
        out.push('\n');
        out.push_str(&calls);
    }
    out.push_str(&objectives(status, colours));
    out.push_str(&otlp(status, colours));
    out.push('\n');
    out
}

/// What is lost of all that was to be kept.
fn durable(status: &Value, colours: bool) -> String {
    let durable = &status["durable"];
    let mut out = String::new();
    if let lost @ 1.. = number(durable, "payloads_lost") {
        let _ = writeln!(
            out,
            "  {} {lost} times a payload was to be read that is damaged and lost: `colony data verify` names them",
            paint(colours, Style::Bad, "data:")
        );
    }
    if let unreadable @ 1.. = number(durable, "payloads_unreadable") {
        let _ = writeln!(
            out,
            "  {} {unreadable} times the disk could not read a payload; it is tried again",
            paint(colours, Style::Warn, "data:")
        );
    }
    if out.is_empty() { out } else { out + "\n" }
}

/// Where telemetry is sent, and whether it arrives.
fn otlp(status: &Value, colours: bool) -> String {
    let otlp = &status["otlp"];
    let sent = &otlp["sent"];
    if sent.is_null() {
        return String::new();
    }
    let to: Vec<&str> = list(otlp, "to").iter().filter_map(Value::as_str).collect();
    let count = |key: &str| number(sent, key);
    let mut out = format!(
        "\n  {} to {}: {} spans, {} log records and {} metric points have arrived\n",
        paint(colours, Style::Dim, "otlp:"),
        to.join(", "),
        count("spans"),
        count("logs"),
        count("points"),
    );
    if let Some(trouble) = sent["trouble"].as_str() {
        let waiting = mib(&Value::from(count("waiting_bytes") >> 10));
        let _ = writeln!(
            out,
            "  {} nothing arrives there: {trouble}; {waiting} wait",
            paint(colours, Style::Bad, "note:")
        );
    }
    for (key, why) in
        [("dropped", "for there was no room to wait"), ("refused", "which the collector did not want")]
    {
        if let some @ 1.. = count(key) {
            let _ = writeln!(out, "  {} {some} were given up, {why}", paint(colours, Style::Warn, "note:"));
        }
    }
    out
}

/// What somebody should know of, with what was done at that time.
fn alerts(status: &Value, colours: bool) -> String {
    let mut out = String::new();
    for alert in list(status, "alerts") {
        let severity = format!("{}:", text(alert, "severity"));
        let _ = writeln!(out, "  {} {}", paint(colours, Style::Bad, &severity), text(alert, "summary"));
        for change in list(alert, "changes") {
            let ago = number(alert, "since_ms").abs_diff(number(change, "at_ms"));
            let when = if number(change, "at_ms") <= number(alert, "since_ms") { "before" } else { "after" };
            let ago = time(Duration::from_millis(ago));
            let _ = writeln!(
                out,
                "      {ago} {when} it began, {}: {}",
                text(change, "kind"),
                text(change, "text")
            );
        }
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn objectives(status: &Value, colours: bool) -> String {
    let headings =
        ["objective", "promised", " requests", " bad", " budget left", " burn 1h", " burn 6h", "alert"];
    let row = |slo: &Value| {
        let share = |key: &str| slo[key].as_f64().unwrap_or(0.0);
        let target = format!("{}%", (share("target") * 1e6).round() / 1e4);
        let promised = match slo["within_ms"].as_u64() {
            Some(within) => format!("{target} within {}", time(Duration::from_millis(within))),
            None => format!("{target} answered"),
        };
        let left = share("budget_left");
        let burn = |window: &str| {
            let burn = slo["burn"][window].as_f64().unwrap_or(0.0);
            (format!("{burn:.1}x"), if burn > 1.0 { Style::Warn } else { Style::Plain })
        };
        vec![
            (text(slo, "service").to_owned(), Style::Name),
            plain(&promised),
            plain(&number(slo, "requests").to_string()),
            counted(number(slo, "bad"), Style::Warn),
            (format!("{:.0} %", left * 100.0), if left < 0.0 { Style::Bad } else { Style::Plain }),
            burn("1h"),
            burn("6h"),
            (text(slo, "alert").to_owned(), Style::Bad),
        ]
    };
    let rows: Vec<_> = list(status, "slos").iter().map(row).collect();
    if rows.is_empty() { String::new() } else { format!("\n{}", table(colours, &headings, &rows)) }
}

fn whereabouts(status: &Value) -> String {
    let zone = status["zone"].as_str().map_or(String::new(), |zone| format!("zone {zone}, "));
    format!("{zone}pid {}, {}", number(status, "pid"), mib(&status["rss_kib"]))
}

/// First of all: nobody shall take for an illness what somebody does on purpose.
fn faults(status: &Value, colours: bool) -> String {
    match serde_json::from_value::<Vec<FaultStatus>>(status["faults"].clone()) {
        Ok(all) if !all.is_empty() => super::fault::drawn(&all, colours) + "\n",
        _ => String::new(),
    }
}

fn certificates(status: &Value, colours: bool) -> String {
    let row = |certificate: &Value| {
        let names: Vec<&str> = list(certificate, "names").iter().filter_map(Value::as_str).collect();
        let days = number(certificate, "days_left");
        let left = if days < DAYS_FEW { Style::Bad } else { Style::Plain };
        let until = format!("{} ({days} days)", text(certificate, "valid_until"));
        vec![(names.join(", "), Style::Name), (until, left)]
    };
    let rows: Vec<_> = list(status, "certificates").iter().map(row).collect();
    match rows.is_empty() {
        true => String::new(),
        false => table(colours, &["certificate", "valid until"], &rows) + "\n",
    }
}

fn services(status: &Value, colours: bool) -> String {
    let mut headings = vec![
        "service",
        "state",
        "instance",
        "address",
        "zone",
        " pid",
        " up",
        " restarts",
        " memory",
        " in flight",
    ];
    let mut rows = Vec::new();
    let mut notes = String::new();
    for service in list(status, "services") {
        let state = text(service, "state");
        let name = (text(service, "name").to_owned(), Style::Name);
        let state_cell = (state.to_owned(), state_style(state));
        let instances = list(service, "instances");
        if instances.is_empty() {
            rows.push(vec![name.clone(), state_cell.clone()]);
        }
        for (at, instance) in instances.iter().enumerate() {
            let first = at == 0;
            let mut row =
                if first { vec![name.clone(), state_cell.clone()] } else { vec![plain(""), plain("")] };
            row.extend(instance_cells(status, service, instance));
            rows.push(row);
        }
        if let Some(upstream) = upstream(status, service) {
            notes.push_str(&crowd(text(service, "name"), upstream, colours));
        }
        if let Some(why) = service["why"].as_str() {
            let _ = writeln!(
                notes,
                "  {} {}: {why}",
                paint(colours, Style::Warn, "note:"),
                text(service, "name")
            );
            for line in list(service, "last_lines") {
                let _ = writeln!(notes, "      {}", line.as_str().unwrap_or(""));
            }
        }
    }
    without(&mut headings, &mut rows, ZONE);
    table(colours, &headings, &rows) + &notes
}

/// Takes a column out that says nothing.
fn without(headings: &mut Vec<&str>, rows: &mut [Vec<(String, Style)>], column: usize) {
    if rows.iter().all(|row| row.get(column).is_none_or(|cell| cell.0.is_empty())) {
        headings.remove(column);
        rows.iter_mut().filter(|row| row.len() > column).for_each(|row| drop(row.remove(column)));
    }
}

fn externals(status: &Value, colours: bool) -> String {
    let external = |upstream: &&Value| upstream["external"] == true;
    let mut rows = Vec::new();
    let mut notes = String::new();
    for upstream in list(status, "upstreams").iter().filter(external) {
        notes.push_str(&crowd(text(upstream, "name"), upstream, colours));
        let address = |instance: &Value| match text(instance, "zone") {
            "" => text(instance, "address").to_owned(),
            zone => format!("{} in {zone}", text(instance, "address")),
        };
        let addresses: Vec<String> = list(upstream, "instances").iter().map(address).collect();
        let state = match (upstream["trouble"].as_str(), addresses.is_empty()) {
            (Some(trouble), _) => (trouble.to_owned(), Style::Bad),
            (None, true) => ("looking it up".to_owned(), Style::Warn),
            (None, false) => ("resolved".to_owned(), Style::Good),
        };
        rows.push(vec![
            (text(upstream, "name").to_owned(), Style::Name),
            state,
            plain(&addresses.join(", ")),
        ]);
    }
    match rows.is_empty() {
        true => String::new(),
        false => table(colours, &["external", "state", "address"], &rows) + &notes,
    }
}

/// How the data plane sees a service.
fn upstream<'v>(status: &'v Value, service: &Value) -> Option<&'v Value> {
    list(status, "upstreams").iter().find(|upstream| upstream["name"] == service["name"])
}

fn instance_cells(status: &Value, service: &Value, instance: &Value) -> Vec<(String, Style)> {
    let id = text(instance, "id");
    let state = text(instance, "state");
    let pid = instance["pid"].as_u64();
    let shown = if state == "ready" { id.to_owned() } else { format!("{id} ({state})") };
    let published = upstream(status, service)
        .and_then(|upstream| list(upstream, "instances").iter().find(|one| one["id"] == id));
    vec![
        (shown, state_style(state)),
        plain(instance["address"].as_str().unwrap_or("")),
        plain(text(instance, "zone")),
        plain(&pid.map_or(String::new(), |pid| pid.to_string())),
        plain(&pid.map_or(String::new(), |_| time(Duration::from_millis(number(instance, "uptime_ms"))))),
        plain(&number(instance, "restarts").to_string()),
        plain(&mib(&instance["rss_kib"])),
        plain(&published.map_or(String::new(), |one| number(one, "in_flight").to_string())),
    ]
}

fn calls(status: &Value, colours: bool) -> String {
    let mut headings = vec![
        "call",
        " share",
        " requests",
        " failed",
        " retries",
        " denied",
        " fallback",
        " refused",
        "breaker",
        " opened",
        " p50",
        " p99",
    ];
    let mut rows = Vec::new();
    let mut notes = String::new();
    for call in list(status, "calls") {
        for out in list(call, "ejected") {
            let left = time(Duration::from_millis(number(out, "remaining_ms")));
            let note = format!("{} is ejected for another {left}", text(out, "instance"));
            let _ =
                writeln!(notes, "  {} {}: {note}", paint(colours, Style::Warn, "note:"), text(call, "call"));
        }
        if let "forced-open" | "forced-closed" = text(call, "breaker") {
            let name = text(call, "call");
            let note = format!("by hand; `colony breaker \"{name}\" auto` leaves the breaker to itself");
            let _ = writeln!(
                notes,
                "  {} {name}: {} {note}",
                paint(colours, Style::Warn, "note:"),
                text(call, "breaker")
            );
        }
        notes.push_str(&crowd(text(call, "call"), call, colours));
        if let over @ 1.. = number(call, "limited_shadow") {
            let note = format!("{over} requests over a limit that only counts (`shadow`)");
            let _ =
                writeln!(notes, "  {} {}: {note}", paint(colours, Style::Warn, "note:"), text(call, "call"));
        }
        notes.push_str(&spilt(call, colours));
        notes.push_str(&late(call, colours));
        notes.push_str(&hedged(call, colours));
        let requests = number(call, "requests");
        let refused = number(call, "limited")
            + number(call, "rejected")
            + number(call, "overloaded")
            + number(call, "shed");
        if requests + refused == 0 {
            continue;
        }
        let breaker = text(call, "breaker");
        let breaker_style = match breaker {
            "open" | "forced-open" => Style::Bad,
            "half-open" | "forced-closed" => Style::Warn,
            _ => Style::Plain,
        };
        let share = call["share"].as_f64();
        rows.push(vec![
            plain(text(call, "call")),
            plain(&share.map_or(String::new(), |share| format!("{} %", (share * 1e4).round() / 1e2))),
            plain(&requests.to_string()),
            counted(number(call, "failures"), Style::Bad),
            counted(number(call, "retries"), Style::Warn),
            counted(number(call, "retries_denied"), Style::Warn),
            counted(number(call, "fallbacks"), Style::Warn),
            counted(refused, Style::Warn),
            (breaker.to_owned(), breaker_style),
            counted(number(call, "breaker_opened"), Style::Warn),
            plain(&micros(number(call, "p50_us"))),
            plain(&micros(number(call, "p99_us"))),
        ]);
    }
    // Only where a call shares its requests with others.
    without(&mut headings, &mut rows, SHARE);
    match rows.is_empty() {
        true => notes,
        false => table(colours, &headings, &rows) + &notes,
    }
}

/// What is to be said of the bulkhead of a call or an upstream that is full, or was.
fn crowd(name: &str, whose: &Value, colours: bool) -> String {
    let concurrency = &whose["concurrency"];
    let [in_flight, limit, waiting, refused] =
        ["in_flight", "limit", "waiting", "refused"].map(|key| number(concurrency, key));
    if concurrency.is_null() || (refused == 0 && in_flight < limit) {
        return String::new();
    }
    let refused_of = |class: &Value| match number(class, "refused") {
        0 => None,
        refused => Some(format!("{} {refused}", text(class, "class"))),
    };
    let by_class: Vec<String> = list(concurrency, "classes").iter().filter_map(refused_of).collect();
    let by_class = if by_class.is_empty() { String::new() } else { format!(" ({})", by_class.join(", ")) };
    format!(
        "  {} {name}: {in_flight} of {limit} requests in flight, {waiting} waiting, {refused} refused so far{by_class}\n",
        paint(colours, Style::Warn, "note:"),
    )
}

/// What is to be said of requests that were sent once more beside their first try.
fn hedged(call: &Value, colours: bool) -> String {
    match (number(call, "hedges"), number(call, "hedges_won")) {
        (0, _) => String::new(),
        (hedges, won) => format!(
            "  {} {}: {hedges} hedges, {won} of them answered first\n",
            paint(colours, Style::Dim, "note:"),
            text(call, "call"),
        ),
    }
}

/// What is to be said of requests that leave the zone of the node, or left it.
fn spilt(call: &Value, colours: bool) -> String {
    let zone = &call["zone"];
    let whole = zone["share"] == 1.0;
    if zone.is_null() || (whole && number(zone, "elsewhere") == 0) {
        return String::new();
    }
    let stay = match zone["share"].as_f64() {
        None => "no zone is preferred".to_owned(),
        Some(share) => format!("{}% of its requests stay there", (share * 1e3).round() / 10.0),
    };
    format!(
        "  {} {}: {} of {} in {} are well, so {stay}; {} tries went elsewhere so far\n",
        paint(colours, if whole { Style::Dim } else { Style::Warn }, "note:"),
        text(call, "call"),
        number(zone, "well"),
        number(zone, "all"),
        text(zone, "own"),
        number(zone, "elsewhere"),
    )
}

/// What is to be said of requests that came too late.
fn late(call: &Value, colours: bool) -> String {
    match number(call, "expired") {
        0 => String::new(),
        expired => format!(
            "  {} {}: {expired} not sent, for their caller's deadline was over\n",
            paint(colours, Style::Warn, "note:"),
            text(call, "call"),
        ),
    }
}

fn state_style(state: &str) -> Style {
    match state {
        "ready" => Style::Good,
        "crash-loop" | "failed" => Style::Bad,
        "stopped" => Style::Dim,
        _ => Style::Warn,
    }
}

fn counted(count: u64, style: Style) -> (String, Style) {
    (count.to_string(), if count == 0 { Style::Dim } else { style })
}

fn plain(text: &str) -> (String, Style) {
    (text.to_owned(), Style::Plain)
}

fn micros(us: u64) -> String {
    match us {
        0..1000 => format!("{us} us"),
        1000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

fn mib(kib: &Value) -> String {
    kib.as_u64().map_or(String::new(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or("")
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_lost_is_said_and_what_is_well_is_not() {
        assert_eq!(durable(&json!({ "durable": null }), false), "");
        assert_eq!(
            durable(&json!({ "durable": { "payloads_lost": 0, "payloads_unreadable": 0 } }), false),
            ""
        );
        let told = durable(&json!({ "durable": { "payloads_lost": 2, "payloads_unreadable": 1 } }), false);
        assert!(told.contains("data: 2 times") && told.contains("colony data verify"), "{told}");
        assert!(told.contains("data: 1 times the disk could not read"), "{told}");
    }

    #[test]
    fn what_is_sent_to_a_collector_is_said_with_what_keeps_it() {
        assert_eq!(otlp(&json!({ "otlp": { "to": [], "sent": null } }), false), "");
        let mut sent = json!({ "spans": 5, "logs": 2, "points": 9, "refused": 0, "dropped": 0, "waiting_bytes": 0, "trouble": null });
        let told = |sent: &Value| otlp(&json!({ "otlp": { "to": ["http://c:4317"], "sent": sent } }), false);
        let well = "\n  otlp: to http://c:4317: 5 spans, 2 log records and 9 metric points have arrived\n";
        assert_eq!(told(&sent), well);
        sent["trouble"] = "connection refused".into();
        sent["waiting_bytes"] = 4096.into();
        sent["dropped"] = 3.into();
        let ill = told(&sent);
        assert!(ill.contains("nothing arrives there: connection refused"), "{ill}");
        assert!(ill.contains("3 were given up, for there was no room"), "{ill}");
    }
}
