//! What stands between the application and components, both ways: what is asked of one (outbound), and what one brings
//! (inbound). Policies are those of the component's name, or else those of its family.

use std::collections::BTreeMap;
use std::sync::Arc;

use components::{binding, configuration, lock, pubsub, secret, state};

use super::{Guard, Judged, Policies};

/// What a component is, as far as policies are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// A binding.
    Binding,
    /// A store of configuration.
    Configuration,
    /// A store of locks.
    Lock,
    /// A broker.
    PubSub,
    /// A store of secrets.
    Secrets,
    /// A store of state.
    State,
}

/// The policies of components, one way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Components {
    /// Of these, by their names.
    pub named: BTreeMap<String, Policies>,
    /// Of all others.
    pub others: BTreeMap<Family, Policies>,
}

/// The guards of components, one way; none where nothing is said, so that nothing is looked up.
#[derive(Debug)]
pub(super) struct ComponentGuards(Option<Box<Guarded>>);

#[derive(Debug)]
struct Guarded {
    named: BTreeMap<String, Arc<Guard>>,
    others: BTreeMap<Family, Arc<Guard>>,
}

/// A component that is asked, and its policies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) name: &'a str,
    pub(crate) guard: Option<&'a Guard>,
}

/// An error that says whether a component has answered.
pub(crate) trait Lost {
    /// Whether it has not, so that another try makes sense.
    fn is_lost(&self) -> bool;
    /// One that says so.
    fn lost(why: String) -> Self;
}

impl ComponentGuards {
    pub(super) fn new(components: &Components, before: Option<&ComponentGuards>) -> ComponentGuards {
        let before = before.and_then(|before| before.0.as_ref());
        let named = components.named.iter().map(|(name, one)| {
            let before = before.and_then(|before| before.named.get(name));
            (name.clone(), Guard::after(one, before))
        });
        let others = components.others.iter().map(|(family, one)| {
            let before = before.and_then(|before| before.others.get(family));
            (*family, Guard::after(one, before))
        });
        let guarded = Guarded { named: named.collect(), others: others.collect() };
        let is_empty = guarded.named.is_empty() && guarded.others.is_empty();
        ComponentGuards((!is_empty).then(|| Box::new(guarded)))
    }

    pub(super) fn of(&self, family: Family, name: &str) -> Option<&Guard> {
        let guarded = self.0.as_ref()?;
        guarded.named.get(name).or_else(|| guarded.others.get(&family)).map(|guard| &**guard)
    }
}

impl Asking<'_> {
    /// Asks as often as the policies say. What the component has answered, if only that it cannot be, is not asked again.
    pub(crate) async fn run<T, E: Lost, F>(self, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let Some(guard) = self.guard else { return attempt().await };
        let judge = |answer: &Result<T, E>| match answer {
            Err(error) if error.is_lost() => Judged::Unanswered,
            _ => Judged::Fine,
        };
        // Much larger than what most requests need.
        let asked = Box::pin(guard.run(self.name, || true, attempt, judge)).await;
        asked.unwrap_or_else(|stopped| Err(E::lost(stopped.to_string())))
    }
}

macro_rules! lost {
    ($($error:path),*) => {$(
        impl Lost for $error {
            fn is_lost(&self) -> bool {
                matches!(self, Self::Unavailable(_))
            }

            fn lost(why: String) -> Self {
                Self::Unavailable(why)
            }
        }
    )*};
}
lost!(state::Error, pubsub::Error, lock::Error, configuration::Error, secret::Error);

impl Lost for binding::Error {
    /// Who is outside does not tell the one from the other.
    fn is_lost(&self) -> bool {
        true
    }

    fn lost(why: String) -> Self {
        binding::Error::new(why)
    }
}
