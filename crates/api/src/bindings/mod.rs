//! Bindings: systems outside that the application sends things to, or that events come from (`input`).

mod input;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use components::binding::{Output, Request, Response};
use http::{HeaderMap, StatusCode};
use tonic::Code;

use crate::api::Api;
use crate::config::{Block, Config};
use crate::error::Error;
use crate::resiliency::Family;
use crate::spans::TRACE;
pub(crate) use input::bring;

/// The bindings that are declared, by name.
pub(crate) struct Bindings {
    outputs: HashMap<String, Arc<dyn Output>>,
}

/// Why a binding did not do what it was to.
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// What the other side said besides.
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Bindings {
    pub(crate) fn new(config: &Config) -> Bindings {
        let outputs = config.components.iter().filter_map(|component| {
            let Block::Binding(binding) = &component.block else { return None };
            Some((component.name.clone(), Arc::clone(&binding.output.as_ref()?.0)))
        });
        Bindings { outputs: outputs.collect() }
    }
}

impl Api {
    /// Has a binding do something, for who has sent these headers.
    pub(crate) async fn invoke_binding(
        &self,
        name: &str,
        mut request: Request,
        headers: &HeaderMap,
    ) -> Result<Response, Failed> {
        for header in TRACE {
            if let Some(text) = headers.get(header).and_then(|value| value.to_str().ok()) {
                request.metadata.insert(header.to_owned(), text.to_owned());
            }
        }
        self.send_to_binding(name, request).await
    }

    async fn send_to_binding(&self, name: &str, request: Request) -> Result<Response, Failed> {
        if request.operation.is_empty() {
            return Err(failed(name, "operation field is missing from request"));
        }
        let Some(output) = self.bindings.outputs.get(name) else {
            return Err(failed(name, format!("couldn't find output binding {name}")));
        };
        let operations = output.operations();
        if !operations.contains(&request.operation.as_str()) {
            return Err(failed(
                name,
                format!(
                    "binding {name} does not support operation {}. supported operations:{}",
                    request.operation,
                    operations.join(" ")
                ),
            ));
        }
        let asking = self.guards.asking(Family::Binding, name);
        let done = match asking.guard {
            None => output.invoke(request).await,
            Some(_) => asking.run(|| output.invoke(request.clone())).await,
        };
        done.map_err(|error| Failed { metadata: error.metadata, ..failed(name, error.why) })
    }
}

fn failed(name: &str, why: impl std::fmt::Display) -> Failed {
    let message = format!("error invoking output binding {name}: {why}");
    let error =
        Error::new("ERR_INVOKE_OUTPUT_BINDING", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message);
    Failed { error, metadata: BTreeMap::new() }
}
