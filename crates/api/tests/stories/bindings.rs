//! What an application sends to systems outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::Config;
use api::config::{Adapter, Binding, Block, Component, Spans};
use api::proto::dapr::runtime::v1::{
    BindingEventRequest, BindingEventResponse, InvokeBindingRequest, InvokeBindingResponse,
    ListInputBindingsResponse,
};
use components::Reply;
use components::binding::{Error, Event, Input, Output, Request, Response, Taker};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use prost::Message;
use serde_json::json;
use telemetry::Record;
use telemetry::recorder::channel;
use telemetry::span::Kind;

use crate::app::{App, said};
use crate::world::{PATIENCE, Refused, World};

/// Says what it was sent.
struct Mirror;

impl Output for Mirror {
    fn operations(&self) -> &'static [&'static str] {
        &["create", "nothing", "fail"]
    }

    fn invoke(&self, request: Request) -> Reply<'_, Result<Response, Error>> {
        Box::pin(async move {
            match request.operation.as_str() {
                "nothing" => Ok(Response::default()),
                "fail" => Err(Error { why: "it was told to".to_owned(), metadata: request.metadata }),
                _ => Ok(Response { data: request.data, metadata: request.metadata }),
            }
        })
    }
}

fn mirror(config: &mut Config) {
    config.components.push(Component {
        name: "mirror".to_owned(),
        kind: "bindings.mirror".to_owned(),
        version: "v1".to_owned(),
        block: Block::Binding(Binding { output: Some(Adapter(Arc::new(Mirror))), input: None }),
    });
}

