//! The manifest: from YAML to a valid [`valid::Manifest`], or to diagnostics that say what to change.
//!
//! Pure: text, environment and paths arrive in [`Input`]. The phases, each in its module: `yaml`
//! reads a tree that knows its places, `merge` lays overlays over it, `substitute` fills in
//! `${NAME}`, `typed` decodes it, `resolve` checks everything against everything and fills in
//! defaults. Each goes on after an error wherever that makes sense.

#![forbid(unsafe_code)]
#![warn(clippy::iter_over_hash_type, clippy::unwrap_used, clippy::expect_used)]

mod codes;
pub mod configuration;
mod diagnostic;
mod diff;
mod graph;
mod http;
mod merge;
mod nearest;
mod render;
mod resolve;
pub mod resources;
pub mod runfile;
mod schema;
mod secrets;
mod substitute;
mod syntax;
pub mod terms;
mod typed;
mod units;
pub mod valid;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub use codes::{codes, explain, nearest_code};
pub use configuration::{Configuration, configuration};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Span};
pub use diff::{Change, Kind, diff};
pub use nearest::nearest;
pub use resolve::url_variable;
pub use resources::{Resources, resources};
pub use runfile::{RunApp, RunFile, run_file};
pub use schema::schema;

use secrets::Mask;
use typed::Typed;

/// A file as the caller read it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path as the user typed it, for diagnostics.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Everything that a manifest is made of.
#[derive(Clone, Debug)]
pub struct Input {
    /// The folder that relative paths start from: where the base lies.
    pub root: PathBuf,
    /// The manifest.
    pub base: Source,
    /// Laid over the base, the last one on top.
    pub overlays: Vec<Source>,
    /// The environment that `${NAME}` is taken from.
    pub env: BTreeMap<String, String>,
    /// The zone that the node was told it is in, a valid [`zone_name`]; goes before the manifest's own `zone`.
    pub zone: Option<String>,
}

/// What [`check`] found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The valid manifest: Some if and only if there is no error.
    pub manifest: Option<valid::Manifest>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// Reads and checks a manifest. All errors are found in one run, as far as they do not follow from
/// one another.
pub fn check(input: &Input) -> Checked {
    let mut found = Vec::new();
    let mut mask = Mask::default();
    let manifest = tree(input, &mut mask, &mut found)
        .and_then(|tree| valid(tree, input, &mut found))
        .filter(|_| !found.iter().any(|one| one.severity == Severity::Error));
    Checked { manifest, diagnostics: Diagnostics::new(found, input, &mask) }
}

/// The name of a zone, if that can be one.
///
/// # Errors
/// Why it cannot, in a sentence.
pub fn zone_name(text: &str) -> Result<String, String> {
    typed::zone_name(text).map_err(|wrong| match wrong.help {
        Some(help) => format!("{}: {help}", wrong.message),
        None => wrong.message,
    })
}

/// Whether a variable of this name is taken to be secret, whatever it holds.
pub fn is_secret_name(name: &str) -> bool {
    Mask::default().is_secret(name)
}

/// The files as they are written, without the defaults of secret variables.
pub fn masked(input: &Input) -> Vec<Source> {
    let sources = || std::iter::once(&input.base).chain(&input.overlays);
    let mut mask = Mask::default();
    for (file, source) in sources().enumerate() {
        let parsed = yaml::parse(&source.text, file as u32, &mut Vec::new());
        mask.listed.extend(parsed.iter().flat_map(substitute::listed_secrets));
    }
    sources().map(|source| Source { name: source.name.clone(), text: mask.source(&source.text) }).collect()
}

/// All files as one.
struct Tree {
    root: yaml::Node,
    /// The secret values in it.
    secrets: BTreeSet<String>,
    /// What is not in it because an overlay says so.
    removed: Vec<merge::Removed>,
}

/// The merged and substituted tree.
fn tree(input: &Input, mask: &mut Mask, found: &mut Vec<Diagnostic>) -> Option<Tree> {
    let sources = std::iter::once(&input.base).chain(&input.overlays);
    let parsed: Vec<Option<yaml::Node>> =
        sources.enumerate().map(|(file, source)| yaml::parse(&source.text, file as u32, found)).collect();
    for node in parsed.iter().flatten() {
        mask.listed.extend(substitute::listed_secrets(node));
    }
    let mut trees = parsed.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
    let mut root = trees.next()?;
    let removed = trees.flat_map(|overlay| merge::merge(&mut root, overlay, found)).collect();
    let secrets = substitute::substitute(&mut root, &input.env, mask, found);
    Some(Tree { root, secrets, removed })
}

fn valid(tree: Tree, input: &Input, found: &mut Vec<Diagnostic>) -> Option<valid::Manifest> {
    let mut cx = typed::Cx::default();
    let typed = typed::Manifest::decode(&tree.root, &mut cx);
    found.append(&mut cx.found);
    let resolved = typed.and_then(|typed| resolve::resolve(&typed, input.zone.as_deref(), found));
    for removed in &tree.removed {
        found.iter_mut().for_each(|one| removed.explain(one));
    }
    let mut manifest = resolved?;
    manifest.root.clone_from(&input.root);
    manifest.secrets = tree.secrets.into_iter().collect();
    Some(manifest)
}
