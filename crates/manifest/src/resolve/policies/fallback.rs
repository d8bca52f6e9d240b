//! What stands in for a call that failed: never itself, and never its caller.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::http;
use crate::resolve::defaults;
use crate::resolve::names::Names;
use crate::resolve::policies::{Call, contradiction};
use crate::typed::{self, At};
use crate::valid::{self};

pub(super) fn resolve(
    options: &typed::Fallback,
    call: &Call,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::Fallback> {
    if let Some(to) = options.to.get() {
        refuse_answer_beside_to(options, to.span, found);
        let to = At { value: to.value.0.clone(), span: to.span, secret: to.secret };
        return fallback_to(&to, call, names, found).map(valid::Fallback::To);
    }
    if options.to.is_broken() {
        return None;
    }
    if options.status.key().or(options.body.key()).is_none() {
        found.push(
            Diagnostic::error(codes::MISSING_KEY, options.head, "`fallback` does not say what answers")
                .label("every failure would be a 200 with nothing in it")
                .help("give an answer with `status` and `body`, name a service with `to`, or write `fallback: none`"),
        );
        return None;
    }
    let body = options.body.value().map_or_else(String::new, |body| body.0.clone());
    refuse_body_of_nothing(options, found);
    let content_type = match options.content_type.get() {
        Some(given) => content_type(given, found)?,
        None if serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok() => "application/json".to_owned(),
        None => "text/plain; charset=utf-8".to_owned(),
    };
    let status = options.status.value().map_or(defaults::FALLBACK_STATUS, |status| status.0);
    Some(valid::Fallback::Static { status, body, content_type })
}

/// These statuses end with the head (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5).
fn refuse_body_of_nothing(options: &typed::Fallback, found: &mut Vec<Diagnostic>) {
    if let (Some(status), Some(body)) = (options.status.get(), options.body.get())
        && matches!(status.value.0, 204 | 205 | 304)
        && !body.value.0.is_empty()
    {
        found.push(
            contradiction(body.span, format!("an answer of status {} has no body", status.value.0))
                .label("nobody would get this")
                .also(status.span, "with this status")
                .help("leave `body` out, or answer another status, such as 200"),
        );
    }
}

fn refuse_answer_beside_to(options: &typed::Fallback, to: Span, found: &mut Vec<Diagnostic>) {
    let keys = [
        (options.status.key(), "status"),
        (options.body.key(), "body"),
        (options.content_type.key(), "content-type"),
    ];
    for (key, name) in keys {
        if let Some(key) = key {
            let message = format!("`{name}` and `to` cannot both answer");
            found.push(
                contradiction(key, message)
                    .label("a fixed answer")
                    .also(to, "another service's answer")
                    .help("a fallback is either a fixed answer or another service"),
            );
        }
    }
}

fn fallback_to(to: &At<String>, call: &Call, names: &Names, found: &mut Vec<Diagnostic>) -> Option<String> {
    if to.value == call.to {
        let message = format!("the fallback of `{0}` is `{0}` itself", to.value);
        found.push(
            Diagnostic::error(codes::FALLBACK_LOOP, to.span, message)
                .label("this has just failed")
                .help("name another service, or give a fixed answer with `status` and `body`"),
        );
        return None;
    }
    if call.caller == Some(to.value.as_str()) {
        let message = format!("`{}` would answer its own call", to.value);
        found.push(
            Diagnostic::error(codes::FALLBACK_LOOP, to.span, message)
                .label("this is the caller")
                .help("name another service, or give a fixed answer with `status` and `body`"),
        );
        return None;
    }
    names.require(to, "fall back to", found);
    Some(to.value.clone())
}

fn content_type(given: &At<typed::Text>, found: &mut Vec<Diagnostic>) -> Option<String> {
    match http::header_value(&given.value.0) {
        Ok(value) => Some(value),
        Err(wrong) => {
            found.push(Diagnostic::error(codes::HEADER, given.span, wrong.message));
            None
        }
    }
}
