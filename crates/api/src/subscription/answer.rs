//! What the application meant by its answer.

use std::collections::HashMap;

use serde::Deserialize;
use tonic::{Code, Status};

use super::told::lower_keys;
use crate::proto::dapr::runtime::v1::TopicEventBulkResponse;
use crate::proto::dapr::runtime::v1::topic_event_response::TopicEventResponseStatus;

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The application is done with the event.
    Done,
    /// It does not want it.
    Drop(String),
    /// It could not deal with it.
    Retry(String),
    /// It did not say anything, though it may have had the event.
    Silent(String),
    /// It cannot be reached, and has not seen the event.
    Away(String),
}

/// What an answer over HTTP means.
pub fn of_http(status: u16, body: &[u8]) -> Verdict {
    match status {
        200..=299 => said(body).map_or(Verdict::Done, |word| of_word(&word)),
        404 => Verdict::Drop("it answered 404: it has no such route".to_owned()),
        other => Verdict::Retry(format!("it answered {other}")),
    }
}

/// What an answer over gRPC means.
pub fn of_status(status: i32) -> Verdict {
    match TopicEventResponseStatus::try_from(status) {
        Ok(TopicEventResponseStatus::Success) => Verdict::Done,
        Ok(TopicEventResponseStatus::Retry) => Verdict::Retry("it answered RETRY".to_owned()),
        Ok(TopicEventResponseStatus::Drop) => Verdict::Drop("it answered DROP".to_owned()),
        Err(_) => Verdict::Retry(format!("it answered with the unknown status {status}")),
    }
}

/// What an error over gRPC means.
pub fn of_error(status: &Status) -> Verdict {
    let said = format!("it answered {:?}: {}", status.code(), status.message());
    match status.code() {
        Code::Unimplemented => Verdict::Drop(said),
        _ => Verdict::Retry(said),
    }
}

/// What an answer over HTTP to several events means for each of these.
pub fn of_http_bulk(status: u16, body: &[u8], entries: &[String]) -> Vec<Verdict> {
    match status {
        200..=299 => match serde_json::from_slice::<serde_json::Value>(body)
            .map(lower_keys)
            .map(Deserialize::deserialize)
        {
            Ok(Ok(Statuses { statuses })) => {
                let said = statuses.into_iter().map(|one| (one.entryid, one.status));
                by_entry(said.collect(), entries, |word: &String| match word.is_empty() {
                    true => Verdict::Retry(UNSAID.to_owned()),
                    false => of_word(word),
                })
            }
            _ => vec![Verdict::Retry("its answer has no statuses".to_owned()); entries.len()],
        },
        other => vec![of_http(other, b""); entries.len()],
    }
}

/// The same over gRPC.
pub fn of_bulk(response: TopicEventBulkResponse, entries: &[String]) -> Vec<Verdict> {
    let said = response.statuses.into_iter().map(|one| (one.entry_id, one.status));
    by_entry(said.collect(), entries, |status| of_status(*status))
}

fn by_entry<S>(said: HashMap<String, S>, entries: &[String], meant: impl Fn(&S) -> Verdict) -> Vec<Verdict> {
    let verdict = |entry| said.get(entry).map_or_else(|| Verdict::Retry(UNSAID.to_owned()), &meant);
    entries.iter().map(verdict).collect()
}

fn of_word(word: &str) -> Verdict {
    match word {
        "" | "SUCCESS" => Verdict::Done,
        "RETRY" => Verdict::Retry("it answered RETRY".to_owned()),
        "DROP" => Verdict::Drop("it answered DROP".to_owned()),
        odd => Verdict::Retry(format!("it answered with the unknown status {:.40?}", odd)),
    }
}

/// The status that a body tells, if it tells any: an application may answer with whatever it likes.
fn said(body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let first = serde_json::Deserializer::from_slice(body).into_iter::<serde_json::Value>().next()?.ok()?;
    let serde_json::Value::Object(fields) = first else { return None };
    let status = fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case("status"))?.1;
    status.as_str().map(str::to_owned)
}

#[derive(Deserialize)]
struct Statuses {
    #[serde(default)]
    statuses: Vec<EntryStatus>,
}

#[derive(Deserialize)]
struct EntryStatus {
    #[serde(default)]
    entryid: String,
    #[serde(default)]
    status: String,
}

const UNSAID: &str = "it said nothing of this event";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dapr::runtime::v1::TopicEventBulkResponseEntry;

    fn kind(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Done => "done",
            Verdict::Drop(_) => "drop",
            Verdict::Retry(_) => "retry",
            Verdict::Silent(_) => "silent",
            Verdict::Away(_) => "away",
        }
    }

    #[test]
    fn answers_over_http() {
        for (status, body, meant) in [
            (200, "", "done"),
            (204, "", "done"),
            (299, "ok", "done"),
            (200, "<html>", "done"),
            (200, "{}", "done"),
            (200, "[1]", "done"),
            (200, "null", "done"),
            (200, r#"{"status":""}"#, "done"),
            (200, r#"{"status":"SUCCESS"}"#, "done"),
            (200, r#"{"Status":"RETRY"}"#, "retry"),
            (200, r#"{"status":"RETRY"} and more"#, "retry"),
            (200, r#"{"status":"DROP","x":1}"#, "drop"),
            (200, r#"{"status":"success"}"#, "retry"),
            (200, r#"{"status":1}"#, "done"),
            (404, "", "drop"),
            (404, r#"{"status":"RETRY"}"#, "drop"),
            (500, r#"{"status":"SUCCESS"}"#, "retry"),
            (301, "", "retry"),
            (400, "", "retry"),
            (503, "", "retry"),
        ] {
            assert_eq!(kind(&of_http(status, body.as_bytes())), meant, "{status} {body}");
        }
    }

    #[test]
    fn answers_over_grpc() {
        let kinds = [0, 1, 2, 3, -1].map(|status| kind(&of_status(status)));
        assert_eq!(kinds, ["done", "retry", "drop", "retry", "retry"]);
        assert_eq!(kind(&of_error(&Status::unimplemented("no"))), "drop");
        assert_eq!(kind(&of_error(&Status::unavailable("no"))), "retry");
        assert_eq!(kind(&of_error(&Status::not_found("no"))), "retry");
    }

    #[test]
    fn answers_to_several() {
        let entries: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let kinds = |status, body: &str| -> Vec<_> {
            of_http_bulk(status, body.as_bytes(), &entries).iter().map(kind).collect()
        };
        let body = r#"{"statuses":[{"entryId":"a","status":"SUCCESS"},{"EntryId":"b","STATUS":"DROP"},
            {"entryId":"c","status":"RETRY"},{"entryId":"d","status":""},{"entryId":"zz","status":"SUCCESS"}]}"#;
        assert_eq!(kinds(200, body), ["done", "drop", "retry", "retry", "retry"]);
        for odd in ["", "{", "[]", r#"{"statuses":1}"#, r#"{"statuses":[{"entryId":1}]}"#, "{}"] {
            assert_eq!(kinds(200, odd), ["retry"; 5], "{odd}");
        }
        assert_eq!((kinds(404, ""), kinds(500, "")), (vec!["drop"; 5], vec!["retry"; 5]));
        let entry = |id: &str, status| TopicEventBulkResponseEntry { entry_id: id.to_owned(), status };
        let response = TopicEventBulkResponse { statuses: vec![entry("a", 0), entry("b", 2), entry("c", 9)] };
        let kinds: Vec<_> = of_bulk(response, &entries).iter().map(kind).collect();
        assert_eq!(kinds, ["done", "drop", "retry", "retry", "retry"]);
    }
}
