//! Where requests go: to one service or external, or shared by several.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::resolve::names::Names;
use crate::resolve::policies::{Call, balance, contradiction};
use crate::resolve::{defaults, headers};
use crate::typed::{self, Amount, At, Destination, Field, WHOLE};
use crate::units::show_percentage;
use crate::valid::{HashKey, Side, Split};
use crate::yaml::clip;

/// The first side, and how it shares with the others if there are any. `role` is what a side is there
/// for, "route to". None: it could not be read.
pub(crate) fn resolve(
    to: &At<Destination>,
    sticky: &Field<typed::Sticky>,
    role: &str,
    call: &Call,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<(String, Option<Split>)> {
    let given = match &to.value {
        Destination::Name(name) => {
            let name = At { value: name.clone(), span: to.span, secret: to.secret };
            names.require(&name, role, found);
            refuse_caller(&name, call, found);
            warn_alone(sticky, found);
            return Some((name.value, None));
        }
        Destination::Sides(sides) => &sides.0,
    };
    let read: Vec<Option<Read>> =
        given.iter().map(|(name, field)| side(name, field, role, call, names, found)).collect();
    let sides = read.into_iter().collect::<Option<Vec<Read>>>()?;
    let Some(first) = sides.first().map(|side| side.name.value.clone()) else {
        let one = Diagnostic::error(codes::MISSING_KEY, to.span, "`to` names nobody");
        found.push(
            one.label("a service or external at least").help("write { catalog: 90%, catalog-v2: 10% }"),
        );
        return None;
    };
    let weights = weights(to.span, &sides, found)?;
    if sides.len() == 1 {
        warn_alone(sticky, found);
        return Some((first, None));
    }
    let sides = sides.into_iter().zip(weights);
    let sides = sides.map(|(side, weight)| Side { to: side.name.value, weight, when: side.when }).collect();
    Some((first, Some(Split { sides, sticky: self::sticky(sticky, call, found) })))
}

/// A side as it was read.
struct Read {
    name: At<String>,
    /// None: only headers send requests there.
    part: Option<Amount>,
    /// Where that is written.
    span: Span,
    when: Vec<Vec<(String, String)>>,
}

fn side(
    name: &At<String>,
    field: &Field<typed::Side>,
    role: &str,
    call: &Call,
    names: &Names,
    found: &mut Vec<Diagnostic>,
) -> Option<Read> {
    names.require(name, role, found);
    refuse_caller(name, call, found);
    let given = field.get()?;
    let (part, span, when) = match &given.value {
        typed::Side::Weight(part) => (Some(*part), given.span, Vec::new()),
        typed::Side::Options(options) => {
            if options.weight.is_broken() || options.when.is_broken() {
                return None;
            }
            let weight = options.weight.get();
            let when = options.when.value().map_or(&[][..], |when| when.0.as_slice());
            let when = when.iter().map(|all| self::when(all, found)).collect::<Option<Vec<_>>>()?;
            if weight.is_none() && when.is_empty() {
                let message = format!("nothing says what `{}` gets", clip(&name.value));
                found.push(
                    Diagnostic::error(codes::MISSING_KEY, options.head, message)
                        .label("neither `weight` nor `when`")
                        .help("write a share, `10%`, or `{ when: { x-beta: \"yes\" } }`"),
                );
                return None;
            }
            (weight.map(|at| at.value.0), weight.map_or(options.head, |at| at.span), when)
        }
    };
    Some(Read { name: name.clone(), part, span, when })
}

fn refuse_caller(name: &At<String>, call: &Call, found: &mut Vec<Diagnostic>) {
    if call.caller == Some(name.value.as_str()) {
        let message = format!("`{}` would get its own call", clip(&name.value));
        let one = Diagnostic::error(codes::SELF_REFERENCE, name.span, message);
        found.push(one.label("this is the caller").help("name another service"));
    }
}

/// Headers in lower case with their values. None if one is wrong.
fn when(
    all: &At<typed::Map<typed::AsWritten>>,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<(String, String)>> {
    if all.value.0.is_empty() {
        let one = contradiction(all.span, "this `when` is every request's").label("no header is named");
        found.push(one.help("name headers with their values: `when: { x-beta: \"yes\" }`"));
        return None;
    }
    headers(&all.value, found)
}

/// The weights, which all are of one kind. None if they are not, or do not make a whole.
fn weights(span: Span, sides: &[Read], found: &mut Vec<Diagnostic>) -> Option<Vec<u64>> {
    let of_all = |side: &&Read| matches!(side.part, Some(Amount::OfAll(_)));
    let relative = |side: &&Read| matches!(side.part, Some(Amount::Relative(_)));
    let (percent, number) = (sides.iter().find(of_all), sides.iter().find(relative));
    if let (Some(percent), Some(number)) = (percent, number) {
        found.push(
            contradiction(number.span, "a split has either percentages or whole numbers")
                .label("a number that is weighed against others")
                .also(percent.span, "a part of all")
                .help(
                    "write percentages that add up to 100%, or whole numbers: { catalog: 9, catalog-v2: 1 }",
                ),
        );
        return None;
    }
    let weight = |side: &Read| match side.part {
        Some(Amount::OfAll(parts) | Amount::Relative(parts)) => parts,
        None => 0,
    };
    let weights: Vec<u64> = sides.iter().map(weight).collect();
    let sum: u64 = weights.iter().sum();
    match percent {
        Some(_) if sum != WHOLE => found.push(no_whole(sides, &weights, sum)),
        None if sum == 0 => found.push(
            contradiction(span, "no side of this split gets anything").label("all weights are zero").help(
                "one at least must be more; a side with `when` gets what its headers send there besides",
            ),
        ),
        _ => return Some(weights),
    }
    None
}

/// The shares do not add up: the remedy changes the largest, which is the one that is mostly what is left.
fn no_whole(sides: &[Read], weights: &[u64], sum: u64) -> Diagnostic {
    let show = |parts: u64| show_percentage(parts as f64 / WHOLE as f64);
    let largest = (0..sides.len()).rev().max_by_key(|side| weights[*side]).unwrap_or(0);
    let message = format!("the shares add up to {}, not to 100%", show(sum));
    let others = sum - weights[largest];
    let one = contradiction(sides[largest].span, message);
    let one = match others < WHOLE {
        true => one.label(format!("with the others as they are, this is {}", show(WHOLE - others))),
        false => one,
    };
    let others = sides.iter().enumerate().filter(|(at, side)| *at != largest && side.part.is_some());
    others
        .fold(one, |one, (_, side)| one.also(side.span, "and this"))
        .help("whole numbers need not add up: { catalog: 9, catalog-v2: 1 }")
}

fn sticky(field: &Field<typed::Sticky>, call: &Call, found: &mut Vec<Diagnostic>) -> Option<HashKey> {
    let given = field.get()?;
    let (what, key) = match &given.value {
        typed::Sticky::Cookie => ("cookie", defaults::sticky_cookie()),
        typed::Sticky::Client => ("client", HashKey::Client),
        typed::Sticky::Options(options) => return of_options(options, given.span, call, found),
    };
    warn_call(what, given.span, call, found);
    Some(key)
}

fn of_options(
    options: &typed::HashOptions,
    span: Span,
    call: &Call,
    found: &mut Vec<Diagnostic>,
) -> Option<HashKey> {
    balance::warn_ttl(options, found);
    match balance::keys(options)[..] {
        [] => {
            let one = Diagnostic::error(codes::MISSING_KEY, span, "`sticky` does not say what keeps a user");
            found.push(
                one.label("one of `header`, `cookie`, `segment` and `client` is missing")
                    .help("write, for example, { header: x-user }, or `cookie` for one that Colony gives"),
            );
            None
        }
        [(_, "client")] => {
            warn_call("client", span, call, found);
            Some(HashKey::Client)
        }
        [_] => balance::key(options, call, found),
        [(first, name), (second, other), ..] => {
            found.push(balance::one_key(first, name, second, other));
            None
        }
    }
}

/// What tells the users of a gateway apart does not tell those of a service's call apart.
fn warn_call(what: &str, span: Span, call: &Call, found: &mut Vec<Diagnostic>) {
    if call.caller.is_some() {
        let why = match what {
            "client" => "they all come from one service",
            _ => "a service keeps no cookies",
        };
        let message = format!("`sticky: {what}` has no effect on a call: {why}");
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, span, message)
                .label("tells nobody apart")
                .help("name a header that the service sends: { header: x-user }"),
        );
    }
}

/// Nothing keeps a user where there is one side only.
pub(crate) fn warn_alone(sticky: &Field<typed::Sticky>, found: &mut Vec<Diagnostic>) {
    if let Some(key) = sticky.get().and(sticky.key()) {
        let message = "`sticky` has no effect: all requests go to one side";
        let one = Diagnostic::warning(codes::NO_EFFECT, key, message);
        found.push(one.label("leave this out").help("it keeps a user on one of the sides of a split `to`"));
    }
}
