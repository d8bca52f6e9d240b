//! Configuration that is set and deleted, alone and together.

use machine::Entry;
use machine::config::{Edit, What, Write};

use super::{Glance, payload};

/// The store that clients watch.
pub const STORE: &str = "shop";

pub fn entry(glance: &mut Glance<'_>) -> Entry {
    let (mut edits, mut bodies): (Vec<Edit>, Vec<_>) = (Vec::new(), Vec::new());
    for key in ["color", "limit", "mode"] {
        if edits.is_empty() || glance.rng.chance(30) {
            let mut edit = match glance.rng.chance(75) {
                true => {
                    bodies.push(payload(glance.rng, glance.id, bodies.len()));
                    Edit::set(key, bodies.len() as u32 - 1)
                }
                false => Edit::delete(key),
            };
            if let Some(What::Set(set)) = &mut edit.what {
                set.version = glance.rng.pick(&["", "v2"]).to_owned();
            }
            edit.revision = match glance.rng.below(5) {
                0..3 => None,
                3 => Some(glance.model.configs(glance.shard).revision(STORE, key)),
                _ => Some(glance.rng.between(0, 50)),
            };
            edits.push(edit);
        }
    }
    Entry { bodies, ..Entry::new(Write { store: STORE.to_owned(), edits }) }
}
