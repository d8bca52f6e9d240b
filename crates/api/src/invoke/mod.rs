//! Calls from one application to another: who is called, what is said of the call, and what is answered if it does not
//! come to an answer.
//!
//! Applications of one host call each other through it: their callers' sidecar sends to the called application itself, by
//! its own way into it, so that the most calls at a time and the token of the called one hold. There is no second hop.

mod bounded;
mod callback;
mod errors;
mod headers;
mod messages;
mod outside;
mod replay;
mod status;

use std::sync::Arc;

use http::{Request, Response, Version};
use tonic::body::Body;

use crate::access::{Asked, Denied};
use crate::api::Api;
use crate::app::{App, Held, Unanswered};
use crate::deadline;
use crate::error::Error;
use crate::uses::How;
pub(crate) use bounded::Bounded;
pub(crate) use callback::{OF_GRPC, answered, is_unanswered, metadata};
pub(crate) use errors::{denied_call, failed};
pub(crate) use headers::{CALLEE, Caller, prefixed};
pub(crate) use messages::{Ending, Messages, Over};
pub use outside::Endpoint;
pub(crate) use outside::Outside;
use outside::Outsider;
pub(crate) use replay::Replay;
pub(crate) use status::{of_grpc, of_http};

/// Who is called.
pub(crate) enum Target {
    /// The caller's own application.
    Own(Arc<Api>),
    /// Another one, or another instance.
    Other(Arc<Api>),
    /// Another one with this id, by way of a data plane.
    ByWay(App, String),
    /// Nobody of this node.
    Outsider(Arc<Outsider>),
}

impl Target {
    /// Who has this id.
    ///
    /// # Errors
    ///
    /// If nobody has.
    pub(crate) fn of(caller: &Arc<Api>, id: &str) -> Result<Target, Error> {
        if id == caller.config.app_id {
            return Ok(Target::Own(Arc::clone(caller)));
        }
        if let Some(way) = caller.outside.by_way(id) {
            return Ok(Target::ByWay(way, id.to_owned()));
        }
        if let Some(endpoint) = caller.outside.named(id) {
            return Ok(Target::Outsider(endpoint));
        }
        if id.starts_with("http://") || id.starts_with("https://") {
            return caller.outside.at(id).map(Target::Outsider).map_err(|why| failed(id, why));
        }
        let host = &caller.host;
        let other = host.next_instance(id).or_else(|| host.next_instance(without_namespace(id)?));
        match other {
            Some(other) if other.config.app_id == caller.config.app_id => Ok(Target::Own(Arc::clone(caller))),
            Some(other) => Ok(Target::Other(other)),
            None => Err(failed(id, format_args!("couldn't find service: {id}"))),
        }
    }

    /// Whether the called one lets itself be called so by this caller.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(crate) fn permits(
        &self,
        caller: &Arc<Api>,
        id: &str,
        operation: &str,
        verb: Option<&str>,
    ) -> Result<(), Denied> {
        let callee = match self {
            Target::Own(_) => return Ok(()),
            Target::Other(callee) => Arc::clone(callee),
            // Where none of it is known the caller's stands for it: behind a data plane all have the same configuration.
            Target::ByWay(..) => caller.host.next_instance(id).unwrap_or_else(|| Arc::clone(caller)),
            Target::Outsider(_) => return Ok(()),
        };
        let Some(calls) = &callee.config.access.calls else { return Ok(()) };
        calls.check(&Asked {
            app_id: &caller.config.app_id,
            namespace: caller.config.known_namespace(),
            trust_domain: &caller.config.access.trust_domain,
            operation,
            verb,
            is_grpc: self.is_grpc(),
        })
    }

    /// Sends a request as a call over HTTP, and has the head of what is answered.
    ///
    /// # Errors
    ///
    /// If it does not come to an answer.
    pub(crate) async fn send(
        &self,
        caller: &Api,
        id: &str,
        mut request: Request<Body>,
    ) -> Result<Response<Held>, Error> {
        headers::pass_on(request.headers_mut(), caller.config.token.is_some());
        match self {
            // How long we wait is not theirs to know.
            Target::Outsider(_) => drop(request.headers_mut().remove(deadline::HEADER)),
            _ => deadline::pass_on(request.headers_mut()),
        }
        if let Some(callee) = self.other() {
            caller.caller.tell(request.headers_mut(), callee);
        }
        let sent = match self {
            Target::Outsider(outsider) => outsider.send(request).await,
            _ => match self.app() {
                Ok(app) => app.send(request).await,
                Err(unhealthy) => Err(unhealthy),
            },
        };
        self.count(caller, sent.as_ref().is_ok_and(|response| !response.status().is_server_error()));
        let mut response = sent.map_err(|unanswered| failed(id, unanswered))?;
        headers::hop_by_hop(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    /// Sends a request of gRPC as it is, and has what is answered as it is.
    ///
    /// # Errors
    ///
    /// If it does not come to an answer.
    pub(crate) async fn proxy(
        &self,
        caller: &Api,
        mut request: Request<Body>,
    ) -> Result<Response<Held>, Unanswered> {
        headers::pass_on_grpc(request.headers_mut(), caller.config.token.is_some());
        if let Some(callee) = self.other() {
            caller.caller.name(request.headers_mut(), callee);
        }
        let sent = match self.app() {
            Ok(app) => app.send(request).await,
            Err(unhealthy) => Err(unhealthy),
        };
        // A status of gRPC may come at the end: what is known here is whether it was answered.
        self.count(caller, sent.is_ok());
        sent
    }

    /// Notes that another application was called; the data plane counts what goes by its way itself.
    fn count(&self, caller: &Api, is_fine: bool) {
        if let Target::Other(callee) = self {
            caller.uses.count(How::Call, &callee.config.app_id, 1, u64::from(!is_fine));
        }
    }

    /// Whether it is an application that speaks gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        match self {
            Target::Own(api) | Target::Other(api) => api.app.is_grpc(),
            Target::ByWay(app, _) => app.is_grpc(),
            Target::Outsider(_) => false,
        }
    }

    /// The id of another application, which is told who calls it.
    fn other(&self) -> Option<&str> {
        match self {
            Target::Other(callee) => Some(&callee.config.app_id),
            Target::ByWay(_, id) => Some(id),
            Target::Own(_) | Target::Outsider(_) => None,
        }
    }

    /// The way into the application, if it is one and well.
    fn app(&self) -> Result<&App, Unanswered> {
        match self {
            Target::Own(api) | Target::Other(api) => healthy(&api.app),
            // Who gets the call is chosen, and looked after, behind it.
            Target::ByWay(app, _) => Ok(app),
            Target::Outsider(_) => Err(Unanswered::NoPort),
        }
    }
}

fn healthy(app: &App) -> Result<&App, Unanswered> {
    if app.is_healthy() { Ok(app) } else { Err(Unanswered::unhealthy()) }
}

/// The application of `id.namespace`: all of a host are in one.
fn without_namespace(id: &str) -> Option<&str> {
    id.rsplit_once('.').map(|(id, _)| id)
}

/// The largest answer that is kept as a whole, which is where HTTP and gRPC meet; others are passed on as they come.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;
