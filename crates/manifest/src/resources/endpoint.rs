//! Resources of kind `HTTPEndpoint`: who is outside, has a name, and is called as applications are.

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::typed::{At, Cx, Field, List, Text, Typed, keys};
use crate::yaml::{Node, clip};

use super::{API_VERSION, Auth, Given, Item, Meta, Reader, SecretRef, Setting};
use crate::typed::AsWritten;

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Where that is written.
    pub span: Span,
    /// Headers that every call has.
    pub headers: Vec<Setting>,
    /// The authority that it is to be trusted by, if not those of the public.
    pub root: Option<Setting>,
    /// A certificate to appear with.
    pub certificate: Option<Setting>,
    /// Its key.
    pub key: Option<Setting>,
    scopes: Vec<String>,
}

keys! {
    /// A resource of kind `HTTPEndpoint`.
    Resource, "an endpoint";
    /// `dapr.io/v1alpha1`.
    "apiVersion" => api_version: Text = required,
    /// `HTTPEndpoint`.
    "kind" => kind: Text = required,
    /// What it is called.
    "metadata" => metadata: Meta = required,
    /// Where it is.
    "spec" => spec: Spec = required,
    /// Where its secrets are.
    "auth" => auth: Auth,
    /// The ids of the applications that may call it. Default: all.
    "scopes" => scopes: List<Text>,
}

keys! {
    /// Where it is.
    Spec, "an endpoint's spec";
    /// A URL.
    "baseUrl" => url: Text = required,
    /// Headers that every call has.
    "headers" => headers: List<Item>,
    /// How TLS is spoken with it.
    "clientTLS" => tls: Tls,
}

keys! {
    /// How TLS is spoken.
    Tls, "`clientTLS`";
    /// The authority to trust, in PEM.
    "rootCA" => root: Pem,
    /// A certificate to appear with, in PEM.
    "certificate" => certificate: Pem,
    /// Its key, in PEM.
    "privateKey" => key: Pem,
    /// Has no effect here.
    "renegotiation" => renegotiation: Text,
}

keys! {
    /// A text in PEM.
    Pem, "a text in PEM";
    /// It.
    "value" => value: AsWritten,
    /// The secret that it is.
    "secretKeyRef" => secret: SecretRef,
}

impl Endpoint {
    /// Whether this application may call it.
    pub fn is_for(&self, app_id: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope == app_id)
    }
}

impl Reader<'_> {
    pub(super) fn endpoint(&mut self, node: &Node) {
        let mut cx = Cx::default();
        let typed = Resource::decode(node, &mut cx);
        let broken = !cx.found.is_empty();
        self.found.append(&mut cx.found);
        let Some(resource) = typed.filter(|_| !broken) else { return };
        if let Some(version) = resource.api_version.get().filter(|version| version.value.0 != API_VERSION) {
            let message = format!("there are no endpoints of version `{}`", clip(&version.value.0));
            let one = Diagnostic::error(codes::UNSERVED, version.span, message);
            self.found.push(one.label(format!("write `{API_VERSION}`")));
        }
        let (Some(meta), Some(spec)) = (resource.metadata.value(), resource.spec.value()) else { return };
        let (Some(name), Some(url)) = (meta.name.value(), spec.url.get()) else { return };
        let is_url = ["http://", "https://"].iter().any(|scheme| url.value.0.starts_with(scheme));
        if !is_url {
            let message = format!("`{}` is no URL that can be called", clip(&url.value.0));
            let one = Diagnostic::error(codes::URL, url.span, message);
            self.found.push(one.label("write `http://HOST` or `https://HOST`"));
            return;
        }
        let secrets =
            resource.auth.value().and_then(|auth| auth.secret_store.value()).map(|text| text.0.as_str());
        let items = spec.headers.value().map_or(&[][..], |list| &list.items);
        let headers: Option<Vec<_>> = items.iter().map(|item| self.setting(item, secrets)).collect();
        let tls = spec.tls.value();
        let mut pem = |of: fn(&Tls) -> &Field<Pem>| -> Option<Option<Setting>> {
            match tls.and_then(|tls| of(tls).get()) {
                Some(at) => self.pem(at, secrets).map(Some),
                None => Some(None),
            }
        };
        let (root, certificate, key) =
            (pem(|tls| &tls.root), pem(|tls| &tls.certificate), pem(|tls| &tls.key));
        let (Some(headers), Some(root), Some(certificate), Some(key)) = (headers, root, certificate, key)
        else {
            return;
        };
        let scopes = resource.scopes.value().map_or(&[][..], |scopes| &scopes.items);
        self.endpoints.push(Endpoint {
            name: name.0.clone(),
            url: url.value.0.clone(),
            span: url.span,
            headers,
            root,
            certificate,
            key,
            scopes: scopes.iter().map(|at| at.value.0.clone()).collect(),
        });
    }

    fn pem(&mut self, at: &At<Pem>, secrets: Option<&str>) -> Option<Setting> {
        let value = match (&at.value.secret, &at.value.value) {
            (Field::Given { at, key }, _) => self.secret(at, *key, secrets)?,
            (_, Field::Given { at, .. }) => Given::Text(at.value.0.clone()),
            _ => Given::Text(String::new()),
        };
        Some(Setting { name: String::new(), value, span: at.span })
    }
}
