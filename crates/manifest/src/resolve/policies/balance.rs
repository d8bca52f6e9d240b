//! How an instance is chosen, and what of a request a hashing rule looks at.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::resolve::defaults;
use crate::resolve::policies::{Call, contradiction};
use crate::typed::{self, BalanceWord, Field, PathPart};
use crate::valid::{Balance, HashKey, SlowStart, ZonePreference};

pub(super) fn resolve(field: &Field<typed::Balance>, call: &Call, found: &mut Vec<Diagnostic>) -> Balance {
    let Some(given) = field.get() else { return Balance::P2cEwma };
    match &given.value {
        typed::Balance::Word(word) => of_word(*word, given.span, found),
        typed::Balance::Options(options) => of_options(options, call, found),
    }
    .unwrap_or(Balance::P2cEwma)
}

fn of_word(word: BalanceWord, span: Span, found: &mut Vec<Diagnostic>) -> Option<Balance> {
    match word {
        BalanceWord::P2cEwma => Some(Balance::P2cEwma),
        BalanceWord::RoundRobin => Some(Balance::RoundRobin),
        BalanceWord::Random => Some(Balance::Random),
        BalanceWord::LeastRequest => Some(Balance::LeastRequest { choices: defaults::CHOICES }),
        BalanceWord::RingHash | BalanceWord::Maglev => {
            found.push(nothing_to_hash(word, span));
            None
        }
    }
}

fn nothing_to_hash(word: BalanceWord, span: Span) -> Diagnostic {
    let name = word.name();
    Diagnostic::error(codes::MISSING_KEY, span, format!("`{name}` does not say what it hashes"))
        .label("one of `header`, `cookie`, `segment` and `client` is missing")
        .help(format!("write, for example, {{ policy: {name}, cookie: session }}"))
}

fn of_options(options: &typed::BalanceOptions, call: &Call, found: &mut Vec<Diagnostic>) -> Option<Balance> {
    let keys = keys(&options.by);
    if options.policy.is_broken() {
        return None;
    }
    let otherwise = if keys.is_empty() { BalanceWord::P2cEwma } else { BalanceWord::Maglev };
    let word = options.policy.value().map_or(otherwise, |policy| policy.0);
    let span = options.policy.get().map_or(options.head, |at| at.span);
    warn_no_effect(options, &keys, word, found);
    let hashing: fn(HashKey) -> Balance = match word {
        BalanceWord::RingHash => Balance::RingHash,
        BalanceWord::Maglev => Balance::Maglev,
        BalanceWord::LeastRequest => {
            let choices = options.choices.value().map_or(defaults::CHOICES, typed::Int::u32);
            return Some(Balance::LeastRequest { choices });
        }
        word => return of_word(word, span, found),
    };
    match keys[..] {
        [] => {
            found.push(nothing_to_hash(word, span));
            None
        }
        [_] => key(&options.by, call, found).map(hashing),
        [(first, name), (second, other), ..] => {
            found.push(one_key(first, name, second, other));
            None
        }
    }
}

pub(crate) fn one_key(first: Span, name: &str, second: Span, other: &str) -> Diagnostic {
    contradiction(second, format!("one thing is hashed, either `{name}` or `{other}`"))
        .label("this")
        .also(first, "or this")
        .help("keep one of them")
}

/// The keys that say what is hashed, where they are given.
pub(crate) fn keys(options: &typed::HashOptions) -> Vec<(Span, &'static str)> {
    let client = options.client.value().is_none_or(|client| client.0);
    let keys = [
        (options.header.key(), "header"),
        (options.cookie.key(), "cookie"),
        (options.segment.key(), "segment"),
        (options.client.key().filter(|_| client), "client"),
    ];
    keys.into_iter().filter_map(|(key, name)| Some((key?, name))).collect()
}

