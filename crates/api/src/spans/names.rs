//! What a span is called, of what kind it is and what it says, by what is asked for over HTTP.

use http::{HeaderMap, Method};
use telemetry::span::{Kind, Text, Value};

use super::{block, messaging, named};

pub(super) type Described = (String, Kind, Vec<(Text, Value)>);

/// What a request asks for, by the segments of its path. None: nothing that is worth a span.
pub(super) fn described(method: &Method, path: &[&str]) -> Option<Described> {
    let verb = match *method {
        Method::GET | Method::HEAD => "get",
        Method::DELETE => "delete",
        _ => "put",
    };
    let group = *path.get(1)?;
    let segment = |at: usize| path.get(at).copied().map(decoded).unwrap_or_default();
    let (name, rest) = (segment(2), segment(3));
    let of = |operation: &str| (format!("{operation} {name}"), Kind::Client, block(group, &name, operation));
    Some(match group {
        "invoke" => (format!("invoke {name}"), Kind::Client, vec![named("peer.service", name)]),
        "publish" => {
            let topic =
                path[3.min(path.len())..].iter().map(|one| decoded(one)).collect::<Vec<_>>().join("/");
            (format!("publish {topic}"), Kind::Producer, messaging("publish", "send", &topic, &name))
        }
        "queues" if rest == "send" => {
            (format!("send {name}"), Kind::Producer, messaging("send", "send", &name, "queues"))
        }
        "queues" if rest == "receive" => {
            (format!("receive {name}"), Kind::Client, messaging("receive", "receive", &name, "queues"))
        }
        "state" if ["transaction", "bulk", "query"].contains(&&*rest) => of(&rest),
        "state" if *method == Method::POST || *method == Method::PUT => of("save"),
        "streams" if *method == Method::POST && path.len() == 4 => of("append"),
        "state" | "streams" | "jobs" | "queues" | "bindings" | "configuration" | "secrets" | "lock"
        | "unlock" => of(verb),
        _ => return None,
    })
}

/// A call of another application, which a header names.
pub(super) fn called(headers: &HeaderMap) -> Option<Described> {
    let name = headers.get("dapr-app-id")?.to_str().ok()?.to_owned();
    Some((format!("invoke {name}"), Kind::Client, vec![named("peer.service", name)]))
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(method: Method, path: &str) -> Option<(String, Kind)> {
        let path: Vec<&str> = path.split('/').collect();
        described(&method, &path).map(|(name, kind, _)| (name, kind))
    }

    #[test]
    fn requests_are_named_for_what_they_ask_of_whom() {
        for (method, path, name, kind) in [
            (Method::POST, "v1.0/publish/events/orders/new", "publish orders/new", Kind::Producer),
            (Method::POST, "v1.0/invoke/shop/method/a/7", "invoke shop", Kind::Client),
            (Method::POST, "v1.0/state/store", "save store", Kind::Client),
            (Method::POST, "v1.0/state/store/transaction", "transaction store", Kind::Client),
            (Method::GET, "v1.0/state/st%20re/secret-key", "get st re", Kind::Client),
            (Method::DELETE, "v1.0/state/store/key", "delete store", Kind::Client),
            (Method::POST, "v1.0/queues/mails/send", "send mails", Kind::Producer),
            (Method::POST, "v1.0/streams/orders/7", "append orders", Kind::Client),
            (Method::GET, "v1.0/streams/orders/7", "get orders", Kind::Client),
        ] {
            assert_eq!(is(method, path), Some((name.to_owned(), kind)), "{path}");
        }
        for nothing in ["v1.0/healthz", "v1.0/metadata", "v1.0", "", "v1.0/publish"] {
            let described = is(Method::GET, nothing);
            assert!(described.is_none() || nothing.ends_with("publish"), "{described:?}");
        }
    }
}
