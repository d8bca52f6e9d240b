//! What is declared: services and externals share one name space.

use std::collections::BTreeMap;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::nearest;
use crate::typed::{self, At};
use crate::yaml::clip;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Service,
    External,
}

/// The declared names.
pub(crate) struct Names<'a> {
    declared: BTreeMap<&'a str, (Kind, Span)>,
    /// `services` or `externals` could not be read: any name may be declared there.
    unknown: bool,
}

impl<'a> Names<'a> {
    pub fn new(typed: &'a typed::Manifest, found: &mut Vec<Diagnostic>) -> Self {
        let mut names = Self {
            declared: BTreeMap::new(),
            unknown: typed.services.is_broken() || typed.externals.is_broken(),
        };
        for (name, _) in typed.services.value().into_iter().flat_map(|map| &map.0) {
            names.declare(name, Kind::Service, found);
        }
        for (name, _) in typed.externals.value().into_iter().flat_map(|map| &map.0) {
            names.declare(name, Kind::External, found);
        }
        names
    }

    fn declare(&mut self, name: &'a At<String>, kind: Kind, found: &mut Vec<Diagnostic>) {
        if let Err(wrong) = typed::name(&name.value) {
            let one = Diagnostic::error(codes::INVALID_NAME, name.span, wrong.message);
            found.push(one.hint(&wrong.help.unwrap_or_default()));
        }
        if let Some((_, first)) = self.declared.get(name.value.as_str()) {
            let message = format!("`{}` is both a service and an external", clip(&name.value));
            found.push(
                Diagnostic::error(codes::NAME_TAKEN, name.span, message)
                    .label("an external here")
                    .also(*first, "a service here")
                    .help("calls and routes use one name for both, so rename one of the two"),
            );
            return;
        }
        self.declared.insert(&name.value, (kind, name.span));
    }

    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.declared.get(name).map(|(kind, _)| *kind)
    }

    /// Reports a name that is not declared. `role` is what the name does, "route to". A name that
    /// may stand in what could not be read is let pass.
    pub fn require(&self, name: &At<String>, role: &str, found: &mut Vec<Diagnostic>) -> Option<Kind> {
        let kind = self.kind(&name.value);
        if kind.is_none() && !self.unknown {
            found.push(self.undeclared(name, role));
        }
        kind
    }

    fn undeclared(&self, name: &At<String>, role: &str) -> Diagnostic {
        let message = format!("there is no service or external `{}` to {role}", clip(&name.value));
        let one = Diagnostic::error(codes::UNDECLARED, name.span, message);
        let known = || self.declared.keys().copied();
        let all = match self.declared.len() {
            0 => "nothing is declared".to_owned(),
            1..=NAMES_LISTED_MAX => format!("declared are {}", nearest::list(known())),
            many => format!("{many} others are declared"),
        };
        match nearest::nearest(&name.value, known()) {
            Some(near) => one.label(format!("did you mean `{near}`?")).help(all),
            None => one.label("not declared").help(format!(
                "{all}; declare it under `services`, or under `externals` if it is not part of this system"
            )),
        }
    }

    /// The service that an overlay meant, by a name that no file below it declares.
    pub fn meant_below(&self, name: &At<String>) -> Option<(&'a str, Span)> {
        let below = |kind: Kind, span: Span| kind == Kind::Service && span.file < name.span.file;
        let declared = self.declared.iter().filter(|(_, (kind, span))| below(*kind, *span));
        let near = nearest::nearest(&name.value, declared.map(|(name, _)| *name))?;
        self.declared.get_key_value(near).map(|(near, (_, span))| (*near, *span))
    }

    /// The service, if exactly one is declared.
    pub fn only_service(&self) -> Option<&'a str> {
        let mut services =
            self.declared.iter().filter(|(_, (kind, _))| *kind == Kind::Service).map(|(name, _)| *name);
        services.next().filter(|_| services.next().is_none())
    }

    pub fn services(&self) -> impl Iterator<Item = &'a str> {
        self.declared.iter().filter(|(_, (kind, _))| *kind == Kind::Service).map(|(name, _)| *name)
    }

    /// Whether `services` could be read.
    pub fn unknown(&self) -> bool {
        self.unknown
    }
}

/// Most names that a message lists.
const NAMES_LISTED_MAX: usize = 12;
