//! `healthz`, and the end.

use http::Method;

use super::answer::{Answer, empty};
use super::call::Call;
use crate::health::other_app;

/// `GET healthz` and `GET healthz/outbound`.
pub(super) fn answer(rest: &[&str], call: Call<'_>) -> Answer {
    match (&call.head.method, rest) {
        (&Method::GET, []) => {
            if let Some(asked) = call.query().get("appid").filter(|asked| *asked != call.api.config.app_id) {
                return Err(other_app(&asked));
            }
            call.api.health.ready()?;
        }
        (&Method::GET, ["outbound"]) => call.api.health.outbound()?,
        _ => return Err(call.no_route()),
    }
    Ok(empty())
}

/// `POST shutdown`.
pub(super) fn shutdown(rest: &[&str], call: Call<'_>) -> Answer {
    if !rest.is_empty() || call.head.method != Method::POST {
        return Err(call.no_route());
    }
    call.api.end();
    Ok(empty())
}
