//! Deadlines: a caller that has given up is not worked for.

use std::time::Duration;

use http::{HeaderMap, Response};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;

/// How long the caller waits, if it says so in `grpc-timeout`.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let time = value.to_str().ok().and_then(parse);
    time.map(Some).ok_or_else(|| Status::invalid_argument(format!("grpc-timeout is no time: {value:?}")))
}

/// The answer, or that it was too late.
pub(super) async fn within(
    limit: Option<Duration>,
    answer: impl Future<Output = Response<Body>>,
) -> Response<Body> {
    match limit {
        None => answer.await,
        Some(limit) => timeout(limit, answer)
            .await
            .unwrap_or_else(|_| Status::deadline_exceeded("the caller's deadline has passed").into_http()),
    }
}

/// Up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_digits_and_a_unit() {
        assert_eq!(parse("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for odd in ["", "S", "5", "5s", "-1S", "123456789S", "5é", "+5S"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
