//! The page's files, as they are in `assets`.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::problem::Problem;

/// What is shown to who has no session.
pub(crate) const LOCKED: &str = include_str!("../assets/locked.html");
const SHELL: &str = include_str!("../assets/index.html");

/// The frame of every page; which of them it is, the address says.
pub(crate) async fn shell() -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], SHELL).into_response()
}

/// A file.
pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| Problem::not_found(format!("there is no file {name}")))?;
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    Ok(([(CONTENT_TYPE, kind)], *text).into_response())
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../assets/", $name)))),*]
    };
}

/// All files by name; one that is not in this list is not served.
const FILES: &[(&str, &str)] = &files![
    "amiss.js",
    "app.css",
    "app.js",
    "ask.js",
    "asked.js",
    "break.js",
    "cells.js",
    "chart.js",
    "compare.js",
    "curves.js",
    "dom.js",
    "drawn.js",
    "format.js",
    "frame.js",
    "graphs.js",
    "heat.js",
    "json.js",
    "listing.js",
    "logs.js",
    "manifest.js",
    "map.js",
    "mark.svg",
    "messages.js",
    "net.js",
    "nowhere.js",
    "plot.js",
    "policies.js",
    "range.js",
    "records.js",
    "router.js",
    "rows.js",
    "say.js",
    "scale.js",
    "search.js",
    "services.js",
    "slos.js",
    "spans.js",
    "stack.js",
    "state.js",
    "store.js",
    "streams.js",
    "tail.js",
    "time.js",
    "traces.js",
    "waterfall.js",
    "wires.js",
];
