//! Which topics an application may publish to and subscribe to: what a component's settings say of it.

use std::collections::BTreeSet;

use crate::Properties;

/// What one application may do with a component's topics. Anything, if nothing is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The topics that there may be at all, if not any.
    pub allowed: Option<BTreeSet<String>>,
    /// Those that only who is named with them may use.
    pub protected: BTreeSet<String>,
    /// Those that it may publish to; without, all that are not protected.
    pub publishing: Option<BTreeSet<String>>,
    /// Those that it may subscribe to; without, all that are not protected.
    pub subscribing: Option<BTreeSet<String>>,
}

impl Scope {
    /// What `allowedTopics`, `protectedTopics`, `publishingScopes` and `subscriptionScopes` say of an application.
    pub fn new(set: &Properties, app_id: &str) -> Scope {
        let protected = set.text("protectedTopics").map(topics).unwrap_or_default();
        Scope {
            allowed: set.text("allowedTopics").map(topics),
            protected,
            publishing: set.text("publishingScopes").and_then(|text| of_app(text, app_id)),
            subscribing: set.text("subscriptionScopes").and_then(|text| of_app(text, app_id)),
        }
    }

    /// Whether it may publish to a topic.
    pub fn may_publish(&self, topic: &str) -> bool {
        self.may(topic, self.publishing.as_ref())
    }

    /// Whether it may subscribe to a topic.
    pub fn may_subscribe(&self, topic: &str) -> bool {
        self.may(topic, self.subscribing.as_ref())
    }

    fn may(&self, topic: &str, granted: Option<&BTreeSet<String>>) -> bool {
        let is_there = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(topic));
        is_there && granted.map_or(!self.protected.contains(topic), |granted| granted.contains(topic))
    }
}

/// `APP=TOPIC,TOPIC;APP=`: none if the application is not named, no topic if it is named with none.
fn of_app(text: &str, app_id: &str) -> Option<BTreeSet<String>> {
    let named = text.split(';').filter_map(|part| part.split_once('='));
    let own: Vec<_> = named.filter(|(app, _)| app.trim() == app_id).map(|(_, list)| topics(list)).collect();
    (!own.is_empty()).then(|| own.into_iter().flatten().collect())
}

fn topics(list: &str) -> BTreeSet<String> {
    list.split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(set: &[(&str, &str)]) -> Scope {
        Scope::new(&set.iter().copied().collect(), "shop")
    }

    #[test]
    fn without_settings_all_is_allowed() {
        assert_eq!(scope(&[]), Scope::default());
        assert!(scope(&[]).may_publish("a") && scope(&[]).may_subscribe("a"));
    }

    #[test]
    fn who_is_named_has_what_it_is_named_with() {
        let scope = scope(&[
            ("publishingScopes", "other=x; shop = a, b ;shop=c"),
            ("subscriptionScopes", "shop=;other=x"),
        ]);
        assert!(["a", "b", "c"].iter().all(|topic| scope.may_publish(topic)));
        assert!(!scope.may_publish("x") && !scope.may_subscribe("a"));
    }

    #[test]
    fn who_is_not_named_has_all_that_is_not_protected() {
        let scope = scope(&[("publishingScopes", "other=x"), ("protectedTopics", "p")]);
        assert!(scope.may_publish("x") && !scope.may_publish("p") && !scope.may_subscribe("p"));
    }

    #[test]
    fn what_is_protected_has_to_be_granted_by_name() {
        let scope = scope(&[("publishingScopes", "shop=p"), ("protectedTopics", "p,q")]);
        assert!(scope.may_publish("p") && !scope.may_publish("q"));
    }

    #[test]
    fn nothing_is_granted_beyond_what_there_may_be() {
        let scope = scope(&[("allowedTopics", "a,b"), ("publishingScopes", "shop=b,c")]);
        assert!(scope.may_publish("b") && !scope.may_publish("a") && !scope.may_publish("c"));
        assert!(scope.may_subscribe("a") && !scope.may_subscribe("c"));
    }
}
