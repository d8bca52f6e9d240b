//! The terms of a declared call, or what is to be said of one that is not declared.

use super::{Places, Terms, attempts, open, terms};
use crate::nearest;
use crate::valid::Manifest;

/// Why there are no terms of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeclared {
    /// In a sentence.
    pub why: String,
    /// What to do about it, maybe in several lines.
    pub hint: String,
    /// The lines to add to the manifest, if the call could be declared.
    pub add: Option<String>,
    /// The names that the caller may call, if there is such a caller.
    pub declared: Vec<String>,
    /// The name that was meant, most likely, in place of an unknown one.
    pub nearest: Option<String>,
}

/// The terms of `caller`'s call to `callee`.
///
/// # Errors
/// If the call is not declared.
pub fn call(manifest: &Manifest, places: &Places, caller: &str, callee: &str) -> Result<Terms, Undeclared> {
    let Some(service) = manifest.services.get(caller) else {
        return Err(no_caller(manifest, caller, callee));
    };
    let declared: Vec<String> = service.calls.keys().cloned().collect();
    let Some(call) = service.calls.get(callee) else {
        return Err(no_callee(manifest, caller, callee, declared));
    };
    let prefix = format!("services.{caller}.calls.{callee}");
    let attempts = attempts::of_call(manifest, caller, callee, call);
    let split = call.split.as_ref().map(|split| open(manifest, &split.to_string()));
    let answering = call.answering();
    let call = (answering.as_slice(), &call.policies, call.limits.as_slice());
    Ok(Terms { split, ..terms(manifest, places, Some(&prefix), call, attempts) })
}

fn no_caller(manifest: &Manifest, caller: &str, callee: &str) -> Undeclared {
    let services = || manifest.services.keys().map(String::as_str);
    let one =
        |why: String, hint: String| Undeclared { why, hint, add: None, declared: Vec::new(), nearest: None };
    if caller == "gateway" {
        let why = "the gateway calls by its routes".to_owned();
        return one(why, "name a request instead: `colony explain GET /path`".to_owned());
    }
    if manifest.externals.contains_key(caller) {
        let why = format!("`{caller}` is an external, which makes no calls that Colony knows of");
        return one(why, format!("callers are {}", nearest::list(services())));
    }
    let why = format!("there is no service `{caller}`");
    match nearest::nearest(caller, services()) {
        Some(near) => Undeclared {
            nearest: Some(near.to_owned()),
            ..one(why, format!("did you mean `colony explain {near} {callee}`?"))
        },
        None => one(why, format!("services are {}", nearest::list(services()))),
    }
}

fn no_callee(manifest: &Manifest, caller: &str, callee: &str, declared: Vec<String>) -> Undeclared {
    let mut known = manifest.services.keys().chain(manifest.externals.keys()).map(String::as_str);
    if callee == caller {
        let why = format!("`{caller}` reaches itself without Colony, so there are no policies on the way");
        return Undeclared { why, hint: may_call(caller, &declared), add: None, declared, nearest: None };
    }
    if known.clone().any(|name| name == callee) {
        let add = format!("services:\n  {caller}:\n    calls:\n      {callee}: {{}}\n");
        return Undeclared {
            why: format!("{caller} does not declare that it calls {callee}"),
            hint: may_call(caller, &declared),
            add: Some(add),
            declared,
            nearest: None,
        };
    }
    let near = nearest::nearest(callee, declared.iter().map(String::as_str))
        .or_else(|| nearest::nearest(callee, known.by_ref()))
        .map(str::to_owned);
    let hint = match &near {
        Some(near) => format!("did you mean `colony explain {caller} {near}`?"),
        None => may_call(caller, &declared),
    };
    let why = format!("there is no service or external `{callee}`");
    Undeclared { why, hint, add: None, declared, nearest: near }
}

fn may_call(caller: &str, declared: &[String]) -> String {
    match declared {
        [] => format!("{caller} declares no calls"),
        some => format!("{caller} may call {}", nearest::list(some.iter().map(String::as_str))),
    }
}
