//! Who visits: a random id in a cookie. A demonstration shop asks for no more.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::chance;
use crate::extract::check_customer;

/// A visitor, known from an earlier page or new.
pub struct Visitor {
    id: String,
    new: bool,
}

impl Visitor {
    /// Their name as a customer.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether this is their first page, so that they can't have a cart or orders.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// The answer, with the cookie if they have none yet, and with the headers of every page.
    pub fn welcome(self, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.new {
            let cookie = format!("{COOKIE}={}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", self.id);
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                headers.append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = known(&parts.headers);
        let new = known.is_none();
        Ok(Visitor { id: known.unwrap_or_else(|| chance::id("c")), new })
    }
}

fn known(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, id) = pairs.find(|(name, _)| *name == COOKIE)?;
    check_customer(id).ok().map(|()| id.to_owned())
}

const COOKIE: &str = "customer";
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_believed_only_if_it_could_be_ours() {
        let with = |cookie: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
            known(&headers)
        };
        assert_eq!(with("a=b; customer=c-1; d=e"), Some("c-1".to_owned()));
        assert_eq!(with("customer=<script>"), None);
        assert_eq!(with("other=1"), None);
    }
}
