//! How a call of gRPC ended, where its status comes behind the messages: breaker and ejection are told when it
//! is known, for a success told with the head would hide the failure behind it. What ends without a status counts
//! as what its head said.
//!
//! A probe of the breaker is told with the head all the same: a stream may last for hours, and nobody else would
//! get through for as long. If it fails then, that is one more failure.

use std::rc::Rc;
use std::time::Duration;

use super::LocalCall;
use super::guard::Pass;
use crate::clock;
use crate::message::fields::Fields;
use crate::request::grpc;

/// What is still to be told of an answer that began well. It is told when this is dropped.
pub(crate) struct Late {
    call: Rc<LocalCall>,
    /// None: a success is told already.
    pass: Option<Pass>,
    /// Key of the instance.
    instance: u64,
    /// To the answer's head.
    took: Duration,
    failed: bool,
}

impl Late {
    pub(super) fn new(call: Rc<LocalCall>, pass: Option<Pass>, instance: u64, took: Duration) -> Late {
        Late { call, pass, instance, took, failed: false }
    }

    /// What came behind the messages.
    pub(crate) fn hear(&mut self, trailers: &Fields) {
        self.failed = grpc::status_in(trailers).is_some_and(policy::is_grpc_failure);
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        let (now, state) = (clock::now(), &self.call.state);
        if let Some(ejection) = &state.ejection {
            ejection.record(now, self.instance, self.failed);
        }
        if self.failed {
            self.call.tally().failures.add(1);
        }
        let pass = self.pass.or(self.failed.then_some(Pass::Calm));
        if let (Some(breaker), Some(config), Some(pass)) = (&state.breaker, &state.config.breaker, pass) {
            breaker.record(now, pass, config.ending(self.failed, self.took), self.call.core);
        }
    }
}
