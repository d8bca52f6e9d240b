//! Subscriptions that are declared, lowered into what the API brings: their conditions are read here, and what is wrong
//! with one is told of where it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::subscription::{Bulk, Knobs, Origin, Route, Routes, Rule, Subscription};
use manifest::Resources;
use manifest::resources;

/// Those of an application; adds to the resources' diagnostics.
pub(crate) fn subscriptions(found: &mut Resources, app_id: &str) -> Vec<Arc<Subscription>> {
    let mut lowered = Vec::new();
    let mut topics = BTreeSet::new();
    for one in found.subscriptions.clone().iter().filter(|one| one.is_for(app_id)) {
        if !topics.insert((one.pubsub.clone(), one.topic.clone())) {
            let message = format!(
                "there is an earlier subscription to topic `{}` of `{}`, which holds",
                one.topic, one.pubsub
            );
            found.no_effect(one.span, message);
            continue;
        }
        let (rules, knobs) = (rules(one, found), knobs(one, found));
        if let (Some(rules), Some(knobs)) = (rules, knobs) {
            lowered.push(Arc::new(subscription(one, rules, knobs)));
        }
    }
    lowered
}

fn subscription(one: &resources::Subscription, rules: Vec<Rule>, knobs: Knobs) -> Subscription {
    let count = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok()).unwrap_or_default();
    Subscription {
        pubsub: one.pubsub.clone(),
        topic: one.topic.clone(),
        routes: Routes { rules, default: one.default.as_deref().map(Route::new) },
        dead_letter: one.dead_letter.clone(),
        metadata: metadata(one),
        knobs,
        bulk: one.bulk.map(|bulk| Bulk::new(count(bulk.messages_max), count(bulk.wait_max_ms))),
        origin: Origin::Declarative,
    }
}

fn metadata(one: &resources::Subscription) -> BTreeMap<String, String> {
    one.metadata.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect()
}

/// None if one of them is none; reported.
fn rules(one: &resources::Subscription, found: &mut Resources) -> Option<Vec<Rule>> {
    let rules: Vec<_> = one.rules.iter().map(|rule| read(rule, found)).collect();
    rules.into_iter().collect()
}

fn read(rule: &resources::Rule, found: &mut Resources) -> Option<Rule> {
    let invalid = match Rule::new(&rule.condition, &rule.path) {
        Ok(rule) => return Some(rule),
        Err(invalid) => invalid,
    };
    let message = format!("this is no condition: {}", invalid.why);
    let label = match invalid.at {
        Some(at) if at < rule.condition.len() => {
            let rest: String = rule.condition[at..].chars().take(SHOWN).collect();
            format!("from `{rest}` on")
        }
        Some(_) => "at its end".to_owned(),
        None => String::new(),
    };
    let help = "conditions are in CEL and over `event`, such as `event.type == \"order.placed\" && event.data.total > 100.0`";
    found.wrong_value(rule.span, message, &label, help);
    None
}

/// None if one of them makes no sense; reported.
fn knobs(one: &resources::Subscription, found: &mut Resources) -> Option<Knobs> {
    match Knobs::new(&metadata(one)) {
        Ok(knobs) => Some(knobs),
        Err(odd) => {
            let place = one.metadata.iter().find(|(key, ..)| *key == odd.key);
            let span = place.map_or(one.span, |(_, _, span)| *span);
            found.wrong_value(span, format!("`{}`: {}", odd.key, odd.why), "", "correct it, or take it out");
            None
        }
    }
}

/// As much of a condition as is shown from where it is wrong.
const SHOWN: usize = 20;
