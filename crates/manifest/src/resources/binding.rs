//! Bindings as resource files declare them.

/// What is at the other end of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingKind {
    /// Files below a folder.
    LocalStorage,
}

impl BindingKind {
    /// What a type means, if it is a binding's.
    pub(super) fn of(kind: &str) -> Option<BindingKind> {
        Some(match kind {
            "bindings.localstorage" => BindingKind::LocalStorage,
            _ => return None,
        })
    }
}
