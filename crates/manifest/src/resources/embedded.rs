//! What is kept by Colony instead of by a server that would have to be there.

use super::Setting;

/// Colony's own type of what a component of `kind` is, if there is one and it is not one already. Takes the settings out that say
/// something to that server alone.
pub(super) fn instead_of(kind: &str, settings: &mut Vec<Setting>) -> Option<String> {
    let (family, keeper) = kind.split_once('.')?;
    let (_, kept) = FAMILIES.iter().find(|(known, _)| *known == family)?;
    if OWN.contains(&keeper) {
        return None;
    }
    settings.retain(|one| kept.iter().any(|name| one.name.eq_ignore_ascii_case(name)));
    Some(format!("{family}.colony"))
}

/// What can be kept by Colony, and the settings that mean something there.
const FAMILIES: [(&str, &[&str]); 4] = [
    ("configuration", &[]),
    ("lock", &["keyPrefix"]),
    ("pubsub", &["consumerID", "allowedTopics", "protectedTopics", "publishingScopes", "subscriptionScopes"]),
    ("state", &["keyPrefix"]),
];
/// How types of Colony's own end.
const OWN: [&str; 2] = ["colony", "in-memory"];
