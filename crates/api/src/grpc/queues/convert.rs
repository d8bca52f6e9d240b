//! Messages of queues to what the building block has, and back.

use std::collections::BTreeMap;

use engine::blocks::queue::{self, Failure, Header, Ledger, Rate, Reason, Receipt, Sent, Settings, Standing};

use super::super::ours::{duration, instant, told_duration, told_instant};
use crate::error::Error;
use crate::payload::Payload;
use crate::proto::colony::v1::{
    FailureReason, ItemFailure, ItemLease, ItemState, NewItem, Queue, QueueCounts, QueueItem, QueueRate,
    QueueSettings, ReceivedItem, SentItem, SettleResponse,
};
use crate::queues::{Found, Item, Work, invalid};

pub(super) fn item(item: NewItem) -> Result<Item, Error> {
    let NewItem { data, content_type, headers, key, priority, delay, at, ttl, dedup_id } = item;
    let headers = headers.into_iter().map(|(name, value)| Header { name, value: value.into() }).collect();
    let rest = queue::Item {
        headers,
        key,
        priority,
        delay: duration(delay, invalid)?.unwrap_or_default(),
        at: instant(at, invalid)?,
        ttl: duration(ttl, invalid)?,
        dedup_id,
        ..queue::Item::default()
    };
    Ok(Item { payload: Payload { data, content_type }, rest })
}

pub(super) fn sent(outcome: Result<Sent, Error>) -> SentItem {
    match outcome {
        Ok(sent) => SentItem { id: sent.id.to_string(), duplicate: sent.duplicate, ..SentItem::default() },
        Err(error) => SentItem { error: error.message, ..SentItem::default() },
    }
}

pub(super) fn received(work: Work) -> ReceivedItem {
    let Work { payload, rest } = work;
    ReceivedItem {
        id: rest.receipt.id().to_string(),
        receipt: rest.receipt.to_string(),
        until: told_instant(rest.until.as_millis()),
        attempt: rest.attempt,
        sent: told_instant(rest.sent.as_millis()),
        priority: rest.priority,
        key: rest.key,
        headers: told_headers(&rest.headers),
        data: payload.data,
        content_type: payload.content_type,
    }
}

pub(super) fn settled(fenced: Vec<Receipt>) -> SettleResponse {
    SettleResponse { fenced: fenced.iter().map(Receipt::to_string).collect() }
}

pub(super) fn counts(name: String, of: &Ledger) -> Queue {
    let counts = QueueCounts {
        ready: of.ready,
        delayed: of.delayed,
        blocked: of.blocked,
        leased: of.leased,
        dead: of.dead,
    };
    Queue { name, defined: of.defined, paused: of.paused, counts: Some(counts), settings: None }
}

pub(super) fn settings(of: &Settings) -> QueueSettings {
    let is = of.with_defaults();
    QueueSettings {
        attempts_max: Some(is.attempts_max),
        lease: told_duration(is.visibility_ms),
        backoff: is.backoff_ms.and_then(told_duration),
        backoff_max: told_duration(is.backoff_ms_max),
        dead_letters: is.dead_letters,
        dead_letters_expired: is.dead_letters_expired,
        dedup_window: is.dedup_window_ms.and_then(told_duration),
        concurrency: is.concurrency,
        key_concurrency: is.key_concurrency,
        rate: is.rate.map(told_rate),
        key_rate: is.key_rate.map(told_rate),
        length_max: Some(is.length_max),
        spread: is.spread,
    }
}

fn told_rate(rate: Rate) -> QueueRate {
    QueueRate { count: rate.count, per: told_duration(rate.per_ms), burst: rate.burst }
}

pub(super) fn lowered(settings: QueueSettings) -> Result<Settings, Error> {
    let millis = |given: Option<prost_types::Duration>| {
        let given = duration(given, invalid)?;
        Ok::<_, Error>(given.map(|given| u64::try_from(given.as_millis()).unwrap_or(u64::MAX)))
    };
    let rate = |given: Option<QueueRate>| match given {
        None => Ok(None),
        Some(QueueRate { count, per, burst }) => {
            Ok::<_, Error>(Some(Rate { count, per_ms: millis(per)?.unwrap_or_default(), burst }))
        }
    };
    Ok(Settings {
        attempts_max: settings.attempts_max.unwrap_or_default(),
        visibility_ms: millis(settings.lease)?.unwrap_or_default(),
        backoff_ms: millis(settings.backoff)?,
        backoff_ms_max: millis(settings.backoff_max)?.unwrap_or_default(),
        dead_letters: settings.dead_letters,
        dead_letters_expired: settings.dead_letters_expired,
        dedup_window_ms: millis(settings.dedup_window)?,
        concurrency: settings.concurrency,
        key_concurrency: settings.key_concurrency,
        rate: rate(settings.rate)?,
        key_rate: rate(settings.key_rate)?,
        length_max: settings.length_max.unwrap_or_default(),
        spread: settings.spread,
    })
}

pub(super) fn queue_item(found: Found) -> QueueItem {
    let Found { id, payload, peeked } = found;
    let item = peeked.item;
    let mut told = QueueItem {
        id: id.to_string(),
        state: ItemState::Ready.into(),
        sent: told_instant(item.sent_ms),
        ready: None,
        expires: told_instant(item.expires_ms).filter(|_| item.expires_ms > 0),
        priority: item.priority,
        key: item.key,
        headers: told_headers(&item.headers),
        data: payload.data,
        content_type: payload.content_type,
        lease: None,
        dead: None,
        failures: peeked.history.failures.into_iter().map(failure).collect(),
    };
    match peeked.standing {
        Standing::Ready => {}
        Standing::Delayed(at) => {
            told.set_state(ItemState::Delayed);
            told.ready = told_instant(at.as_millis());
        }
        Standing::Blocked => told.set_state(ItemState::Blocked),
        Standing::Leased { consumer, until, attempt } => {
            told.set_state(ItemState::Leased);
            told.lease = Some(ItemLease { consumer, until: told_instant(until.as_millis()), attempt });
        }
        Standing::Dead(dead) => {
            told.set_state(ItemState::Dead);
            told.dead = Some(ItemFailure {
                at: told_instant(dead.at_ms),
                attempt: dead.attempts,
                consumer: String::new(),
                reason: told_reason(dead.reason()).into(),
                cause: dead.cause,
            });
        }
    }
    told
}

fn failure(failure: Failure) -> ItemFailure {
    ItemFailure {
        at: told_instant(failure.at_ms),
        attempt: failure.attempt,
        reason: told_reason(failure.reason()).into(),
        consumer: failure.consumer,
        cause: failure.cause,
    }
}

fn told_reason(reason: Reason) -> FailureReason {
    match reason {
        Reason::Unknown => FailureReason::Unspecified,
        Reason::Nacked => FailureReason::Nacked,
        Reason::LeaseExpired => FailureReason::LeaseExpired,
        Reason::Expired => FailureReason::Expired,
    }
}

pub(super) fn reason(reason: FailureReason) -> i32 {
    match reason {
        FailureReason::Unspecified => Reason::Unknown.into(),
        FailureReason::Nacked => Reason::Nacked.into(),
        FailureReason::LeaseExpired => Reason::LeaseExpired.into(),
        FailureReason::Expired => Reason::Expired.into(),
    }
}

fn told_headers(headers: &[Header]) -> BTreeMap<String, String> {
    let told = |header: &Header| (header.name.clone(), String::from_utf8_lossy(&header.value).into_owned());
    headers.iter().map(told).collect()
}
