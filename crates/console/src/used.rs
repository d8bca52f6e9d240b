//! What services use by the application API, as edges of the map: the manifest says nothing of topics, queues and stores, and of
//! calls only those that it was told of.
//!
//! `declared` of such an edge is true where a resource declares the component, false where one could and none does, or where a
//! service calls another that is not among its `calls`, and null for a queue, which is declared nowhere.

use std::collections::BTreeMap;
use std::time::Duration;

use api::uses::{How, Used};
use serde_json::{Value, json};

use crate::live::Sample;
use crate::map::{rate, share, text};

/// How often what was used, and how often of these in vain.
type Counts = BTreeMap<(String, How, String), (u64, u64)>;

/// What all services have used so far.
pub(crate) fn counts(uses: &[(String, Vec<Used>)]) -> Counts {
    let of_one = |(service, uses): &(String, Vec<Used>)| {
        let counted =
            |used: &Used| ((service.clone(), used.how, used.name.clone()), (used.count, used.failed));
        uses.iter().map(counted).collect::<Vec<_>>()
    };
    uses.iter().flat_map(of_one).collect()
}

/// The edges of the manifest and of groups, with what is known of their use, and one for each thing that is used besides. What
/// they lead to and is no node yet becomes one.
pub(crate) fn merged(
    mut edges: Vec<Value>,
    uses: &[(String, Vec<Used>)],
    now: &Sample,
    before: &Sample,
    nodes: &mut BTreeMap<String, Value>,
) -> Vec<Value> {
    let spent = now.at.duration_since(before.at);
    for (service, uses) in uses.iter().filter(|(service, _)| !service.is_empty()) {
        for used in uses {
            if !nodes.contains_key(service) || (used.how == How::Call && !nodes.contains_key(&used.name)) {
                continue;
            }
            let edge = Edge { service, used, lately: lately(service, used, before) };
            edge.add_to(&mut edges, nodes, spent);
        }
    }
    edges
}

/// How often since the earlier sample, and how often in vain.
fn lately(service: &str, used: &Used, before: &Sample) -> (u64, u64) {
    let key = (service.to_owned(), used.how, used.name.clone());
    // What was not known then has been used for the first time since.
    let (count, failed) = before.uses.get(&key).copied().unwrap_or_default();
    (used.count.saturating_sub(count), used.failed.saturating_sub(failed))
}

struct Edge<'a> {
    service: &'a str,
    used: &'a Used,
    lately: (u64, u64),
}

impl Edge<'_> {
    fn add_to(&self, edges: &mut Vec<Value>, nodes: &mut BTreeMap<String, Value>, spent: Duration) {
        let (from, to) = self.ends();
        let (count, failed) = self.lately;
        let known = edges.iter_mut().find(|edge| text(edge, "from") == from && text(edge, "to") == to);
        if let Some(edge) = known {
            // Of calls the data plane knows more.
            if edge["kind"] == "subscription" {
                edge["declared"] = self.used.declared.into();
                edge["rate"] = rate(count, spent).into();
                edge["errors"] = share(failed, count).into();
            }
            return;
        }
        let other = if from == self.service { &to } else { &from };
        if !nodes.contains_key(other) {
            nodes.insert(other.clone(), self.node());
        }
        edges.push(json!({
            "kind": self.kind(),
            "from": from,
            "to": to,
            "declared": if matches!(self.used.how, How::Send | How::Work) { None } else { Some(self.used.declared) },
            "used": true,
            "rate": rate(count, spent),
            "errors": share(failed, count),
        }));
    }

    fn kind(&self) -> &'static str {
        match self.used.how {
            How::Call => "call",
            How::Publish => "publish",
            How::Consume => "subscription",
            How::Send => "send",
            How::Work => "work",
            How::State => "state",
        }
    }

    fn ends(&self) -> (String, String) {
        let name = &self.used.name;
        let service = self.service.to_owned();
        match self.used.how {
            How::Call => (service, name.clone()),
            How::Publish => (service, format!("topic {name}")),
            How::Consume => (format!("topic {name}"), service),
            How::Send => (service, format!("queue {name}")),
            How::Work => (format!("queue {name}"), service),
            How::State => (service, format!("store {name}")),
        }
    }

    /// What is used and told of by nobody else: a store, or what a broker outside keeps.
    fn node(&self) -> Value {
        let kind = match self.used.how {
            How::State => "store",
            How::Send | How::Work => "queue",
            _ => "topic",
        };
        json!({ "kind": kind, "name": self.used.name })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn used(how: How, name: &str, declared: bool, count: u64) -> Used {
        Used { how, name: name.to_owned(), declared, count, failed: count / 4 }
    }

    fn sample(at: Instant, uses: &[(String, Vec<Used>)]) -> Sample {
        Sample { at, calls: BTreeMap::new(), cpu: BTreeMap::new(), uses: counts(uses) }
    }

    #[test]
    fn what_is_used_and_not_declared_becomes_an_edge() {
        let of = |count| {
            let uses = vec![
                used(How::Call, "orders", false, count),
                used(How::Call, "gone", false, count),
                used(How::Publish, "events/new", false, count),
                used(How::Consume, "events/old", true, count),
                used(How::Work, "mails", false, count),
                used(How::State, "carts", true, count),
            ];
            vec![("shop".to_owned(), uses)]
        };
        let then = Instant::now();
        let (before, now) = (sample(then, &of(20)), sample(then + Duration::from_secs(10), &of(60)));
        let mut nodes: BTreeMap<String, Value> =
            ["shop", "orders", "topic events/old"].map(|name| (name.to_owned(), json!({}))).into();
        let known = json!({ "kind": "subscription", "from": "topic events/old", "to": "shop", "lag": 3, "declared": true });
        let edges = merged(vec![known], &of(60), &now, &before, &mut nodes);
        let told: Vec<(String, String, &Value, &Value)> = edges
            .iter()
            .map(|edge| (text(edge, "from"), text(edge, "to"), &edge["declared"], &edge["rate"]))
            .collect();
        let (yes, no, none, four) = (json!(true), json!(false), Value::Null, json!(4.0));
        let line = |from: &str, to: &str, declared| (from.to_owned(), to.to_owned(), declared, &four);
        assert_eq!(
            told,
            [
                line("topic events/old", "shop", &yes),
                line("shop", "orders", &no),
                line("shop", "topic events/new", &no),
                line("queue mails", "shop", &none),
                line("shop", "store carts", &yes),
            ]
        );
        assert_eq!((&edges[0]["lag"], &edges[0]["errors"]), (&json!(3), &json!(0.25)));
        assert_eq!(nodes["store carts"], json!({ "kind": "store", "name": "carts" }));
        assert!(nodes.contains_key("topic events/new") && !nodes.contains_key("gone"));
    }

    #[test]
    fn what_the_data_plane_counts_is_left_to_it() {
        let uses = vec![("shop".to_owned(), vec![used(How::Call, "orders", false, 8)])];
        let now = sample(Instant::now(), &uses);
        let mut nodes: BTreeMap<String, Value> =
            ["shop", "orders"].map(|name| (name.to_owned(), json!({}))).into();
        let declared =
            json!({ "kind": "call", "from": "shop", "to": "orders", "declared": true, "rate": 1.0 });
        let edges = merged(vec![declared.clone()], &uses, &now, &now, &mut nodes);
        assert_eq!(edges, [declared]);
    }
}
