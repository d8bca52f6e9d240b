//! Why a request was not answered as wanted: `application/problem+json` (RFC 9457), with what to do about it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

/// A request that was refused, or could not be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// What is wrong, for people.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Problem {
    /// With this status and sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), remedy: None }
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// The request makes no sense.
    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The request makes sense, but not here.
    pub fn impossible(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// What is asked for is not there just now.
    pub fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Something of ours has failed.
    pub fn internal(error: impl std::fmt::Display) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Problem {
        self.remedy = Some(remedy.into());
        self
    }

    /// As it is told.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "status": self.status.as_u16(),
            "title": self.status.canonical_reason(),
            "detail": self.detail,
        });
        if let Some(remedy) = &self.remedy {
            document["remedy"] = remedy.as_str().into();
        }
        document
    }
}

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Problem {
        let status = match error.kind() {
            engine::Kind::Invalid | engine::Kind::TooLarge => StatusCode::BAD_REQUEST,
            engine::Kind::NotFound => StatusCode::NOT_FOUND,
            engine::Kind::Conflict | engine::Kind::Reused | engine::Kind::Exists | engine::Kind::Gone => {
                StatusCode::CONFLICT
            }
            engine::Kind::Limit => StatusCode::UNPROCESSABLE_ENTITY,
            engine::Kind::Busy | engine::Kind::Unavailable | engine::Kind::Closed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status, engine::with_causes(&error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = (self.status, Json(self.document())).into_response();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"colony\""));
        }
        answer
    }
}
