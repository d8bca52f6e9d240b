//! Where an answer sends on to (RFC 9110, section 15.4), as browsers and Go's client follow it.

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Uri};

use super::Sent;

/// The request that follows, if the answer asks for one.
pub(super) fn next<B>(sent: &Sent, answer: &Response<B>) -> Option<Sent> {
    let keeps_method = match answer.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return None,
    };
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    let mut next = Sent { uri: resolve(&sent.uri, location)?, ..sent.clone() };
    if !keeps_method && next.method != Method::HEAD {
        next.method = Method::GET;
        next.body.clear();
        next.headers.remove(CONTENT_TYPE);
    }
    // What another host must not know.
    if next.uri.authority() != sent.uri.authority() || next.uri.scheme() != sent.uri.scheme() {
        for secret in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
            next.headers.remove(secret);
        }
        if let Some(name) = &sent.secret {
            next.headers.remove(name);
        }
    }
    Some(next)
}

/// A reference as seen from a URI; None if it is none, or leads to what is no HTTP.
fn resolve(base: &Uri, reference: &str) -> Option<Uri> {
    let reference = reference.split('#').next().unwrap_or_default();
    let whole = match reference {
        _ if reference.contains("://") => reference.to_owned(),
        _ if reference.starts_with("//") => format!("{}:{reference}", base.scheme_str()?),
        _ => {
            let path = match reference {
                "" => base.path_and_query().map_or("/", PathAndQuery::as_str).to_owned(),
                _ if reference.starts_with('/') => reference.to_owned(),
                _ if reference.starts_with('?') => format!("{}{reference}", base.path()),
                _ => {
                    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
                    format!("{folder}/{reference}")
                }
            };
            format!("{}://{}{path}", base.scheme_str()?, base.authority()?)
        }
    };
    let uri: Uri = whole.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https")).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved() {
        let base: Uri = "http://a.test:81/x/y?q=1".parse().expect("a URI");
        let resolved = |reference| resolve(&base, reference).map(|uri| uri.to_string());
        for (reference, whole) in [
            ("https://b.test/z#part", "https://b.test/z"),
            ("//b.test/z", "http://b.test/z"),
            ("/z?r=2", "http://a.test:81/z?r=2"),
            ("z", "http://a.test:81/x/z"),
            ("?r=2", "http://a.test:81/x/y?r=2"),
            ("", "http://a.test:81/x/y?q=1"),
        ] {
            assert_eq!(resolved(reference).as_deref(), Some(whole), "{reference}");
        }
        assert_eq!((resolved("ftp://b.test/"), resolved("http://a b/")), (None, None));
    }
}
