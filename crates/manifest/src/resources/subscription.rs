//! Subscriptions that are declared: which topic, and where in the application its events go. Both of Dapr's versions: the
//! first has one route, the second rules.
//!
//! That a rule's condition can be read is found out by who has conditions read, and told by
//! [`Resources::wrong_value`](super::Resources::wrong_value) with the place that is kept here.

use super::{Meta, Reader};
use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::typed::{AsWritten, At, Bool, Cx, Field, Int, List, Map, Text, Typed, keys};
use crate::yaml::{Node, clip};

/// A subscription to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The broker.
    pub pubsub: String,
    /// The topic.
    pub topic: String,
    /// Where events go, the first rule that holds.
    pub rules: Vec<Rule>,
    /// Where those go that no rule holds for.
    pub default: Option<String>,
    /// Where those go that the application cannot deal with.
    pub dead_letter: Option<String>,
    /// What else is said, each with its place.
    pub metadata: Vec<(String, String, Span)>,
    /// How events are gathered, if they are.
    pub bulk: Option<BulkSubscribe>,
    /// Whose subscription it is; if nobody is named, everybody's.
    pub scopes: Vec<String>,
    /// Where its topic is written.
    pub span: Span,
}

/// Where events go for which a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The condition, in CEL.
    pub condition: String,
    /// Where they go.
    pub path: String,
    /// Where the condition is written.
    pub span: Span,
}

/// How events are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkSubscribe {
    /// How many at most.
    pub messages_max: Option<u64>,
    /// How long the first waits, in milliseconds.
    pub wait_max_ms: Option<u64>,
}

keys! {
    /// A subscription.
    Resource, "a subscription";
    /// `dapr.io/v2alpha1`, or `dapr.io/v1alpha1` for one with a single route.
    "apiVersion" => api_version: Text = required,
    /// `Subscription`.
    "kind" => kind: Text = required,
    /// What it is called.
    "metadata" => metadata: Meta,
    /// What it is.
    "spec" => spec: Spec = required,
    /// The ids of the applications whose it is. Default: all.
    "scopes" => scopes: List<Text>,
}

keys! {
    /// What a subscription is.
    Spec, "a subscription's spec";
    /// The component.
    "pubsubname" => pubsub: Text = required,
    /// The topic.
    "topic" => topic: Text = required,
    /// Where in the application events go, in the first version.
    "route" => route: Text,
    /// The same, in the second.
    "routes" => routes: Routes,
    /// The topic that events go to which the application cannot deal with. Default: they are tried again.
    "deadLetterTopic" => dead_letter: Text,
    /// Settings.
    "metadata" => metadata: Map<AsWritten>,
    /// Whether and how events are gathered.
    "bulkSubscribe" => bulk: Bulk,
}

keys! {
    /// Where events go.
    Routes, "`routes`";
    /// The first that holds.
    "rules" => rules: List<RuleKeys>,
    /// Where those go that none holds for. Default: nowhere.
    "default" => default: Text,
}

keys! {
    /// Where events go for which a condition holds.
    RuleKeys, "a rule";
    /// The condition, in CEL over `event`. Default: all events.
    "match" => condition: Text,
    /// Where they go.
    "path" => path: Text = required,
}

keys! {
    /// How events are gathered.
    Bulk, "`bulkSubscribe`";
    /// Whether they are. Default: no.
    "enabled" => enabled: Bool,
    /// How many at most. Default: 100. More than 1,000 is as many as 1,000.
    "maxMessagesCount" => messages_max: Int<1, 1000000>,
    /// How long the first waits for others, in milliseconds. Default: a second. More than a minute is as much as
    /// that.
    "maxAwaitDurationMs" => wait_max_ms: Int<1, 86400000>,
}

