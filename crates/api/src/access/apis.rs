//! Which groups of endpoints are open, for each transport: `spec.api` of a configuration.
//!
//! A group is known by its name and its version. What is closed is as if it were not there. A list of what is open closes all
//! else, also groups that are not known here yet.

use std::collections::BTreeSet;

/// What is open over each transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apis {
    /// Over HTTP.
    pub http: Open,
    /// Over gRPC.
    pub grpc: Open,
}

/// Which groups are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// If there are any, these and no others.
    pub allowed: BTreeSet<Group>,
    /// None of these, whatever is allowed.
    pub denied: BTreeSet<Group>,
}

/// A group of endpoints: its version as it is in a path, such as `v1.0-alpha1`, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    version: String,
    name: String,
}

impl Group {
    /// The group of a name; a version may be written as over either transport: `v1` and `v1.0` are one.
    pub fn new(name: &str, version: &str) -> Group {
        let version = match version.strip_prefix("v1") {
            Some("" | ".0") => "v1.0".to_owned(),
            Some(stage) if stage.starts_with(char::is_alphabetic) => format!("v1.0-{stage}"),
            _ => version.to_owned(),
        };
        Group { version, name: name.to_owned() }
    }
}

impl Open {
    /// Whether this group is.
    pub(crate) fn is_to(&self, version: &str, name: &str) -> bool {
        if self.allowed.is_empty() && self.denied.is_empty() {
            return true;
        }
        let is_in = |all: &BTreeSet<Group>| all.iter().any(|one| one.name == name && one.version == version);
        !is_in(&self.denied) && (self.allowed.is_empty() || is_in(&self.allowed))
    }

    /// Whether everything is.
    pub(crate) fn is_to_all(&self) -> bool {
        self.allowed.is_empty() && self.denied.is_empty()
    }
}

/// The version and the group of a method, by its path; none of what is no method of the API.
pub(crate) fn of_grpc(path: &str) -> Option<(&'static str, &'static str)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let stem = ["Alpha1", "Alpha2", "Beta1"].into_iter().find_map(|stage| method.strip_suffix(stage));
    let version = match &method[stem.map_or(method.len(), str::len)..] {
        "Alpha1" => "v1.0-alpha1",
        "Alpha2" => "v1.0-alpha2",
        "Beta1" => "v1.0-beta1",
        _ => "v1.0",
    };
    match service {
        "dapr.proto.runtime.v1.Dapr" => Some((version, group(stem.unwrap_or(method)))),
        _ => {
            let own = service.strip_prefix("colony.v1.")?;
            OURS.into_iter().find(|(name, _)| *name == own).map(|(_, group)| ("v1.0", group))
        }
    }
}

/// The group of a method of Dapr's service, its stage left out. What is not known is in a group that nobody allows.
fn group(method: &str) -> &'static str {
    let word = |word: &str| method.contains(word);
    match method {
        "InvokeService" => "invoke",
        "PublishEvent" | "BulkPublishEvent" => "publish",
        "InvokeBinding" => "bindings",
        "GetMetadata" | "SetMetadata" => "metadata",
        "Shutdown" => "shutdown",
        "SubscribeTopicEvents" => "subscribe",
        "TryLock" => "lock",
        "Unlock" => "unlock",
        "Encrypt" | "Decrypt" => "crypto",
        "Converse" => "conversation",
        _ if word("Actor") => "actors",
        _ if word("Workflow") => "workflows",
        _ if method.starts_with("Subtle") => "subtlecrypto",
        _ if word("Secret") => "secrets",
        _ if word("Configuration") => "configuration",
        _ if word("Job") => "jobs",
        _ if word("State") => "state",
        _ => "",
    }
}

/// Colony's own services, and their groups.
const OURS: [(&str, &str); 3] = [("Queues", "queues"), ("Streams", "streams"), ("Topics", "topics")];

#[cfg(test)]
mod tests {
    use super::*;

    fn open(allowed: &[(&str, &str)], denied: &[(&str, &str)]) -> Open {
        let groups =
            |all: &[(&str, &str)]| all.iter().map(|(name, version)| Group::new(name, version)).collect();
        Open { allowed: groups(allowed), denied: groups(denied) }
    }

    #[test]
    fn what_is_allowed_is_all_that_is_and_what_is_denied_is_closed() {
        let all = Open::default();
        assert!(all.is_to("v1.0", "state") && all.is_to_all());
        let some =
            open(&[("state", "v1"), ("lock", "v1.0-alpha1"), ("publish", "v1.0")], &[("publish", "v1")]);
        let is = |version, name| some.is_to(version, name);
        assert!(is("v1.0", "state") && is("v1.0-alpha1", "lock"));
        assert!(
            !is("v1.0", "publish") && !is("v1.0", "lock") && !is("v1.0-alpha1", "state") && !is("v1.0", "")
        );
        let rest = open(&[], &[("jobs", "v1alpha1")]);
        assert!(rest.is_to("v1.0", "jobs") && !rest.is_to("v1.0-alpha1", "jobs"));
    }

    #[test]
    fn methods_are_in_groups() {
        let dapr = |method: &str| of_grpc(&format!("/dapr.proto.runtime.v1.Dapr/{method}"));
        for (method, version, name) in [
            ("InvokeService", "v1.0", "invoke"),
            ("GetBulkState", "v1.0", "state"),
            ("ExecuteStateTransaction", "v1.0", "state"),
            ("QueryStateAlpha1", "v1.0-alpha1", "state"),
            ("BulkPublishEventAlpha1", "v1.0-alpha1", "publish"),
            ("GetBulkSecret", "v1.0", "secrets"),
            ("SubscribeConfigurationAlpha1", "v1.0-alpha1", "configuration"),
            ("DeleteJobsByPrefix", "v1.0", "jobs"),
            ("TryLockAlpha1", "v1.0-alpha1", "lock"),
            ("SubscribeTopicEventsAlpha1", "v1.0-alpha1", "subscribe"),
            ("ExecuteActorStateTransaction", "v1.0", "actors"),
            ("StartWorkflowBeta1", "v1.0-beta1", "workflows"),
            ("ConverseAlpha2", "v1.0-alpha2", "conversation"),
            ("Dance", "v1.0", ""),
        ] {
            assert_eq!(dapr(method), Some((version, name)), "{method}");
        }
        assert_eq!(of_grpc("/colony.v1.Queues/Send"), Some(("v1.0", "queues")));
        assert_eq!(of_grpc("/colony.v1.Topics/Seek"), Some(("v1.0", "topics")));
        assert_eq!(
            (of_grpc("/grpc.health.v1.Health/Check"), of_grpc("/shop.Orders/Get"), of_grpc("x")),
            (None, None, None)
        );
    }
}
