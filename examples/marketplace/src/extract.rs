//! Reading requests, so that what is wrong with one is told as a [`Problem`].

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Body(value)),
            Err(rejection) => {
                let (status, detail) = (rejection.status(), rejection.body_text());
                Err(Problem::new(status, "invalid-body", "The body is not what was expected", detail))
            }
        }
    }
}

/// Query parameters.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Params(value)),
            Err(rejection) => Err(Problem::invalid(rejection.body_text())),
        }
    }
}

/// The `Idempotency-Key` of a request, if it has one.
///
/// # Errors
/// 400 when the key is empty, longer than [`KEY_BYTES_MAX`] or not visible ASCII.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let detail = format!("Idempotency-Key must be 1 to {KEY_BYTES_MAX} characters of visible ASCII.");
        return Err(Problem::invalid(detail));
    }
    Ok(Some(key.to_owned()))
}

/// Refuses a customer id that is not 1 to [`CUSTOMER_BYTES_MAX`] letters, digits, `-`, `_` or `.`.
///
/// # Errors
/// 400 that says so.
pub fn check_customer(customer: &str) -> Result<(), Problem> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !customer.is_empty() && customer.len() <= CUSTOMER_BYTES_MAX && customer.bytes().all(good) {
        return Ok(());
    }
    let detail = format!(
        "A customer is named with 1 to {CUSTOMER_BYTES_MAX} letters, digits, hyphens, dots or underscores."
    );
    Err(Problem::invalid(detail))
}

/// Answers a request that no route is for.
pub async fn no_route(method: axum::http::Method, uri: axum::http::Uri) -> Problem {
    Problem::not_found(format!("Nothing answers {method} {}.", uri.path()))
}

/// Answers a method that a path doesn't have.
pub async fn no_method(method: axum::http::Method, uri: axum::http::Uri) -> Problem {
    let detail = format!("{} doesn't answer {method}.", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
}

/// Longest `Idempotency-Key`.
pub const KEY_BYTES_MAX: usize = 200;
/// Longest customer id.
pub const CUSTOMER_BYTES_MAX: usize = 64;