impl Reader<'_> {
    pub(super) fn subscription(&mut self, node: &Node) {
        let mut cx = Cx::default();
        let typed = Resource::decode(node, &mut cx);
        let broken = !cx.found.is_empty();
        self.found.append(&mut cx.found);
        let Some(resource) = typed else { return };
        let version = resource.api_version.get().and_then(|version| self.version(version));
        let (Some(spec), Some(version), false) = (resource.spec.value(), version, broken) else { return };
        let Some(pubsub) = spec.pubsub.value() else { return };
        let Some(topic) = spec.topic.get() else { return };
        if !self.routes_fit(spec, version, topic.span) | !self.dead_letter_fits(spec, &topic.value.0) {
            return;
        }
        let routes = spec.routes.value();
        let rules = routes.and_then(|routes| routes.rules.value()).map_or(&[][..], |rules| &rules.items);
        let default = routes.and_then(|routes| routes.default.value()).or(spec.route.value());
        let scopes = resource.scopes.value().map_or(&[][..], |scopes| &scopes.items);
        self.subscriptions.push(Subscription {
            pubsub: pubsub.0.clone(),
            topic: topic.value.0.clone(),
            rules: rules.iter().filter_map(rule).collect(),
            default: default.map(|text| text.0.clone()),
            dead_letter: spec.dead_letter.value().map(|text| text.0.clone()),
            metadata: spec.metadata.value().map(metadata).unwrap_or_default(),
            bulk: spec.bulk.value().and_then(bulk),
            scopes: scopes.iter().map(|at| at.value.0.clone()).collect(),
            span: topic.span,
        });
    }

    fn version(&mut self, version: &At<Text>) -> Option<Version> {
        match version.value.0.as_str() {
            "dapr.io/v1alpha1" => Some(Version::OneRoute),
            "dapr.io/v2alpha1" => Some(Version::Rules),
            odd => {
                let message = format!("there are no subscriptions of version `{}`", clip(odd));
                let label = "write `dapr.io/v2alpha1`, or `dapr.io/v1alpha1` for one with a single `route`";
                self.found.push(Diagnostic::error(codes::UNSERVED, version.span, message).label(label));
                None
            }
        }
    }

    /// Whether there is somewhere for events to go, said in the way that the version has it.
    fn routes_fit(&mut self, spec: &Spec, version: Version, topic: Span) -> bool {
        let (odd, message, help) = match version {
            Version::OneRoute => {
                let help = "write `apiVersion: dapr.io/v2alpha1`, or one `route` in place of `routes`";
                (
                    spec.routes.key(),
                    "a subscription of the first version has one `route`, and no `routes`",
                    help,
                )
            }
            Version::Rules => {
                let help = "write it as `routes: { default: /PATH }`, or `apiVersion: dapr.io/v1alpha1`";
                (spec.route.key(), "a subscription of the second version has `routes`, and no `route`", help)
            }
        };
        if let Some(key) = odd {
            self.found.push(Diagnostic::error(codes::CONTRADICTION, key, message).help(help));
            return false;
        }
        let has_rule = spec.routes.value().is_some_and(|routes| {
            !routes.default.is_absent() || routes.rules.value().is_some_and(|rules| !rules.items.is_empty())
        });
        if has_rule || !spec.route.is_absent() {
            return true;
        }
        let help = match version {
            Version::OneRoute => "say where in the application they go, beside `topic`: `route: /PATH`",
            Version::Rules => {
                "say where in the application they go, beside `topic`: `routes: { default: /PATH }`"
            }
        };
        let message = "the events of this subscription go nowhere";
        self.found.push(Diagnostic::error(codes::MISSING_KEY, topic, message).help(help));
        false
    }

    fn dead_letter_fits(&mut self, spec: &Spec, topic: &str) -> bool {
        let Some(odd) = spec.dead_letter.get().filter(|dead| dead.value.0 == topic) else { return true };
        let message = "what cannot be dealt with would come to the same topic again, without end";
        self.found.push(
            Diagnostic::error(codes::CONTRADICTION, odd.span, message).help(
                "name another topic, or take `deadLetterTopic` out: then it is tried again, after a wait",
            ),
        );
        false
    }
}

#[derive(Clone, Copy)]
enum Version {
    OneRoute,
    Rules,
}

fn rule(rule: &At<RuleKeys>) -> Option<Rule> {
    let path = rule.value.path.value()?.0.clone();
    let (condition, span) = match rule.value.condition.get() {
        Some(at) => (at.value.0.clone(), at.span),
        None => (String::new(), rule.span),
    };
    Some(Rule { condition, path, span })
}

fn metadata(map: &Map<AsWritten>) -> Vec<(String, String, Span)> {
    let given = map.0.iter().filter_map(|(key, field)| match field {
        Field::Given { at, .. } => Some((key.value.clone(), at.value.0.clone(), at.span)),
        _ => None,
    });
    given.collect()
}

fn bulk(bulk: &Bulk) -> Option<BulkSubscribe> {
    bulk.enabled.value().is_some_and(|enabled| enabled.0).then(|| BulkSubscribe {
        messages_max: bulk.messages_max.value().map(|count| count.0),
        wait_max_ms: bulk.wait_max_ms.value().map(|count| count.0),
    })
}

impl Subscription {
    /// Whether it is this application's.
    pub fn is_for(&self, app_id: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope == app_id)
    }
}