fn warn_no_effect(
    options: &typed::BalanceOptions,
    keys: &[(Span, &'static str)],
    word: BalanceWord,
    found: &mut Vec<Diagnostic>,
) {
    let mut warn = |key: Option<Span>, message: String, why: &str| {
        found.extend(key.map(|key| Diagnostic::warning(codes::NO_EFFECT, key, message).label(why)));
    };
    if word != BalanceWord::LeastRequest {
        let message = format!("`choices` has no effect with `{}`", word.name());
        warn(options.choices.key(), message, "only `least-request` looks at so many");
    }
    if !matches!(word, BalanceWord::RingHash | BalanceWord::Maglev) {
        for (key, name) in keys {
            let message = format!("`{name}` has no effect with `{}`", word.name());
            warn(Some(*key), message, "only `ring-hash` and `maglev` hash something");
        }
    }
    warn_ttl(&options.by, found);
}

pub(crate) fn warn_ttl(options: &typed::HashOptions, found: &mut Vec<Diagnostic>) {
    if let (Some(key), true) = (options.ttl.key(), options.cookie.is_absent()) {
        let one = Diagnostic::warning(codes::NO_EFFECT, key, "`ttl` has no effect without `cookie`");
        found.push(one.label("nobody is given one"));
    }
}

/// What is hashed. None: it is broken.
pub(crate) fn key(options: &typed::HashOptions, call: &Call, found: &mut Vec<Diagnostic>) -> Option<HashKey> {
    if let Some(header) = options.header.get() {
        return Some(HashKey::Header(header.value.0.clone()));
    }
    if let Some(cookie) = options.cookie.get() {
        let ttl = options.ttl.value().map(|ttl| ttl.0);
        return Some(HashKey::Cookie { name: cookie.value.0.clone(), ttl });
    }
    if let Some(part) = options.segment.get() {
        return segment(&part.value.0, part.span, call, found).map(HashKey::Segment);
    }
    let client = options.client.get()?;
    if call.caller.is_some() {
        found.push(
            Diagnostic::warning(
                codes::NO_EFFECT,
                client.span,
                "`client` has no effect on a call: they all come from one service",
            )
            .label("every request goes to the same instance")
            .help("hash a `header`, a `cookie` or a `segment` of the path"),
        );
    }
    Some(HashKey::Client)
}

/// How many segments come before the one that is meant.
fn segment(part: &PathPart, span: Span, call: &Call, found: &mut Vec<Diagnostic>) -> Option<usize> {
    let name = match part {
        PathPart::Nth(nth) => return Some(nth - 1),
        PathPart::Named(name) => name,
    };
    let at = call.captures.iter().position(|captured| captured.as_ref() == Some(name));
    if at.is_none() {
        let one = contradiction(span, format!("there is no `{{{name}}}` in the path"));
        let known: Vec<String> = call.captures.iter().flatten().map(|name| format!("`{{{name}}}`")).collect();
        found.push(match (call.caller, known.is_empty()) {
            (Some(_), _) => one
                .label("a call has no path pattern")
                .help("write its number: `segment: 2` is the second segment"),
            (None, true) => one
                .label("no segment has a name")
                .help("name one, `path: /carts/{cart}/**`, or write its number: `segment: 2`"),
            (None, false) => one.label(format!("the path names {}", known.join(", "))),
        });
    }
    at
}

/// How much the own zone is preferred.
pub(super) fn zone_preference(options: &typed::ZoneOptions) -> ZonePreference {
    let mut valid = defaults::zone_preference();
    super::set(&mut valid.percent, &options.factor, |factor| factor.0);
    valid
}

/// How a newcomer starts.
pub(super) fn slow_start(
    field: &Field<typed::OrNone<typed::SlowStart>>,
    balance: &Balance,
    found: &mut Vec<Diagnostic>,
) -> Option<SlowStart> {
    let given = field.value()?.some()?;
    if let (Balance::RingHash(_) | Balance::Maglev(_), Some(key)) = (balance, field.key()) {
        found.push(
            Diagnostic::warning(
                codes::NO_EFFECT,
                key,
                format!("`slow-start` has next to no effect with `{}`", balance.name()),
            )
            .label("a key has its place from the first request on")
            .help("leave it out, or balance by load"),
        );
    }
    let options = match given {
        typed::SlowStart::Window(window) => return Some(defaults::slow_start(*window)),
        typed::SlowStart::Options(options) => options,
    };
    let mut valid = defaults::slow_start(options.window.value()?.0);
    super::set(&mut valid.aggression, &options.aggression, |factor| factor.0);
    super::set(&mut valid.min, &options.min, |share| share.0);
    Some(valid)
}
