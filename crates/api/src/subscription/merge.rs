//! Which of several subscriptions to one topic holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Subscription;

/// One for each topic: what the application told goes before what is declared, and what is earlier before what is later. Beside
/// them, in a sentence each, those that do not hold.
pub fn merged(
    told: Vec<Arc<Subscription>>,
    declared: &[Arc<Subscription>],
) -> (Vec<Arc<Subscription>>, Vec<String>) {
    let (mut hold, mut lines, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    for one in told.into_iter().chain(declared.iter().cloned()) {
        if known.insert((one.pubsub.clone(), one.topic.clone())) {
            hold.push(one);
        } else {
            lines.push(format!(
                "of several subscriptions to topic {:?} of {:?} the first holds; one that is {} is left out",
                one.topic,
                one.pubsub,
                one.origin.word().to_lowercase()
            ));
        }
    }
    (hold, lines)
}

#[cfg(test)]
mod tests {
    use super::super::{Knobs, Origin, Route, Routes};
    use super::*;

    fn one(origin: Origin, topic: &str, route: &str) -> Arc<Subscription> {
        Arc::new(Subscription {
            pubsub: "p".to_owned(),
            topic: topic.to_owned(),
            routes: Routes::all_to(Route::new(route)),
            dead_letter: None,
            metadata: Default::default(),
            knobs: Knobs::default(),
            bulk: None,
            origin,
        })
    }

    #[test]
    fn what_is_told_goes_before_what_is_declared_and_the_first_before_the_second() {
        let told = vec![one(Origin::Programmatic, "a", "1"), one(Origin::Programmatic, "a", "2")];
        let declared = [
            one(Origin::Declarative, "a", "3"),
            one(Origin::Declarative, "b", "4"),
            one(Origin::Declarative, "b", "5"),
        ];
        let (hold, lines) = merged(told, &declared);
        let routes: Vec<_> = hold.iter().map(|one| &*one.routes.default.as_ref().unwrap().text).collect();
        assert_eq!(routes, ["1", "4"]);
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with("one that is declarative is left out"), "{lines:?}");
    }
}
