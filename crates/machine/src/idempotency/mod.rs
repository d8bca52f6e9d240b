//! Requests that come again get the reply that they got.
//!
//! A client that got no answer sends its request anew under the same key. The first to be applied leaves
//! its reply under that key; all later ones get it, and nothing else happens. A refusal is remembered,
//! too: whoever asks again asks for what became of that request. What is refused only at present is not,
//! for then nothing has become of the request yet, and it may be taken when it comes again.
//! (draft-ietf-httpapi-idempotency-key-header)

use prost::Message;

use crate::command::Reply;
use crate::context::Context;
use crate::key::{Key, Table};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::timer::Owner;

/// What a request is known by if it comes again.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Idempotency {
    /// Whose keys these are, such as a service.
    #[prost(string, tag = "1")]
    pub scope: String,
    /// The request's key.
    #[prost(string, tag = "2")]
    pub key: String,
    /// What the request asks for, as a hash: another request under the same key is a mistake.
    #[prost(uint64, tag = "3")]
    pub fingerprint: u64,
    /// For how long the reply is remembered at least, in milliseconds; not zero.
    #[prost(uint64, tag = "4")]
    pub remember_ms: u64,
}

/// What became of a request: a value under [`Table::Idempotency`].
#[derive(Clone, PartialEq, prost::Message)]
struct Remembered {
    #[prost(uint64, tag = "1")]
    fingerprint: u64,
    #[prost(message, optional, tag = "2")]
    reply: Option<Reply>,
    #[prost(message, optional, tag = "3")]
    refusal: Option<Refusal>,
}

impl Idempotency {
    /// Refuses what is malformed: looked at before it gets into a log.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        limits::scope(&self.scope)?;
        limits::key("request", self.key.as_bytes())?;
        let wrong = match (self.key.is_empty(), self.remember_ms) {
            (true, _) => "the idempotency key is empty",
            (_, 0) => "the reply to a request with an idempotency key must be remembered for some time",
            _ => return Ok(()),
        };
        Err(Refusal::new(Code::Invalid, wrong))
    }

    /// What the request got before, if it came before.
    pub(crate) fn recall(&self, context: &Context<'_>) -> Option<Result<Reply, Refusal>> {
        let remembered: Remembered = context.get(&self.record())?;
        if remembered.fingerprint != self.fingerprint {
            let other = format!("the idempotency key {:?} was used for another request", self.key);
            return Some(Err(Refusal::new(Code::Reused, other)));
        }
        Some(match remembered.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(remembered.reply.unwrap_or_default()),
        })
    }

    /// Remembers what the request got.
    pub(crate) fn remember(&self, context: &mut Context<'_>, outcome: &Result<Reply, Refusal>) {
        let at_present = |refusal: &Refusal| matches!(refusal.code(), Code::Unavailable | Code::Limit);
        if outcome.as_ref().is_err_and(at_present) {
            return;
        }
        let remembered = Remembered {
            fingerprint: self.fingerprint,
            reply: outcome.as_ref().ok().cloned(),
            refusal: outcome.as_ref().err().cloned(),
        };
        let record = self.record();
        context.set_timer(context.time().after(self.remember_ms), Owner::Idempotency, record.as_bytes());
        context.put_bytes(record, remembered.encode_to_vec().into());
    }

    fn record(&self) -> Key {
        Key::new(Table::Idempotency).name(&self.scope).bytes(self.key.as_bytes())
    }
}

/// Forgets a reply when its time has come.
pub(crate) fn expire(context: &mut Context<'_>, record: &[u8]) {
    context.delete(Key::from(record));
}
