//! The page's files, as they are in `assets`.
//!
//! They lie under an address with their [`VERSION`] in it, so that a browser may keep them: what is there never changes. The shell,
//! which is asked for each time, leads to those of its version, and names all modules that its page begins with: a browser asks
//! for them at once rather than finding one in the other.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use crate::problem::Problem;

/// What is shown to who has no session.
pub(crate) const LOCKED: &str = include_str!("../assets/locked.html");
const SHELL: &str = include_str!("../assets/index.html");
/// The module that every page begins with, and the page that is shown where none is named.
const FIRST: &str = "app.js";
const USUAL: &str = "map";

/// The frame of a page: that of the first part of this path.
pub(crate) fn shell(path: &str) -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], shell_of(path)).into_response()
}

fn shell_of(path: &str) -> String {
    let page = path.split('/').find(|part| !part.is_empty()).unwrap_or(USUAL);
    let wanted = modules(&[FIRST, &format!("{page}.js")]);
    let wanted =
        wanted.into_iter().map(|name| format!("  <link rel=\"modulepreload\" href=\"/assets/{name}\">\n"));
    let html = SHELL.replacen("  <script", &format!("{}  <script", wanted.collect::<String>()), 1);
    html.replace("/assets/", &format!("/assets/{}/", *VERSION))
}

/// A file.
pub(crate) async fn file(Path((version, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let text = text(&name).filter(|_| version == *VERSION);
    let text =
        text.ok_or_else(|| Problem::not_found(format!("there is no file {name} of version {version}")))?;
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Of all files together: FNV-1a, 64 bits, in hexadecimal.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let bytes = FILES.iter().flat_map(|(name, text)| name.bytes().chain([0]).chain(text.bytes()).chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
});

/// These modules and all that they import, each once; those that are none are left out.
fn modules(first: &[&str]) -> Vec<&'static str> {
    let known = |name: &str| FILES.iter().find(|(known, _)| *known == name);
    let mut found: Vec<&(&str, &str)> = first.iter().filter_map(|name| known(name)).collect();
    let mut at = 0;
    while let Some((_, text)) = found.get(at).copied() {
        for import in imports(text).filter_map(known) {
            if !found.contains(&import) {
                found.push(import);
            }
        }
        at += 1;
    }
    found.into_iter().map(|(name, _)| *name).collect()
}

/// What a module imports before it begins: each import is a line of its own.
fn imports(module: &str) -> impl Iterator<Item = &str> {
    let lines = module.lines().filter(|line| line.starts_with("import "));
    lines.filter_map(|line| Some(line.split_once("'./")?.1.split_once('\'')?.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_names_what_its_page_begins_with_and_nothing_of_other_pages() {
        let html = shell_of("/traces/0af7651916cd43dd8448eb211c80319c");
        let of = |name: &str| html.contains(&format!("href=\"/assets/{}/{name}\"", *VERSION));
        for name in ["app.js", "router.js", "traces.js", "waterfall.js", "spans.js", "app.css"] {
            assert!(of(name), "{name}: {html}");
        }
        assert!(!of("map.js") && !of("graphs.js"), "{html}");
        assert_eq!(html.matches("modulepreload").count(), modules(&[FIRST, "traces.js"]).len());
        assert!(shell_of("/").contains("/map.js") && shell_of("/nothing").contains("/app.js"));
    }

    #[test]
    fn every_file_that_is_imported_is_served() {
        for (name, text) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            let all = text.matches("from './").count() + text.matches("import './").count();
            assert_eq!(imports(text).count(), all, "{name} imports in lines of their own");
            for import in imports(text) {
                assert!(super::text(import).is_some(), "{name} imports {import}");
            }
        }
    }

    #[tokio::test]
    async fn a_file_is_served_under_the_version_that_is_ours() {
        let ask = |version: &str, name: &str| file(Path((version.to_owned(), name.to_owned())));
        assert!(ask(&VERSION, "app.js").await.is_ok());
        assert!(ask("0123456789abcdef", "app.js").await.is_err());
        assert!(ask(&VERSION, "index.html").await.is_err());
    }
}
