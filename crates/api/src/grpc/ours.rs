//! What Colony's own services share: stretches and points of time; and what is done once, which holds for Dapr's as well.

use std::time::Duration;

use engine::blocks::{Idempotency, Time};
use prost::Message;
use prost_types::Timestamp;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::api::Api;
use crate::error::Error;
use crate::idempotency;

/// What a write asks for, and what it is done once under, if its metadata says so.
pub(super) fn asked<T: Message>(
    api: &Api,
    method: &str,
    request: Request<T>,
) -> Result<(T, Option<Idempotency>), Error> {
    let once = once(api, method, request.metadata(), request.get_ref())?;
    Ok((request.into_inner(), once))
}

/// What a message is acted on once under, if the metadata beside it says so.
pub(super) fn once(
    api: &Api,
    method: &str,
    head: &MetadataMap,
    message: &impl Message,
) -> Result<Option<Idempotency>, Error> {
    let key = idempotency::key(head.as_ref())?;
    Ok(key.map(|key| {
        let parts = [method.as_bytes(), &message.encode_to_vec()];
        idempotency::once(&api.config.app_id, key, &parts)
    }))
}

/// A stretch of time, where one is given.
pub(super) fn duration(
    given: Option<prost_types::Duration>,
    invalid: fn(String) -> Error,
) -> Result<Option<Duration>, Error> {
    let duration = given.map(|given| {
        Duration::try_from(given).map_err(|_| invalid(format!("{given:?} is no stretch of time")))
    });
    duration.transpose()
}

/// A point in time, where one is given.
pub(super) fn instant(given: Option<Timestamp>, invalid: fn(String) -> Error) -> Result<Option<Time>, Error> {
    let instant = given.map(|given| {
        let millis = given.seconds.checked_mul(1_000);
        let millis = millis.and_then(|millis| millis.checked_add(i64::from(given.nanos) / 1_000_000));
        let millis = millis.and_then(|millis| u64::try_from(millis).ok());
        let fits = millis.filter(|_| (0..1_000_000_000).contains(&given.nanos));
        fits.map(Time::from_millis).ok_or_else(|| invalid(format!("{given:?} is no time since 1970")))
    });
    instant.transpose()
}

/// As it is told.
pub(super) fn told_instant(millis: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
    Some(Timestamp { seconds, nanos: (millis % 1_000 * 1_000_000) as i32 })
}

/// As it is told.
pub(super) fn told_duration(millis: u64) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(Duration::from_millis(millis)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_since_1970() {
        let invalid: fn(String) -> Error = |message| Error::bad_request(message);
        let of = |seconds, nanos| {
            instant(Some(Timestamp { seconds, nanos }), invalid).map(|at| at.unwrap().as_millis())
        };
        assert_eq!(of(1, 999_999_999), Ok(1_999));
        for (seconds, nanos) in [(-1, 0), (i64::MAX, 0), (1, -1), (1, 1_000_000_000)] {
            assert!(of(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
        assert_eq!(told_instant(1_999), Some(Timestamp { seconds: 1, nanos: 999_000_000 }));
        assert_eq!(duration(told_duration(1_500), invalid), Ok(Some(Duration::from_millis(1_500))));
        assert!(duration(Some(prost_types::Duration { seconds: -1, nanos: 0 }), invalid).is_err());
    }
}
