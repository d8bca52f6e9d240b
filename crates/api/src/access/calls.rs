//! Which applications may call which operations of this one: `spec.accessControl` of a configuration.
//!
//! It is the called one's configuration that counts. Who calls is known by the listener that it has asked on, and not by
//! what it says. Of several operations that fit a path the one that says most goes before: segment by segment, a text before
//! a text with a `*` at its end, that before a `*`, and that before the `**` that stands for any rest.
//!
//! An application that speaks HTTP is called by paths that it decodes once more. A path that is another one then is denied: it
//! could be allowed as the one and understood as the other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode_str;

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The domain that this application is of, as a caller. Default `public`.
    pub trust_domain: String,
    /// Who may call it. Default: all may.
    pub calls: Option<Calls>,
}

/// Who may call an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Whether those may that no policy is for.
    pub allow: bool,
    /// What holds for callers, by their ids.
    pub policies: BTreeMap<String, Vec<Policy>>,
}

/// What a caller may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its namespace.
    pub namespace: String,
    /// Its domain.
    pub trust_domain: String,
    /// Whether it may call what no operation is for. Default: as for those whom no policy is for.
    pub allow: Option<bool>,
    /// What holds for some operations.
    pub operations: Vec<Operation>,
}

/// Some operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    segments: Vec<Segment>,
    verbs: Vec<String>,
    allow: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// Any number of any segments.
    Rest,
    Any,
    /// How it begins.
    Prefix(String),
    Text(String),
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) app_id: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) trust_domain: &'a str,
    /// The path, or the full name of a method.
    pub(crate) operation: &'a str,
    /// The verb, if one is named.
    pub(crate) verb: Option<&'a str>,
    /// Whether the called application speaks gRPC, so that the verb does not matter.
    pub(crate) is_grpc: bool,
}

/// Whether two texts are the same.
type Same = fn(&str, &str) -> bool;

/// That a call was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied(String);

impl Default for Access {
    fn default() -> Access {
        Access { trust_domain: TRUST_DOMAIN.to_owned(), calls: None }
    }
}

impl Operation {
    /// Operations with a path such as `/orders/*` or `/**`, asked for with one of these verbs, or with any if one is `*`.
    pub fn new(path: &str, verbs: Vec<String>, allow: bool) -> Operation {
        let segments = path.trim_matches('/').split('/').map(|segment| match segment.strip_suffix('*') {
            None => Segment::Text(segment.to_owned()),
            Some("") => Segment::Any,
            Some("*") => Segment::Rest,
            Some(prefix) => Segment::Prefix(prefix.to_owned()),
        });
        Operation { segments: segments.collect(), verbs, allow }
    }

    fn fits(&self, path: &[&str], is_same: Same) -> bool {
        let begins =
            |text: &str, prefix: &str| text.get(..prefix.len()).is_some_and(|head| is_same(head, prefix));
        for (at, segment) in self.segments.iter().enumerate() {
            let Some(asked) = path.get(at) else { return false };
            let fits = match segment {
                Segment::Rest => return true,
                Segment::Any => !asked.is_empty(),
                Segment::Prefix(prefix) => begins(asked, prefix),
                Segment::Text(text) => is_same(asked, text),
            };
            if !fits {
                return false;
            }
        }
        path.len() == self.segments.len()
    }

    fn is_for(&self, verb: &str) -> bool {
        self.verbs.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(verb))
    }
}

impl Calls {
    /// Whether a call may be made.
    ///
    /// # Errors
    ///
    /// If it may not.
    pub(crate) fn check(&self, asked: &Asked<'_>) -> Result<(), Denied> {
        match self.allows(asked) {
            true => Ok(()),
            false => Err(Denied(format!(
                "access control policy has denied access to id: spiffe://{}/ns/{}/{} operation: {} verb: {}",
                asked.trust_domain,
                asked.namespace,
                asked.app_id,
                asked.operation.trim_start_matches('/'),
                asked.verb.unwrap_or("NONE")
            ))),
        }
    }

    fn allows(&self, asked: &Asked<'_>) -> bool {
        let policies = self.policies.get(asked.app_id).map_or(&[][..], Vec::as_slice);
        let of_caller =
            |one: &&Policy| one.namespace == asked.namespace && one.trust_domain == asked.trust_domain;
        let Some(policy) = policies.iter().find(of_caller) else { return self.allow };
        let default = policy.allow.unwrap_or(self.allow);
        let (path, is_same): (Option<Cow<'_, str>>, Same) = match asked.is_grpc {
            true => (Some(asked.operation.into()), |one, other| one == other),
            false => (understood(asked.operation), |one, other| one.to_lowercase() == other.to_lowercase()),
        };
        let Some(path) = path else { return false };
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let fitting = policy.operations.iter().filter(|one| one.fits(&segments, is_same));
        let Some(operation) = fitting.max_by(|one, other| one.segments.cmp(&other.segments)) else {
            return default;
        };
        match asked.verb {
            _ if asked.is_grpc => operation.allow,
            Some(verb) if operation.is_for(verb) => operation.allow,
            Some(_) => default,
            None => policy.allow.unwrap_or(false),
        }
    }
}

