//! Bindings as resource files declare them.

/// What is at the other end of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingKind {
    /// A schedule.
    Cron,
    /// What is at a URL.
    Http,
    /// Files below a folder.
    LocalStorage,
    /// A database of PostgreSQL.
    Postgres,
}

impl BindingKind {
    /// What a type means, if it is a binding's.
    pub(super) fn of(kind: &str) -> Option<BindingKind> {
        Some(match kind {
            "bindings.cron" => BindingKind::Cron,
            "bindings.http" => BindingKind::Http,
            "bindings.localstorage" => BindingKind::LocalStorage,
            "bindings.postgres" | "bindings.postgresql" => BindingKind::Postgres,
            _ => return None,
        })
    }
}