#[tokio::test]
async fn data_reaches_a_binding_as_it_was_written() {
    let world = World::with(mirror).await;
    let sent = r#"{"operation":"create","data": { "n": 12345678901234567890, "a": [1.50] },"metadata":{"Key":"v","n":3}}"#;
    for method in ["POST", "PUT"] {
        let answer = world.ask(method, "/v1.0/bindings/mirror", sent).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"n":12345678901234567890,"a":[1.50]}"#));
        assert_eq!((answer.header("metadata.key"), answer.header("metadata.n")), (Some("v"), Some("3")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let text = world.post("/v1.0/bindings/mirror", r#"{"operation":"create","data":"text"}"#).await;
    assert_eq!(text.body, "\"text\"");
    let null = world.post("/v1.0/bindings/mirror", r#"{"operation":"create"}"#).await;
    assert_eq!((null.status, null.body.as_str()), (204, ""));
    let nothing = world.post("/v1.0/bindings/mirror", r#"{"operation":"nothing","data":1}"#).await;
    assert_eq!((nothing.status, nothing.header("content-type")), (204, None));
}

#[tokio::test]
async fn the_trace_of_who_asks_is_handed_on() {
    let world = World::with(mirror).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace), ("tracestate", "a=1")];
    let sent = br#"{"operation":"create","data":1,"metadata":{"traceparent":"mine"}}"#;
    let answer = world.ask_with("POST", "/v1.0/bindings/mirror", &headers, sent).await;
    assert_eq!(answer.header("metadata.traceparent"), Some(trace));
    assert_eq!(answer.header("metadata.tracestate"), Some("a=1"));
    let mut metadata = HeaderMap::new();
    metadata.insert("traceparent", trace.parse().unwrap());
    let request =
        InvokeBindingRequest { name: "mirror".into(), operation: "create".into(), ..Default::default() };
    let answer: InvokeBindingResponse =
        world.call_with(&method("InvokeBinding"), &request, metadata).await.unwrap();
    assert_eq!(answer.metadata["traceparent"], trace);
}

#[tokio::test]
async fn what_cannot_be_done_is_told_with_its_reason() {
    let world = World::with(mirror).await;
    let refused = async |name: &str, body: &str| {
        let answer = world.post(&format!("/v1.0/bindings/{name}"), body).await;
        (answer.refused(), answer.json()["message"].as_str().unwrap().to_owned())
    };
    let invoke = |why: &str| ((500, "ERR_INVOKE_OUTPUT_BINDING".to_owned()), why.to_owned());
    assert_eq!(
        refused("gone", r#"{"operation":"create"}"#).await,
        invoke("error invoking output binding gone: couldn't find output binding gone")
    );
    assert_eq!(
        refused("mirror", "{}").await,
        invoke("error invoking output binding mirror: operation field is missing from request")
    );
    assert_eq!(
        refused("mirror", r#"{"operation":"get"}"#).await,
        invoke(
            "error invoking output binding mirror: binding mirror does not support operation get. supported operations:create nothing fail"
        )
    );
    for odd in ["", "[]", "{", r#"{"operation":"create","metadata":{"a":[]}}"#] {
        assert_eq!(refused("mirror", odd).await.0, (400, "ERR_MALFORMED_REQUEST".to_owned()), "{odd}");
    }
    for (method, path) in [("GET", "bindings/mirror"), ("POST", "bindings"), ("POST", "bindings/mirror/more")]
    {
        let answer = world.ask(method, &format!("/v1.0/{path}"), "").await;
        assert_eq!(answer.refused(), (404, "ERR_DIRECT_INVOKE".to_owned()));
    }
}

#[tokio::test]
async fn what_the_other_side_says_of_a_failure_is_told() {
    let world = World::with(mirror).await;
    let sent = json!({ "operation": "fail", "metadata": { "Status": "503 no\nway", "odd name": "x", "long": "x".repeat(10_000) } });
    let answer = world.post("/v1.0/bindings/mirror", &sent.to_string()).await;
    assert_eq!(answer.refused(), (500, "ERR_INVOKE_OUTPUT_BINDING".to_owned()));
    assert_eq!(answer.json()["message"], "error invoking output binding mirror: it was told to");
    assert_eq!(
        (answer.header("metadata.status"), answer.header("metadata.long")),
        (Some("503 no way"), None)
    );
}

#[tokio::test]
async fn over_grpc_data_is_bytes() {
    let world = World::with(mirror).await;
    let invoke = async |name: &str, operation: &str| -> Result<InvokeBindingResponse, Refused> {
        let request = InvokeBindingRequest {
            name: name.to_owned(),
            operation: operation.to_owned(),
            data: vec![0, 255].into(),
            metadata: [("key".to_owned(), "v".to_owned())].into(),
        };
        world.call(&method("InvokeBinding"), &request).await
    };
    let answer = invoke("mirror", "create").await.unwrap();
    assert_eq!((&answer.data[..], answer.metadata["key"].as_str()), (&[0, 255][..], "v"));
    for (name, operation, why) in [
        ("gone", "create", "couldn't find output binding gone"),
        ("mirror", "", "operation field is missing from request"),
        ("mirror", "fail", "it was told to"),
    ] {
        let refused = invoke(name, operation).await.unwrap_err();
        assert_eq!(refused.code, 13);
        assert_eq!(refused.message, format!("error invoking output binding {name}: {why}"));
    }
}

fn method(name: &str) -> String {
    format!("dapr.proto.runtime.v1.Dapr/{name}")
}

/// Brings two events, the second when the first was taken or not, and keeps what became of them.
#[derive(Default)]
struct Source(Mutex<Vec<Result<(), String>>>);

impl Input for Source {
    fn run<'a>(&'a self, taker: &'a dyn Taker) -> Reply<'a, ()> {
        Box::pin(async move {
            for data in ["{\"n\":1}", "{\"n\":2}"] {
                let metadata =
                    [("timeZone".to_owned(), "UTC".to_owned()), ("no header".to_owned(), "\n".to_owned())];
                let taken = taker.take(Event { data: data.into(), metadata: metadata.into() }).await;
                self.0.lock().unwrap().push(taken.map_err(|error| error.why));
            }
        })
    }
}

fn source(config: &mut Config, name: &str, asked: bool) -> Arc<Source> {
    let source = Arc::new(Source::default());
    let input =
        api::config::Input { source: Adapter(Arc::clone(&source) as _), route: name.to_owned(), asked };
    config.components.push(Component {
        name: name.to_owned(),
        kind: "bindings.source".to_owned(),
        version: "v1".to_owned(),
        block: Block::Binding(Binding { output: None, input: Some(input) }),
    });
    source
}

async fn brought(source: &Source) -> Vec<Result<(), String>> {
    let begun = std::time::Instant::now();
    loop {
        let brought = source.0.lock().unwrap().clone();
        if brought.len() == 2 {
            return brought;
        }
        assert!(begun.elapsed() < PATIENCE, "{brought:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_application_gets_the_events_that_it_wants() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let seeing = Arc::clone(&seen);
    let app = App::new(move |request| {
        let seen = Arc::clone(&seeing);
        async move {
            let (head, body) = request.into_parts();
            let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            let header = |name| head.headers.get(name).map_or("-", |value| value.to_str().unwrap());
            let line = format!(
                "{} {} {} {} {body}",
                head.method,
                head.uri.path(),
                header("content-type"),
                header("timezone")
            );
            seen.lock().unwrap().push(line);
            match (head.method.as_str(), head.uri.path()) {
                ("OPTIONS", "/unwanted") => said(404, ""),
                ("OPTIONS", "/odd") => said(405, ""),
                ("OPTIONS", _) => said(204, ""),
                ("POST", "/odd") => said(500, "not today"),
                _ => said(202, "this is ignored"),
            }
        }
    })
    .await;
    let mut sources = Vec::new();
    let world = World::with(|config| {
        config.app.port = Some(app.port);
        for (name, asked) in [("wanted", true), ("unwanted", true), ("odd", true), ("told", false)] {
            sources.push(source(config, name, asked));
        }
    })
    .await;
    assert_eq!(brought(&sources[0]).await, [Ok(()), Ok(())]);
    let refused = Err("the application answered 500 Internal Server Error: not today".to_owned());
    assert_eq!(brought(&sources[2]).await, [refused.clone(), refused]);
    assert_eq!(brought(&sources[3]).await, [Ok(()), Ok(())]);
    assert!(sources[1].0.lock().unwrap().is_empty());
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let expected = [
        "OPTIONS /odd application/json - ",
        "OPTIONS /unwanted application/json - ",
        "OPTIONS /wanted application/json - ",
        "POST /odd application/json UTC {\"n\":1}",
        "POST /odd application/json UTC {\"n\":2}",
        "POST /told application/json UTC {\"n\":1}",
        "POST /told application/json UTC {\"n\":2}",
        "POST /wanted application/json UTC {\"n\":1}",
        "POST /wanted application/json UTC {\"n\":2}",
    ];
    assert_eq!(seen, expected);
    let said = world.said.lock().unwrap().clone();
    assert!(
        said.iter().any(|line| line == "the application does not take the events of unwanted"),
        "{said:?}"
    );
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Brings an event that says its trace, and one that does not.
struct Traced;

impl Input for Traced {
    fn run<'a>(&'a self, taker: &'a dyn Taker) -> Reply<'a, ()> {
        Box::pin(async move {
            for metadata in [BTreeMap::from([("Traceparent".to_owned(), TRACE.to_owned())]), BTreeMap::new()]
            {
                let _ = taker.take(Event { data: "{}".into(), metadata }).await;
            }
        })
    }
}

#[tokio::test]
async fn an_event_is_a_span_of_the_trace_that_it_says_or_of_its_own() {
    let (recorder, inbox) = channel(100);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let seeing = Arc::clone(&seen);
    let app = App::new(move |request| {
        let header = request.headers().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        let mut seen = seeing.lock().unwrap();
        seen.extend(header);
        let status = if seen.len() == 1 { 200 } else { 500 };
        async move { said(status, "") }
    })
    .await;
    let _world = World::with(|config| {
        config.app.port = Some(app.port);
        let source = Adapter(Arc::new(Traced) as _);
        let input = api::config::Input { source, route: "ticks".to_owned(), asked: false };
        let block = Block::Binding(Binding { output: None, input: Some(input) });
        let (kind, version) = ("bindings.traced".to_owned(), "v1".to_owned());
        config.components.push(Component { name: "ticks".to_owned(), kind, version, block });
        let (service, instance) = (None, String::new());
        let recorder = Some(recorder);
        config.spans = Some(Spans { recorder, service, instance, unsampled: false, rate: 1.0 });
    })
    .await;
    let (begun, mut spans) = (std::time::Instant::now(), Vec::new());
    while spans.len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "{spans:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
        spans.extend(inbox.take(10).filter_map(|record| match record {
            Record::Span(span) => Some(*span),
            Record::Log(_) => None,
        }));
    }
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parents: Vec<_> = spans.iter().map(|span| span.parent.map(|parent| hex(&parent))).collect();
    assert_eq!(parents, [Some(TRACE[36..52].to_owned()), None]);
    assert_eq!(hex(&spans[0].trace_id), &TRACE[3..35]);
    let told = spans.iter().map(|span| format!("00-{}-{}-", hex(&span.trace_id), hex(&span.span_id)));
    let seen = seen.lock().unwrap().iter().map(|header| header[..53].to_owned()).collect::<Vec<_>>();
    assert_eq!(seen, told.collect::<Vec<_>>(), "the application is told who brings it");
    assert!(spans.iter().all(|span| &*span.name == "process ticks" && span.kind == Kind::Consumer));
    assert_eq!(spans.iter().map(|span| span.is_error()).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn an_application_that_does_not_say_whether_it_takes_events_gets_none() {
    let app = App::new(|request| async move {
        match request.uri().path() {
            "/silent" => std::future::pending().await,
            _ => said(200, ""),
        }
    })
    .await;
    let mut sources = Vec::new();
    let world = World::with(|config| {
        config.app.port = Some(app.port);
        config.binding_asked = Duration::from_millis(50);
        sources = vec![source(config, "silent", true), source(config, "wanted", true)];
    })
    .await;
    assert_eq!(brought(&sources[1]).await, [Ok(()), Ok(())]);
    assert!(sources[0].0.lock().unwrap().is_empty());
    let said = world.said.lock().unwrap().clone();
    let silent = "the application does not say whether it takes the events of silent";
    assert!(said.iter().any(|line| line == silent), "{said:?}");
}

/// What became of each event.
type Taken = Arc<Mutex<Vec<Result<(), String>>>>;

/// Brings one event after the other, without end.
struct Flow(Taken);

impl Input for Flow {
    fn run<'a>(&'a self, taker: &'a dyn Taker) -> Reply<'a, ()> {
        Box::pin(async move {
            loop {
                let taken = taker.take(Event::default()).await;
                self.0.lock().unwrap().push(taken.map_err(|error| error.to_string()));
            }
        })
    }
}

fn flow(name: &str, route: &str) -> (Component, Taken) {
    let taken = Taken::default();
    let source = Adapter(Arc::new(Flow(Arc::clone(&taken))) as Arc<dyn Input>);
    let input = api::config::Input { source, route: route.to_owned(), asked: false };
    let block = Block::Binding(Binding { output: None, input: Some(input) });
    let (kind, version) = ("bindings.flow".to_owned(), "v1".to_owned());
    (Component { name: name.to_owned(), kind, version, block }, taken)
}

#[tokio::test]
async fn a_binding_that_is_declared_otherwise_finishes_what_it_has() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noting = Arc::clone(&seen);
    let app = App::new(move |request| {
        noting.lock().unwrap().push(request.uri().path().to_owned());
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            said(200, "")
        }
    })
    .await;
    let count = |path: &str| seen.lock().unwrap().iter().filter(|one| *one == path).count();
    let more = async |path: &str, than: usize| {
        let begun = std::time::Instant::now();
        while count(path) <= than {
            assert!(begun.elapsed() < PATIENCE, "{path}: {:?}", seen.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ((steady, of_steady), (first, of_first), (second, _)) =
        (flow("steady", "steady"), flow("moves", "before"), flow("moves", "after"));
    let world = World::with(|config| {
        config.app.port = Some(app.port);
        config.components = vec![steady.clone(), first];
    })
    .await;
    more("/before", 2).await;
    world.renew(|config| config.components = vec![steady.clone(), second]);
    more("/after", 2).await;
    let (before, at) = (count("/before"), count("/after"));
    more("/after", at + 5).await;
    assert_eq!(count("/before"), before, "it has ended");
    assert_eq!(of_first.lock().unwrap().len(), before, "what it had was finished");
    world.renew(|config| config.components = vec![steady]);
    let at = count("/steady");
    more("/steady", at + 5).await;
    assert!(of_first.lock().unwrap().iter().chain(&*of_steady.lock().unwrap()).all(Result::is_ok));
    world.end().await;
}

#[tokio::test]
async fn without_a_port_nobody_takes_events_and_a_line_says_so() {
    let mut sources = Vec::new();
    let world = World::with(|config| sources.push(source(config, "ticks", true))).await;
    while world.get("/v1.0/healthz").await.status != 204 {}
    let line = "nobody takes the events of ticks: the application has no port (--app-port)";
    assert!(world.said.lock().unwrap().iter().any(|said| said == line));
}

/// An application that speaks gRPC, of which only what is asked here is served.
async fn grpc_app(lists: &'static [&'static str], parallel: bool, seen: Arc<Mutex<Vec<String>>>) -> App {
    App::new(move |request| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            seen.lock().unwrap().push(head.uri.path().rsplit('/').next().unwrap().to_owned());
            let message = match head.uri.path() {
                "/dapr.proto.runtime.v1.AppCallback/ListInputBindings" => {
                    let bindings = lists.iter().map(|name| (*name).to_owned()).collect();
                    ListInputBindingsResponse { bindings }.encode_to_vec()
                }
                _ => {
                    let event = BindingEventRequest::decode(&body[5..]).unwrap();
                    assert_eq!((event.name.as_str(), event.metadata["timeZone"].as_str()), ("wanted", "UTC"));
                    BindingEventResponse {
                        to: vec!["mirror".to_owned(), "gone".to_owned(), "mirror".to_owned()],
                        data: event.data,
                        concurrency: parallel.into(),
                        ..BindingEventResponse::default()
                    }
                    .encode_to_vec()
                }
            };
            let mut frame = vec![0];
            frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
            frame.extend(message);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let body = Full::new(bytes::Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
            http::Response::builder()
                .header("content-type", "application/grpc")
                .body(body.boxed_unsync())
                .unwrap()
        }
    })
    .await
}

#[tokio::test]
async fn over_grpc_an_answer_goes_to_the_bindings_that_it_names() {
    for (parallel, mirrored) in [(false, 2), (true, 4)] {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let app = grpc_app(&["wanted", "other"], parallel, Arc::clone(&seen)).await;
        let sent: Arc<Mutex<Vec<Request>>> = Arc::default();
        let keep = Arc::clone(&sent);
        let mut sources = Vec::new();
        let world = World::with(|config| {
            config.app.port = Some(app.port);
            config.app.protocol = "grpc".to_owned();
            let output = Adapter(Arc::new(Keep(keep)) as Arc<dyn Output>);
            let block = Block::Binding(Binding { output: Some(output), input: None });
            let (kind, version) = ("bindings.keep".to_owned(), "v1".to_owned());
            config.components.push(Component { name: "mirror".to_owned(), kind, version, block });
            sources = vec![source(config, "wanted", true), source(config, "unwanted", true)];
        })
        .await;
        assert_eq!(brought(&sources[0]).await, [Ok(()), Ok(())]);
        assert!(sources[1].0.lock().unwrap().is_empty());
        assert_eq!(*seen.lock().unwrap(), ["ListInputBindings", "OnBindingEvent", "OnBindingEvent"]);
        let sent = sent.lock().unwrap().clone();
        assert_eq!(sent.len(), mirrored, "one at a time ends where one fails");
        assert!(sent.iter().all(|one| one.operation == "create" && one.data.starts_with(b"{\"n\":")));
        let said = world.said.lock().unwrap().clone();
        assert!(said.iter().any(|line| line.contains("couldn't find output binding gone")), "{said:?}");
    }
}

/// Keeps what it was sent.
struct Keep(Arc<Mutex<Vec<Request>>>);

impl Output for Keep {
    fn operations(&self) -> &'static [&'static str] {
        &["create"]
    }

    fn invoke(&self, request: Request) -> Reply<'_, Result<Response, Error>> {
        self.0.lock().unwrap().push(request);
        Box::pin(async { Ok(Response::default()) })
    }
}
