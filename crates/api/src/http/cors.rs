//! What browsers ask and are told of pages of other origins (CORS, as Fetch has it), where origins are allowed.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response};

use super::answer::Said;
use crate::access::Origins;

/// What is to be told of a request, besides its answer.
pub(super) struct Told(Option<HeaderValue>);

/// The answer to a question that a browser asks before the request itself; it asks without a token.
pub(super) fn preflight(origins: &Origins, head: &Parts) -> Option<Response<Said>> {
    let asked = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|method| !method.is_empty())?;
    if *origins == Origins::None || head.method != Method::OPTIONS {
        return None;
    }
    let mut response = Response::new(Said::from(bytes::Bytes::new()));
    let headers = response.headers_mut();
    for name in [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
        headers.append(VARY, name.into());
    }
    let may = Method::from_bytes(asked.as_bytes()).is_ok_and(|method| is_allowed(&method));
    if let Some(origin) = allowed(origins, &head.headers).filter(|_| may) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
        if let Some(asked) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
    Some(response)
}

impl Told {
    pub(super) fn of(origins: &Origins, head: &Parts) -> Option<Told> {
        match origins {
            Origins::None => None,
            origins if is_allowed(&head.method) => Some(Told(allowed(origins, &head.headers))),
            _ => Some(Told(None)),
        }
    }

    pub(super) fn tell(self, headers: &mut HeaderMap) {
        headers.append(VARY, ORIGIN.into());
        if let Some(origin) = self.0 {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
}

/// What a request's origin is told to be, if it may.
fn allowed(origins: &Origins, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN).filter(|origin| origin.to_str().is_ok_and(|text| origins.has(text)))?;
    Some(if *origins == Origins::All { HeaderValue::from_static("*") } else { origin.clone() })
}

fn is_allowed(method: &Method) -> bool {
    matches!(
        *method,
        Method::HEAD | Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE
    ) || *method == Method::OPTIONS
}
