//! The nearest valid name for a mistyped one.

/// The candidate that `name` was most likely meant to be, if one is near enough to ask.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = normal(name);
    let scored = candidates.into_iter().map(|candidate| {
        let distance = strsim::damerau_levenshtein(&plain, &normal(candidate));
        let prefix = plain.len() >= PREFIX_CHARS_MIN && normal(candidate).starts_with(&plain);
        (if prefix { distance.min(1) } else { distance }, candidate)
    });
    let longest = name.chars().count();
    scored.filter(|(distance, _)| *distance <= allowed(longest)).min().map(|(_, candidate)| candidate)
}

/// One typing error in a short name, one in three letters in a long one.
fn allowed(chars: usize) -> usize {
    match chars {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    }
}

/// `maxConns`, `max_conns` and `Max-Conns` are the same slip.
fn normal(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.chars().enumerate() {
        if c.is_uppercase() && at > 0 && !out.ends_with('-') && name.chars().any(char::is_lowercase) {
            out.push('-');
        }
        out.extend(if matches!(c, '_' | ' ' | '.') { '-' } else { c }.to_lowercase());
    }
    out
}

/// Words that other systems use for a key, and the key.
pub(crate) fn synonym(name: &str) -> Option<&'static str> {
    let plain = normal(name);
    SYNONYMS.iter().find(|(theirs, _)| *theirs == plain).map(|(_, ours)| *ours)
}

/// "`a`, `b` and `c`".
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    words(&quoted(names))
}

/// "`a`, `b` or `c`", of which one is to be written.
pub(crate) fn choice<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(&quoted(names), "or")
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(|name| format!("`{name}`")).collect()
}

/// "a route, a call and a probe".
pub(crate) fn words<S: AsRef<str>>(words: &[S]) -> String {
    joined(words, "and")
}

fn joined<S: AsRef<str>>(words: &[S], last_by: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} {last_by} {last}", rest.join(", ")),
    }
}

/// A name this long that begins a candidate is taken for it.
const PREFIX_CHARS_MIN: usize = 4;

const SYNONYMS: [(&str, &str); 40] = [
    ("command", "run"),
    ("cmd", "run"),
    ("exec", "run"),
    ("start", "run"),
    ("entrypoint", "run"),
    ("address", "url"),
    ("upstream", "url"),
    ("endpoint", "url"),
    ("replicas", "scale"),
    ("instances", "scale"),
    ("count", "scale"),
    ("environment", "env"),
    ("depends-on", "after"),
    ("needs", "after"),
    ("requires", "after"),
    ("dependencies", "calls"),
    ("upstreams", "calls"),
    ("readiness", "ready"),
    ("readiness-probe", "ready"),
    ("healthcheck", "ready"),
    ("health", "ready"),
    ("liveness", "live"),
    ("liveness-probe", "live"),
    ("cwd", "dir"),
    ("working-dir", "dir"),
    ("workdir", "dir"),
    ("directory", "dir"),
    ("grace-period", "grace"),
    ("stop-grace-period", "grace"),
    ("service", "to"),
    ("target", "to"),
    ("backend", "to"),
    ("prefix", "path"),
    ("method", "methods"),
    ("rate-limit", "limit"),
    ("circuit-breaker", "breaker"),
    ("outlier-detection", "ejection"),
    ("retry", "retries"),
    ("bind", "listen"),
    ("interval", "every"),
];