/// A path as an application understands it that decodes it; none if that is another path.
fn understood(path: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let odd = |segment: &str| matches!(segment, "" | "." | "..") || segment.contains(['\\', '\0']);
    let inner = decoded.trim_matches('/');
    let is_odd = !inner.is_empty() && inner.split('/').any(odd);
    // More slashes than were sent are parts of what was one segment.
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    (!is_odd && slashes(&decoded) == slashes(path)).then_some(decoded)
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The domain of those for whom none is set.
const TRUST_DOMAIN: &str = "public";

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(default: bool, allow: Option<bool>, operations: &[(&str, &[&str], bool)]) -> Calls {
        let operation = |(path, verbs, allow): &(&str, &[&str], bool)| {
            Operation::new(path, verbs.iter().map(|verb| (*verb).to_owned()).collect(), *allow)
        };
        let policy = Policy {
            namespace: "default".to_owned(),
            trust_domain: "public".to_owned(),
            allow,
            operations: operations.iter().map(operation).collect(),
        };
        Calls { allow: default, policies: [("shop".to_owned(), vec![policy])].into() }
    }

    fn asked<'a>(operation: &'a str, verb: &'a str) -> Asked<'a> {
        Asked {
            app_id: "shop",
            namespace: "default",
            trust_domain: "public",
            operation,
            verb: Some(verb),
            is_grpc: false,
        }
    }

    #[test]
    fn who_has_no_policy_may_what_all_may() {
        let closed = calls(false, Some(true), &[]);
        assert!(closed.allows(&asked("/x", "GET")));
        assert!(!closed.allows(&Asked { app_id: "other", ..asked("/x", "GET") }));
        assert!(!closed.allows(&Asked { namespace: "other", ..asked("/x", "GET") }));
        assert!(!closed.allows(&Asked { trust_domain: "other", ..asked("/x", "GET") }));
        let open = calls(true, Some(false), &[]);
        assert!(
            !open.allows(&asked("/x", "GET"))
                && open.allows(&Asked { app_id: "other", ..asked("/x", "GET") })
        );
        assert!(calls(true, None, &[]).allows(&asked("/x", "GET")));
    }

    #[test]
    fn the_operation_that_says_most_goes_before() {
        let calls = calls(
            false,
            None,
            &[
                ("/**", &["*"], true),
                ("orders/*", &["*"], false),
                ("/orders/list", &["GET", "put"], true),
                ("/orders/pub*", &["*"], true),
                ("/orders/*/items", &["*"], true),
                ("/admin/**", &["*"], false),
            ],
        );
        for (path, verb, allowed) in [
            ("/", "GET", true),
            ("/x/y", "GET", true),
            ("/orders/7", "GET", false),
            ("/orders/list", "GET", true),
            ("/Orders/LIST", "PUT", true),
            ("/orders/list", "POST", false),
            ("/orders/public", "GET", true),
            ("/orders/7/items", "GET", true),
            ("/orders/7/other", "GET", true),
            ("/admin/a/b", "GET", false),
            ("/admin", "GET", true),
        ] {
            assert_eq!(calls.allows(&asked(path, verb)), allowed, "{verb} {path}");
        }
    }

    #[test]
    fn a_path_that_is_another_one_decoded_is_denied() {
        let calls = calls(true, Some(true), &[("/open/**", &["*"], true)]);
        for path in ["/open/%2e%2e/x", "/open%2Fx", "/open/a%5cb", "/open/%00", "/open/%ff", "/open//x"] {
            assert!(!calls.allows(&asked(path, "GET")), "{path}");
        }
        for path in ["/open/%61", "/open/a%20b", "/%6fpen/x"] {
            assert!(calls.allows(&asked(path, "GET")), "{path}");
        }
        let closed = self::calls(true, Some(true), &[("/admin", &["*"], false)]);
        assert!(!closed.allows(&asked("/%61dmin", "GET")) && !closed.allows(&asked("/admin/", "GET")));
    }

    #[test]
    fn verbs_do_not_matter_to_who_speaks_grpc() {
        let calls = calls(false, None, &[("/shop.Orders/Get", &[], true)]);
        let method = |operation| Asked { verb: None, is_grpc: true, ..asked(operation, "") };
        assert!(calls.allows(&method("/shop.Orders/Get")) && !calls.allows(&method("/shop.Orders/get")));
        assert!(!calls.allows(&asked("/shop.Orders/Get", "GET")), "over HTTP it is for no verb");
        let refused = calls.check(&method("/shop.Orders/Put")).unwrap_err().to_string();
        let id = "spiffe://public/ns/default/shop";
        assert_eq!(
            refused,
            format!(
                "access control policy has denied access to id: {id} operation: shop.Orders/Put verb: NONE"
            )
        );
    }
}
