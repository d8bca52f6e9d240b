//! Events of systems outside, on their way to the application.
//!
//! Which of its bindings the application wants is settled once it is reached: by the component's `direction`, or the application is
//! asked; and again for those that are declared later or otherwise. An event is taken where the application answers with success; otherwise it is for the binding to say what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use components::Reply;
use components::binding::{self, Error, Event, Request as Sent, Taker};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;

use crate::api::Api;
use crate::config::{Block, Component, Input};
use crate::instance::Instance;
use crate::proto::dapr::runtime::v1::binding_event_response::BindingEventConcurrency;
use crate::proto::dapr::runtime::v1::{BindingEventRequest, BindingEventResponse};
use crate::resiliency::{Asking, Family};
use crate::spans::{TRACE, tell};

/// Brings the application the events that it wants, until it is dropped.
pub(crate) async fn bring(instance: &Arc<Instance>) {
    let mut turns = instance.turns();
    let mut all = All { instance, known: BTreeMap::new(), tasks: JoinSet::new() };
    loop {
        all.renew().await;
        if turns.changed().await.is_err() {
            return;
        }
    }
}

/// The bindings that events come of.
struct All<'a> {
    instance: &'a Arc<Instance>,
    /// As they are declared, each with what ends it when it is dropped; nothing of those that the application does not take.
    known: BTreeMap<String, (Input, Option<watch::Sender<()>>)>,
    tasks: JoinSet<()>,
}

impl All<'_> {
    /// Begins with those that are new, and ends those that are no more; one that is declared otherwise is both.
    async fn renew(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        let api = self.instance.api();
        let inputs: Vec<_> = api.config.components.iter().filter_map(declared).collect();
        let same = |(name, input): (&String, &Input)| inputs.contains(&(name.as_str(), input));
        self.known.retain(|name, (input, _)| same((name, input)));
        let new: Vec<_> = inputs.into_iter().filter(|(name, _)| !self.known.contains_key(*name)).collect();
        if new.is_empty() {
            return;
        }
        for (name, input) in &new {
            self.known.insert((*name).to_owned(), ((*input).clone(), None));
        }
        if !api.app.is_there() {
            let names: Vec<_> = new.iter().map(|(name, _)| *name).collect();
            return api.say(&format!(
                "nobody takes the events of {}: the application has no port (--app-port)",
                names.join(", ")
            ));
        }
        for (name, input) in wanted(&api, new).await {
            let (end, ended) = watch::channel(());
            let instance = Arc::clone(self.instance);
            let taker =
                App { instance, name: name.to_owned(), input: input.clone(), taking: RwLock::default() };
            self.tasks.spawn(async move { taker.run(ended).await });
            self.known.insert(name.to_owned(), (input.clone(), Some(end)));
        }
    }
}

fn declared(component: &Component) -> Option<(&str, &Input)> {
    let Block::Binding(binding) = &component.block else { return None };
    Some((component.name.as_str(), binding.input.as_ref()?))
}

/// Those whose events the application takes.
async fn wanted<'a>(api: &Api, inputs: Vec<(&'a str, &'a Input)>) -> Vec<(&'a str, &'a Input)> {
    let listed = match api.app.is_grpc() && inputs.iter().any(|(_, input)| input.asked) {
        true => listed(api).await,
        false => Vec::new(),
    };
    let asked = inputs.iter().map(async |(name, input)| match (input.asked, api.app.is_grpc()) {
        (false, _) => true,
        (true, true) => listed.iter().any(|listed| listed == name),
        (true, false) => takes(api, name, input).await,
    });
    let taken = join_all(asked).await;
    let mut wanted = Vec::new();
    for (input, taken) in inputs.into_iter().zip(taken) {
        match taken {
            true => wanted.push(input),
            false => api.say(&format!("the application does not take the events of {}", input.0)),
        }
    }
    wanted
}

/// Asks an application that speaks gRPC; an error means that it takes none.
async fn listed(api: &Api) -> Vec<String> {
    let mut callback = api.app.callback();
    match timeout(api.config.binding_asked, callback.list_input_bindings(())).await {
        Ok(Ok(answer)) => answer.into_inner().bindings,
        Ok(Err(status)) if status.code() == tonic::Code::Unimplemented => Vec::new(),
        Ok(Err(status)) => {
            api.say(&format!(
                "the application does not say which bindings it takes events of: {}",
                status.message()
            ));
            Vec::new()
        }
        Err(_) => {
            api.say("the application does not say which bindings it takes events of, and was not waited for any longer");
            Vec::new()
        }
    }
}

/// Asks an application that speaks HTTP.
async fn takes(api: &Api, name: &str, input: &Input) -> bool {
    let request = request(Method::OPTIONS, &input.route, Bytes::new());
    match timeout(api.config.binding_asked, api.app.send(request)).await {
        Ok(Ok(response)) => {
            response.status().is_success() || response.status() == StatusCode::METHOD_NOT_ALLOWED
        }
        Ok(Err(why)) => {
            api.say(&format!("the application was not asked for the events of {name}: {why}"));
            false
        }
        Err(_) => {
            api.say(&format!("the application does not say whether it takes the events of {name}"));
            false
        }
    }
}

