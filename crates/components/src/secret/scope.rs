//! Which secrets of a store an application may know, as a Configuration's `spec.secrets.scopes` says.

/// What holds for a store. Without one all of its secrets are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Whether what is in neither list is closed.
    pub closed: bool,
    /// If there are any, these and no others are open, whatever else is said.
    pub allowed: Vec<String>,
    /// These are closed.
    pub denied: Vec<String>,
}

impl Scope {
    /// Whether this secret is open.
    pub fn allows(&self, name: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|one| one == name);
        match self.allowed.is_empty() {
            true => !self.closed && !is_in(&self.denied),
            false => is_in(&self.allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(closed: bool, allowed: &[&str], denied: &[&str]) -> Scope {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Scope { closed, allowed: list(allowed), denied: list(denied) }
    }

    #[test]
    fn what_is_allowed_is_all_that_is() {
        for closed in [true, false] {
            let scope = scope(closed, &["a"], &["a", "b"]);
            assert_eq!(["a", "b", "c"].map(|name| scope.allows(name)), [true, false, false]);
        }
    }

    #[test]
    fn otherwise_what_is_not_denied_is_as_by_default() {
        assert_eq!(["a", "b"].map(|name| scope(false, &[], &["a"]).allows(name)), [false, true]);
        assert_eq!(["a", "b"].map(|name| scope(true, &[], &["a"]).allows(name)), [false, false]);
        assert!(Scope::default().allows("a"));
    }
}
