//! Interim answers (1xx, RFC 9110 section 15.2) on their way from an upstream to the client, ahead of the answer.
//!
//! They bind nobody: hints are guesses, which the answer may belie (RFC 8297 section 2), and a client takes as
//! many as come. So a try that sent some and then failed is retried as any other, and those of the next try go on
//! as well. While tries race, nobody knows whose answer will count, and none of theirs goes on.

use std::cell::Cell;
use std::rc::Rc;

use http::StatusCode;

use crate::client::wire::Wire;
use crate::message::fields::Id;
use crate::message::head::AnswerHead;
use crate::request::headers;

/// Where the interim answers to a request go.
pub(crate) struct Interim {
    /// None: nowhere, for the client takes none.
    client: Option<Rc<Wire>>,
    racing: Cell<bool>,
}

impl Interim {
    /// To this client.
    pub(crate) fn to(client: Rc<Wire>) -> Interim {
        Interim { client: Some(client), racing: Cell::new(false) }
    }

    pub(crate) fn nowhere() -> Interim {
        Interim { client: None, racing: Cell::new(false) }
    }

    /// Whether several tries are under way.
    pub(crate) fn race(&self, racing: bool) {
        self.racing.set(racing);
    }

    /// Passes one on, if there is somebody to take it.
    pub(crate) fn pass_on(&self, head: AnswerHead) {
        if let (Some(client), false) = (&self.client, self.racing.get()) {
            client.announce(&written(head));
        }
    }
}

fn written(AnswerHead { status, mut fields, .. }: AnswerHead) -> Vec<u8> {
    headers::strip_hop_by_hop(&mut fields);
    fields.remove(Id::ContentLength);
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("")).into_bytes();
    fields.write(&mut out);
    out.extend_from_slice(b"\r\n");
    out
}
