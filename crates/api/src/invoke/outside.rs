//! Who is called and is no application of this node: an endpoint that a resource names, or a URL.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use rustls::ClientConfig;
use tonic::body::Body;

use crate::app::{App, Held, Unanswered, Way};
use crate::config::Config;

/// An endpoint that has a name.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Where it is, with a path before those that are called if it has one.
    pub url: Uri,
    /// Headers that every call has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whom it is trusted to be, and as whom to appear to it.
    pub tls: Arc<ClientConfig>,
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Endpoint) -> bool {
        let Endpoint { name, url, headers, tls } = other;
        self.name == *name && self.url == *url && self.headers == *headers && Arc::ptr_eq(&self.tls, tls)
    }
}

/// The ways out.
#[derive(Default)]
pub(crate) struct Outside {
    named: BTreeMap<String, Arc<Outsider>>,
    /// Applications behind a data plane.
    by_way: BTreeMap<String, App>,
    /// Those of URLs, by what is before their paths; of many only some are kept.
    urls: Mutex<BTreeMap<String, Arc<Outsider>>>,
    public: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// Somebody outside.
pub(crate) struct Outsider {
    way: Arc<Way>,
    /// What is before each path.
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Outside {
    /// Ways to those that are declared as they were before are the same, with their connections.
    pub(crate) fn new(config: &Config, before: Option<(&Config, &Outside)>) -> Outside {
        let named = config.endpoints.iter().filter_map(|one| {
            if let Some((declared, ways)) = before
                && declared.endpoints.contains(one)
            {
                return Some((one.name.clone(), ways.named(&one.name)?));
            }
            let outsider = Outsider::new(&one.url, || Ok(Arc::clone(&one.tls)), one.headers.clone()).ok()?;
            Some((one.name.clone(), Arc::new(outsider)))
        });
        let by_way = config.by_way.iter().map(|(name, way)| {
            let same = before.filter(|(declared, _)| declared.by_way.get(name) == Some(way));
            let same = same.and_then(|(_, ways)| ways.by_way(name));
            (name.clone(), same.unwrap_or_else(|| App::new(way)))
        });
        let (urls, public) = match before {
            Some((_, ways)) => {
                let urls = ways.urls.lock().unwrap_or_else(PoisonError::into_inner).clone();
                (Mutex::new(urls), ways.public.clone())
            }
            None => Default::default(),
        };
        Outside { named: named.collect(), by_way: by_way.collect(), urls, public }
    }

    /// The way to an application, if calls of it go by way of a data plane.
    pub(super) fn by_way(&self, id: &str) -> Option<App> {
        self.by_way.get(id).cloned()
    }

    /// The endpoint of this name, if there is one.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Outsider>> {
        self.named.get(name).cloned()
    }

    /// Who is at a URL.
    pub(super) fn at(&self, url: &str) -> Result<Arc<Outsider>, String> {
        let mut urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = urls.get(url) {
            return Ok(Arc::clone(known));
        }
        let parsed: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        let outsider = Arc::new(Outsider::new(&parsed, || self.public(), Vec::new())?);
        if urls.len() >= URLS_MAX {
            urls.pop_first();
        }
        urls.insert(url.to_owned(), Arc::clone(&outsider));
        Ok(outsider)
    }

    fn public(&self) -> Result<Arc<ClientConfig>, String> {
        let new = || components::tls::client(components::tls::Set::default()).map(Arc::new);
        self.public.get_or_init(new).clone()
    }
}

impl Outsider {
    fn new(
        url: &Uri,
        tls: impl FnOnce() -> Result<Arc<ClientConfig>, String>,
        mut headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Outsider, String> {
        let is_secret = url.scheme_str() == Some("https");
        let host =
            url.host().filter(|host| !host.is_empty()).ok_or_else(|| format!("{url} names no host"))?;
        let port = url.port_u16().unwrap_or(if is_secret { 443 } else { 80 });
        let tls = if is_secret { Some(tls()?) } else { None };
        let way = Way::new(host, port, tls, false).ok_or_else(|| format!("{host:?} is no host"))?;
        headers
            .iter_mut()
            .filter(|(name, _)| *name == AUTHORIZATION)
            .for_each(|(_, value)| value.set_sensitive(true));
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Outsider { way: Arc::new(way), path, headers })
    }

    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Held>, Unanswered> {
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        if !self.path.is_empty() {
            let called = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            let path = PathAndQuery::from_maybe_shared(Bytes::from(format!("{}{called}", self.path)));
            let path = path.map_err(|error| Unanswered::Unreachable(error.to_string()))?;
            *request.uri_mut() = Uri::from(path);
        }
        self.way.send(request, None).await
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("named", &self.named.keys()).finish_non_exhaustive()
    }
}

/// Of how many URLs connections are kept.
const URLS_MAX: usize = 64;
