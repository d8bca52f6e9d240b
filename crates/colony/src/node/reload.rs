//! A changed manifest taken on while everything runs.
//!
//! In an order that leaves no request without somebody to answer it: first the data plane learns
//! of new listeners and upstreams beside all it has; then the supervisor starts, rolls and scales;
//! then, if that went well, the data plane lets go of what is no more, and routes change. What resources declare is taken on by
//! the application API of each instance, which goes on meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use manifest::valid;
use mesh::config::Tls;
use mesh::{ForceEnd, LostForce};
use serde_json::{Value, json};
use supervisor::{Applied, Change};

use super::apis::Settings;
use super::{Node, explain_apply, recording};
use crate::failure::Failure;
use crate::terminal::{Style, paint};
use crate::{lower, tls};

impl Node {
    /// Reads the manifest again and applies it; returns what was done as JSON, see [`render`].
    pub(crate) async fn reload(&self) -> Value {
        let _one = self.reloading.lock().await;
        let files = self.source.read().map(|input| manifest::masked(&input)).unwrap_or_default();
        let checked = match self.source.check() {
            Ok(checked) => checked,
            Err(failure) => return json!({ "applied": false, "errors": [failure.message] }),
        };
        let found = &checked.diagnostics;
        let Some(manifest) = checked.manifest else {
            return json!({
                "applied": false,
                "diagnostics": found.to_json(),
                "drawn": found.render(100, false),
            });
        };
        let (mut changes, plane_before) = {
            let current = self.current();
            (changes(&current.manifest, &manifest), current.plane.clone())
        };
        let (tls, kept) = match self.certificates_for(&manifest) {
            Ok(tls) => tls,
            Err(failure) => return json!({ "applied": false, "errors": [failure.message] }),
        };
        let settings = match Settings::of(&self.source, &manifest) {
            Ok(settings) => settings,
            Err(failure) => return json!({ "applied": false, "errors": [failure.message] }),
        };
        let plane = lower::mesh(&manifest, tls);
        let both = both(&plane_before, &plane);
        let mut lost = match self.mesh.apply(both.clone()).await {
            Ok(lost) => lost,
            Err(error) => return json!({ "applied": false, "errors": [explain_apply(&error).message] }),
        };
        let declared = self.apis.renew(settings);
        changes.extend(declared.iter().map(|what| json!({ "kind": "changed", "what": what, "detail": "" })));
        let services =
            lower::services(&manifest, self.otlp.endpoint(), |listener| self.mesh.address(listener));
        let applied = self.supervisor.apply(services).await;
        let mut errors: Vec<String> =
            applied.iter().filter_map(|one| one.error.as_ref()).map(|error| error.to_string()).collect();
        let done = errors.is_empty();
        if done {
            match self.mesh.apply(plane.clone()).await {
                Ok(more) => lost.extend(more),
                Err(error) => errors.push(explain_apply(&error).message),
            }
        } else {
            errors.push("the routes stay as they were".to_owned());
        }
        let forces = lost.iter().map(force_ended);
        let later = self.send_telemetry(&manifest).await;
        let notes = kept.into_iter().chain(self.tell_ended_faults()).chain(forces).chain(later);
        let notes: Vec<String> = notes.collect();
        let services: Vec<&Applied> = applied.iter().filter(|one| one.change != Change::Unchanged).collect();
        self.printer.renamed(&manifest);
        self.mesh.record(recording(&manifest, &self.telemetry));
        let mut current = self.current();
        current.plane = if done { plane } else { both };
        if done {
            current.manifest = manifest;
            current.files = files;
        }
        json!({
            "applied": errors.is_empty(),
            "changes": changes,
            "services": services,
            "errors": errors,
            "warnings": found.warnings(),
            "notes": notes,
        })
    }

