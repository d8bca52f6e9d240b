//! A system outside: its URLs, which must agree in what holds for all of its instances.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::http::Url;
use crate::resolve::policies::{self, contradiction};
use crate::resolve::zones;
use crate::typed::{self, At, Field};
use crate::valid::{self, Origin};

/// The valid external. None if it cannot be told where it is.
pub(crate) fn resolve(
    external: &typed::External,
    shares: valid::Shares,
    found: &mut Vec<Diagnostic>,
) -> Option<valid::External> {
    let concurrency = policies::concurrency(&external.concurrency, shares, found);
    let Field::Given { key, at } = &external.url else { return None };
    let placed = &at.value.0;
    let urls: Vec<At<&Url>> = placed
        .iter()
        .map(|placed| &placed.value.url)
        .map(|url| At { value: &url.value.0, span: url.span, secret: url.secret })
        .collect();
    let Some(first) = urls.first() else {
        found.push(empty(*key));
        return None;
    };
    for url in &urls[1..] {
        refuse_another(first, url, found);
    }
    urls.iter().for_each(|url| warn_srv(url, found));
    let zones = zones::by_place(placed, place, found);
    let mut origins: Vec<Origin> = Vec::new();
    for url in &urls {
        let origin = Origin {
            host: url.value.host.clone(),
            port: url.value.port,
            srv: url.value.srv.clone(),
            zone: zones.get(&place(url.value)).cloned(),
        };
        if origins.contains(&origin) {
            let one = Diagnostic::warning(codes::NO_EFFECT, url.span, "this URL is listed twice");
            found.push(one.label("again here").help("an instance gets no more for being listed twice"));
        } else {
            origins.push(origin);
        }
    }
    Some(valid::External {
        tls: first.value.tls,
        origins,
        prefix: first.value.path.clone(),
        protocol: external.protocol.unwrap_or(valid::Protocol::Http1),
        concurrency,
    })
}

/// What is one place.
fn place(url: &Url) -> String {
    url.srv.clone().unwrap_or_else(|| url.authority())
}

fn empty(key: Span) -> Diagnostic {
    Diagnostic::error(codes::WRONG_TYPE, key, "`url` is an empty list").label("one URL at least")
}

/// A name that nobody has SRV records for, most likely. Consul has some for plain names, too.
fn warn_srv(url: &At<&Url>, found: &mut Vec<Diagnostic>) {
    let Some(name) = url.value.srv.as_deref() else { return };
    let mut labels = name.split('.');
    let in_form = labels.by_ref().take(2).filter(|label| label.starts_with('_')).count() == 2;
    if (in_form && labels.next().is_some()) || name.ends_with(".consul") {
        return;
    }
    found.push(
        Diagnostic::warning(codes::NO_EFFECT, url.span, format!("`{name}` is no name for SRV records"))
            .label("most likely there are none, so no instance is found")
            .help(format!(
                "write `_SERVICE._PROTOCOL.DOMAIN` (RFC 2782), such as `http+srv://_http._tcp.{name}`, or leave \
                 out `+srv` to reach the addresses of `{name}`"
            )),
    );
}

/// A request is written before an instance of it is chosen.
fn refuse_another(first: &At<&Url>, url: &At<&Url>, found: &mut Vec<Diagnostic>) {
    let what = match (first.value.tls == url.value.tls, first.value.path == url.value.path) {
        (true, true) => return,
        (false, _) => "scheme",
        (true, false) => "path",
    };
    found.push(
        contradiction(url.span, format!("the URLs of one external have the same {what}"))
            .label(format!("another {what} than"))
            .also(first.span, "this")
            .help("declare it as an external of its own"),
    );
}

/// The DNS servers to ask.
pub(crate) fn resolver(typed: &typed::Manifest, found: &mut Vec<Diagnostic>) -> Vec<std::net::SocketAddr> {
    let Field::Given { key, at } = &typed.resolver else { return Vec::new() };
    if at.value.0.is_empty() {
        let one = Diagnostic::error(codes::WRONG_TYPE, *key, "`resolver` is an empty list");
        found.push(one.label("one address at least").help("leave it out to ask those of /etc/resolv.conf"));
    }
    if typed.externals.is_absent() {
        found.push(
            Diagnostic::warning(codes::NO_EFFECT, *key, "`resolver` has no effect without `externals`")
                .label("only their names are looked up"),
        );
    }
    at.value.0.iter().map(|server| server.value.0).collect()
}
