//! An explanation for programs. The names of its members are described in `docs/commands.md`.

use std::time::Duration;

use manifest::terms::{Attempts, Place, Policy, Setting, Worst};
use mesh::{Misfit, Part, Side, Tried};
use serde_json::{Map, Value, json};

use super::request::{OfRequest, OfRoute, why};
use super::{OfCall, Told, Way};
use crate::source::Source;

pub(super) fn told(told: &Told, source: &Source) -> Value {
    let mut object = match told {
        Told::Request(of) => of_request(of),
        Told::Call(of) => of_call(of),
    };
    object["manifest"] = source.shown.as_str().into();
    object["overlays"] = source.overlays.iter().map(|path| path.display().to_string()).collect();
    object
}

fn of_request(of: &OfRequest) -> Value {
    let headers: Vec<Value> =
        of.asked.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let refused = of
        .refused
        .as_ref()
        .map(|(refusal, why)| json!({ "status": refusal.status, "problem": refusal.problem, "why": why }));
    let mut object = json!({
        "kind": "request",
        "method": of.asked.method,
        "target": of.asked.target,
        "host": of.host,
        "headers": headers,
        "idempotent": of.idempotent,
        "left_ms": of.left.map(ms),
        "carried": of.way.is_some(),
        "routes": of.routes.iter().enumerate().map(|(at, route)| of_route(at, route)).collect::<Vec<_>>(),
        "taken": of.taken.map(|at| at + 1),
        "nearest": of.nearest.map(|at| at + 1),
        "refused": refused,
    });
    if let Some(way) = &of.way {
        object["sent"] = json!({ "target": of.target, "rewrite": place(of.rewritten.as_ref()) });
        object["side"] = match of.side {
            None => Value::Null,
            Some(Side::ByHeader(_)) => json!({ "by": "header", "to": way.to }),
            Some(Side::ByUser(_)) => json!({ "by": "user", "to": way.to }),
            Some(Side::ByShare) => json!({ "by": "share", "to": null }),
        };
        put_way(&mut object, way);
    }
    object
}

fn of_route(at: usize, route: &OfRoute) -> Value {
    let (fit, misfit) = match &route.tried {
        Tried::Taken => ("taken", None),
        Tried::Later => ("later", None),
        Tried::Misfit(misfit) => ("no", Some(misfit)),
    };
    json!({
        "order": at + 1,
        "route": route.name,
        "to": route.to,
        "place": place(route.place.as_ref()),
        "fit": fit,
        "misfit": misfit.map(of_misfit),
    })
}

fn of_misfit(misfit: &Misfit) -> Value {
    let (part, name) = match &misfit.part {
        Part::Host => ("host", None),
        Part::Path(_) => ("path", None),
        Part::Header(name) => ("header", Some(name)),
        Part::Method => ("method", None),
    };
    json!({
        "part": part,
        "header": name,
        "wanted": misfit.wanted,
        "given": misfit.given,
        "why": why(misfit),
    })
}

fn of_call(of: &OfCall) -> Value {
    let mut object = json!({ "kind": "call", "call": of.name, "carried": of.way.is_ok() });
    match &of.way {
        Ok(way) => put_way(&mut object, way),
        Err(undeclared) => {
            object["undeclared"] = json!({
                "why": undeclared.why,
                "hint": undeclared.hint,
                "add": undeclared.add,
                "declared": undeclared.declared,
                "nearest": undeclared.nearest,
            });
        }
    }
    object
}

fn put_way(object: &mut Value, way: &Way) {
    object["call"] = way.id.as_str().into();
    object["to"] = way.to.as_str().into();
    if let Some(split) = &way.terms.split {
        object["split"] = split.as_str().into();
    }
    object["place"] = place(way.terms.place.as_ref());
    let policies = way.terms.policies.iter().enumerate();
    object["policies"] = policies.map(|(at, policy)| of_policy(at, policy)).collect();
    object["hold_ms"] = ms(mesh::HOLD_MAX);
    object["worst"] = of_worst(&way.terms.worst);
    object["attempts"] = of_attempts(&way.terms.attempts);
    if let Some(live) = &way.live {
        object["live"] = live.clone();
    }
}

fn of_policy(at: usize, policy: &Policy) -> Value {
    let options: Map<String, Value> =
        policy.options.iter().map(|setting| (setting.key.clone(), of_setting(setting))).collect();
    json!({
        "order": at + 1,
        "key": policy.key,
        "name": policy.name,
        "value": policy.value,
        "place": place(policy.place.as_ref()),
        "options": options,
    })
}

fn of_setting(setting: &Setting) -> Value {
    json!({ "value": setting.value, "place": place(setting.place.as_ref()) })
}

fn of_worst(worst: &Worst) -> Value {
    json!({
        "ms": worst.time.map(ms),
        "tries": worst.tries,
        "try_ms": worst.each.map(ms),
        "sum": worst.sum,
        "retry_after_ms": worst.asked_to_wait.map(ms),
    })
}

fn of_attempts(attempts: &Attempts) -> Value {
    let hops = attempts.way.iter();
    let hops: Vec<Value> =
        hops.map(|hop| json!({ "call": hop.call, "to": hop.to, "tries": hop.tries })).collect();
    json!({ "most": attempts.most, "way": hops, "storm": attempts.storm })
}

/// Null: by default.
fn place(place: Option<&Place>) -> Value {
    place.map_or(Value::Null, |place| {
        json!({
            "file": place.file, "line": place.line, "column": place.column, "variables": place.variables,
        })
    })
}

fn ms(time: Duration) -> Value {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).into()
}
