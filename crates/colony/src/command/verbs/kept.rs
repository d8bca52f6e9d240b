//! `colony state list` and `colony stream list`: what a node keeps, of all its applications, as its console tells it.

use std::path::Path;

use hyper::Method;
use serde_json::Value;

use crate::args::verbs::{ListState, ListStreams, Page};
use crate::client::{Client, part};
use crate::failure::Failure;
use crate::terminal::{self, Style};

pub(super) async fn state(args: &ListState, data: Option<&Path>) -> Result<(), Failure> {
    let told = asked("/api/state", args.store.as_deref(), args.scope.as_deref(), &args.page, data).await?;
    if args.page.json {
        return terminal::print(&format!("{told}\n"));
    }
    let (headings, rows, none) = match &args.store {
        None => (
            &["STORE", "KEPT", " ITEMS", "APPLICATIONS"][..],
            members(&told, "stores").iter().map(store).collect(),
            "nothing is kept in stores\n".to_owned(),
        ),
        Some(store) => (
            &["KEY", "SCOPE", " BYTES", " ETAG"][..],
            members(&told, "items").iter().map(item).collect(),
            format!("there are no such items in {store}\n"),
        ),
    };
    print(&told, headings, rows, none)
}

pub(super) async fn streams(args: &ListStreams, data: Option<&Path>) -> Result<(), Failure> {
    let told = asked("/api/streams", args.store.as_deref(), None, &args.page, data).await?;
    if args.page.json {
        return terminal::print(&format!("{told}\n"));
    }
    let (headings, rows, none) = match &args.store {
        None => (
            &["STORE", " EVENTS", "PROJECTION", " BEHIND"][..],
            members(&told, "stores").iter().flat_map(projections).collect(),
            "no store of streams is defined\n".to_owned(),
        ),
        Some(store) => (
            &["STREAM", " VERSION", " EVENTS", ""][..],
            members(&told, "streams").iter().map(stream).collect(),
            format!("there are no such streams in {store}\n"),
        ),
    };
    print(&told, headings, rows, none)
}

type Row = Vec<(String, Style)>;

async fn asked(
    path: &str,
    store: Option<&str>,
    scope: Option<&str>,
    page: &Page,
    data: Option<&Path>,
) -> Result<Value, Failure> {
    let limit = page.max.map(|max| max.to_string());
    let pairs = [
        ("scope", scope),
        ("prefix", Some(page.prefix.as_str()).filter(|prefix| !prefix.is_empty())),
        ("after", page.after.as_deref()),
        ("limit", limit.as_deref()),
    ];
    let query = pairs.iter().filter_map(|(name, value)| Some(format!("{name}={}", part((*value)?))));
    let path = match store {
        Some(store) => format!("{path}/{}?{}", part(store), query.collect::<Vec<_>>().join("&")),
        None => path.to_owned(),
    };
    Client::find(data).await?.call(Method::GET, &path, None).await
}

fn print(told: &Value, headings: &[&str], rows: Vec<Row>, none: String) -> Result<(), Failure> {
    let mut text = match rows.is_empty() {
        true => none,
        false => terminal::table(terminal::colours(), headings, &rows),
    };
    if let Some(next) = told["next"].as_str() {
        text.push_str(&format!("there are more: --after {next}\n"));
    }
    terminal::print(&text)
}

fn store(one: &Value) -> Row {
    let more = if one["more"] == true { "+" } else { "" };
    let apps = members(one, "apps").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    vec![
        name(one, "store"),
        plain(&one["place"]),
        (format!("{}{more}", one["items"]), Style::Plain),
        (apps, Style::Plain),
    ]
}

fn item(one: &Value) -> Row {
    vec![name(one, "key"), plain(&one["scope"]), plain(&one["bytes"]), plain(&one["etag"])]
}

/// A row for each projection, or one if there is none.
fn projections(one: &Value) -> Vec<Row> {
    let head = || vec![name(one, "store"), plain(&one["events"])];
    let all = members(one, "projections");
    match all.is_empty() {
        true => vec![head()],
        false => all
            .iter()
            .map(|each| [head(), vec![plain(&each["projection"]), plain(&each["behind"])]].concat())
            .collect(),
    }
}

fn stream(one: &Value) -> Row {
    let life = one["life"].as_str().filter(|life| *life != "live").unwrap_or_default();
    vec![name(one, "stream"), plain(&one["version"]), plain(&one["events"]), (life.to_owned(), Style::Dim)]
}

fn name(one: &Value, member: &str) -> (String, Style) {
    (one[member].as_str().unwrap_or_default().to_owned(), Style::Name)
}

fn plain(value: &Value) -> (String, Style) {
    (value.as_str().map_or_else(|| value.to_string(), str::to_owned), Style::Plain)
}

fn members<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}