    /// Sends telemetry where the manifest says now; what of it is not so now, and why.
    async fn send_telemetry(&self, manifest: &valid::Manifest) -> Vec<String> {
        let mut notes = Vec::new();
        let sent = match super::collector(manifest) {
            Ok(collector) => self.otlp.send_to(collector).await,
            Err(failure) => Err(failure),
        };
        notes.extend(sent.err().map(|failure| format!("telemetry is sent as before: {}", failure.message)));
        let (now, wanted) = (&self.current().manifest.telemetry, &manifest.telemetry);
        for (key, differs) in [("window", now.window != wanted.window), ("otlp", now.otlp != wanted.otlp)] {
            if differs {
                notes.push(format!("`telemetry.{key}` counts from the next start of the node"));
            }
        }
        notes
    }

    /// What the gateway shall show its clients. Where only the files have gone bad, what it shows now,
    /// and why: a change elsewhere need not wait for them.
    fn certificates_for(&self, manifest: &valid::Manifest) -> Result<(Option<Tls>, Option<String>), Failure> {
        let wanted = |manifest: &valid::Manifest| manifest.gateway.as_ref().and_then(|one| one.tls.clone());
        let same_dev = self.is_dev() && tls::hosts(manifest) == tls::hosts(&self.current().manifest);
        if same_dev && wanted(manifest) == Some(valid::Tls::Dev) {
            return Ok((self.tls(), None));
        }
        match tls::load(manifest) {
            Ok(tls) => Ok((tls, None)),
            Err(failure) if wanted(manifest) == wanted(&self.current().manifest) => {
                let kept = format!("{}; the certificates stay as they were", failure.message);
                Ok((self.tls(), Some(kept)))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// How two manifests differ.
pub(super) fn changes(before: &valid::Manifest, after: &valid::Manifest) -> Vec<Value> {
    let changes = manifest::diff(before, after);
    let told = |change: &manifest::Change| json!({ "kind": kind(change.kind), "what": change.what, "detail": change.detail });
    changes.iter().map(told).collect()
}

fn kind(kind: manifest::Kind) -> &'static str {
    match kind {
        manifest::Kind::Added => "added",
        manifest::Kind::Removed => "removed",
        manifest::Kind::Changed => "changed",
    }
}

fn force_ended(lost: &LostForce) -> String {
    let state = if lost.force == policy::Force::Open { "open" } else { "closed" };
    let why = match lost.why {
        ForceEnd::CallGone => "the call is no more",
        ForceEnd::BreakerGone => "it has `breaker: none` now",
    };
    format!("the breaker of {} is not forced {state} any more: {why}", lost.call)
}

/// Everything that `before` serves, and what `after` has besides.
fn both(before: &mesh::config::Config, after: &mesh::config::Config) -> mesh::config::Config {
    let mut listeners = after.listeners.clone();
    let mut upstreams: BTreeMap<_, _> = before.upstreams.clone();
    for (name, listener) in &before.listeners {
        listeners.insert(name.clone(), listener.clone());
    }
    upstreams.extend(after.upstreams.clone());
    mesh::config::Config { listeners, upstreams }
}

/// What a reload did, for people.
pub(crate) fn render(report: &Value, colours: bool) -> String {
    let mut out = String::new();
    if let Some(drawn) = report["drawn"].as_str() {
        out.push_str(drawn);
    }
    for change in report["changes"].as_array().into_iter().flatten() {
        let text = |key: &str| change[key].as_str().unwrap_or("");
        let (sign, style) = match text("kind") {
            "added" => ("+", Style::Good),
            "removed" => ("-", Style::Bad),
            _ => ("~", Style::Warn),
        };
        let line = format!("{}  {}", text("what"), text("detail"));
        let _ = writeln!(out, "  {} {}", paint(colours, style, sign), line.trim_end());
    }
    for note in report["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(out, "  {} {note}", paint(colours, Style::Warn, "note:"));
    }
    for error in report["errors"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(out, "  {} {error}", paint(colours, Style::Bad, "error:"));
    }
    let applied = report["applied"] == true;
    let nothing = report["changes"].as_array().is_none_or(Vec::is_empty);
    let _ = match (applied, nothing) {
        (true, true) => writeln!(out, "nothing has changed"),
        (true, false) => writeln!(out, "{}", paint(colours, Style::Good, "applied")),
        (false, _) => {
            writeln!(out, "{}", paint(colours, Style::Bad, "not applied; everything runs on as before"))
        }
    };
    out
}