/// The application, as one that takes a binding's events.
struct App {
    instance: Arc<Instance>,
    name: String,
    input: Input,
    /// Is held for each event that it has.
    taking: RwLock<()>,
}

impl Taker for App {
    fn take(&self, event: Event) -> Reply<'_, Result<(), Error>> {
        Box::pin(async move {
            let _taking = self.taking.read().await;
            let api = self.instance.api();
            let said = |name: &str| event.metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            let begun = api.tracer.as_ref().and_then(|tracer| {
                let said = said(TRACE[0]).map(|(_, text)| text.as_str());
                Some((tracer, tracer.came(&self.name, said)?))
            });
            let trace = begun.as_ref().map(|(_, begun)| begun.header());
            let guard = api.guards.of_inbound(Family::Binding, &self.name);
            let asking = Asking { name: &self.name, guard };
            let attempt = async |event| match api.app.is_grpc() {
                true => self.call(&api, event, trace.clone()).await,
                false => self.post(&api, event, trace.clone()).await,
            };
            let taken = match guard {
                None => attempt(event).await,
                Some(_) => asking.run(|| attempt(event.clone())).await,
            };
            if let Some((tracer, begun)) = begun {
                tracer.worked(begun, taken.is_err().then_some("not-taken"));
            }
            taken.inspect_err(|error| {
                api.say(&format!("an event of {} was not taken: {error}", self.name));
            })
        })
    }
}

impl App {
    /// Takes what comes until it is ended, and then finishes what it has.
    async fn run(&self, mut ended: watch::Receiver<()>) {
        let finished = async {
            while ended.changed().await.is_ok() {}
            let grace = self.instance.api().config.grace;
            // Whoever asks for it now waits behind this one, and is not begun with any more.
            let _none = timeout(grace, self.taking.write()).await;
        };
        tokio::select! {
            () = self.input.source.0.run(self) => {}
            () = finished => {}
        }
    }

    async fn post(&self, api: &Api, event: Event, trace: Option<HeaderValue>) -> Result<(), Error> {
        let mut request = request(Method::POST, &self.input.route, event.data);
        for (name, text) in &event.metadata {
            // What is no header cannot be told.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(text)) {
                request.headers_mut().insert(name, value);
            }
        }
        trace.and_then(|trace| request.headers_mut().insert(TRACE[0], trace));
        let answered = api.app.send(request).await.map_err(|why| Error::new(why.to_string()))?;
        let (head, body) = answered.into_parts();
        // Read to its end, or the connection could not be used again.
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        match head.status.is_success() {
            true => Ok(()),
            false => {
                let text = body.map(|body| body.to_bytes()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text[..text.len().min(TOLD_BYTES_MAX)]).into_owned();
                Err(Error::new(format!("the application answered {}: {text}", head.status)))
            }
        }
    }

    async fn call(&self, api: &Api, event: Event, trace: Option<HeaderValue>) -> Result<(), Error> {
        let Event { data, metadata } = event;
        let mut request =
            tonic::Request::new(BindingEventRequest { name: self.name.clone(), data, metadata });
        tell(request.metadata_mut(), trace);
        let answered = api.app.callback().on_binding_event(request).await;
        let answer = answered.map_err(|status| Error::new(status.message().to_owned()))?.into_inner();
        self.pass_on(api, answer).await;
        Ok(())
    }

    /// Sends what the application answers to the bindings that it names. The event was taken, whatever becomes of that.
    async fn pass_on(&self, api: &Api, answer: BindingEventResponse) {
        let parallel = answer.concurrency() == BindingEventConcurrency::Parallel;
        let data = answer.data;
        let send = async |to: String| {
            let request =
                Sent { operation: CREATE.to_owned(), data: data.clone(), ..binding::Request::default() };
            let sent = api.send_to_binding(&to, request).await;
            if let Err(failed) = &sent {
                api.say(&format!("what the application answered to {}: {}", self.name, failed.error.message));
            }
            sent.is_ok()
        };
        if parallel {
            stream::iter(answer.to).map(send).buffer_unordered(PARALLEL_MAX).for_each(async |_| {}).await;
            return;
        }
        for to in answer.to {
            if !send(to).await {
                return;
            }
        }
    }
}

fn request(method: Method, route: &str, data: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::new(Full::new(data)));
    *request.method_mut() = method;
    *request.uri_mut() = format!("/{}", route.trim_start_matches('/')).parse().unwrap_or_default();
    request.headers_mut().insert(CONTENT_TYPE, JSON);
    request
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What is done with what an application answers to an event.
const CREATE: &str = "create";
/// To how many bindings an answer is sent at a time.
const PARALLEL_MAX: usize = 16;
/// How much of an application's answer is read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How much of it is told.
const TOLD_BYTES_MAX: usize = 1 << 10;
