//! What is recorded of what an application asks for, and of what is brought to it; and that a trace goes through both.

use api::config::Spans;
use telemetry::recorder::{Inbox, channel};
use telemetry::span::{Kind, Span, Value};
use telemetry::{Record, Recorder};

use crate::subscriber::{Subscriber, beside_with, done, until};
use crate::world::World;

const ORDERS: &str = r#"[{"pubsubname":"pubsub","topic":"orders","route":"orders"}]"#;
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const JSON: (&str, &str) = ("content-type", "application/json");

fn recorded(config: &mut api::Config, recorder: &Recorder) {
    let instance = "shop-1".to_owned();
    let recorder = Some(recorder.clone());
    config.spans = Some(Spans { recorder, service: None, instance, unsampled: false, rate: 1.0 });
}

/// The spans of these names, as soon as all are there; in the order of the names.
async fn spans(inbox: &Inbox, names: &[&str]) -> Vec<Span> {
    let all = std::cell::RefCell::new(Vec::<Span>::new());
    until(
        || {
            let taken = inbox.take(100).filter_map(|record| match record {
                Record::Span(span) => Some(*span),
                Record::Log(_) => None,
            });
            all.borrow_mut().extend(taken);
            names.iter().all(|name| all.borrow().iter().any(|span| &*span.name == *name))
        },
        || format!("{names:?} among {:#?}", all.borrow()),
    )
    .await;
    let all = all.into_inner();
    let named = |name: &&str| all.iter().find(|span| &*span.name == *name).cloned().expect("it is there");
    names.iter().map(named).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn told(span: &Span) -> String {
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}

#[tokio::test]
async fn a_trace_goes_through_a_topic() {
    let app = Subscriber::new(ORDERS, |_, _| done()).await;
    let (recorder, inbox) = channel(1_000);
    let world = beside_with(&app, |config| recorded(config, &recorder)).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    let path = "/v1.0/publish/pubsub/orders";
    let answer = world.ask_with("POST", path, &[JSON, ("traceparent", TRACE)], b"{}").await;
    assert_eq!(answer.status, 204);
    let had = app.has(1, "/orders").await.remove(0);
    let all = spans(&inbox, &["publish orders", "process orders"]).await;
    let (published, processed) = (&all[0], &all[1]);
    assert_eq!((published.kind, hex(&published.trace_id)), (Kind::Producer, TRACE[3..35].to_owned()));
    assert_eq!(published.parent.map(|parent| hex(&parent)).as_deref(), Some(&TRACE[36..52]));
    assert_eq!(
        had.json()["traceparent"].as_str(),
        Some(&*told(published)),
        "the event says who published it"
    );
    assert_eq!(had.json()["traceid"], had.json()["traceparent"]);
    assert_eq!((processed.kind, processed.parent), (Kind::Consumer, Some(published.span_id)));
    assert_eq!((processed.links.len(), processed.links[0].span_id), (1, published.span_id));
    assert_eq!(had.header("traceparent"), told(processed), "and the application is told who brings it");
    assert_eq!((&*processed.service, &*processed.instance), ("shop", "shop-1"));
    assert_eq!(processed.attribute("messaging.destination.name"), Some(&Value::from("orders")));
    assert_eq!(processed.attribute("colony.attempt"), Some(&Value::Int(1)));
    assert!(matches!(processed.attribute("colony.queue.wait_ms"), Some(Value::Float(_))));
    world.end().await;
}

#[tokio::test]
async fn a_trace_goes_through_a_queue() {
    let app = Subscriber::new("[]", |_, _| done()).await;
    let (recorder, inbox) = channel(1_000);
    let world = beside_with(&app, |config| recorded(config, &recorder)).await;
    assert_eq!(world.ask("PUT", "/v1.0/queues/mails", "{}").await.status, 204);
    assert_eq!(world.ask("PUT", "/v1.0/queues/mails/push", r#"{"route":"/mail"}"#).await.status, 204);
    let sent =
        world.ask_with("POST", "/v1.0/queues/mails/send", &[JSON, ("traceparent", TRACE)], b"{}").await;
    assert!(sent.status < 300, "{sent:?}");
    let had = app.has(1, "/mail").await.remove(0);
    let all = spans(&inbox, &["send mails", "process mails"]).await;
    assert_eq!((all[0].kind, hex(&all[0].trace_id)), (Kind::Producer, TRACE[3..35].to_owned()));
    assert_eq!((all[1].kind, all[1].parent), (Kind::Consumer, Some(all[0].span_id)));
    assert_eq!(had.header("traceparent"), told(&all[1]));
    world.end().await;
}

#[tokio::test]
async fn a_job_that_runs_once_goes_on_in_the_trace_and_one_that_runs_again_leads_back_to_it() {
    let app = Subscriber::new("[]", |_, _| done()).await;
    let (recorder, inbox) = channel(1_000);
    let world = beside_with(&app, |config| recorded(config, &recorder)).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    let headers = [JSON, ("traceparent", TRACE), ("baggage", "customer=7")];
    let sent = world.ask_with("POST", "/v1.0/jobs/once", &headers, br#"{"dueTime":"1s"}"#).await;
    assert!(sent.status < 300, "{sent:?}");
    let had = app.has(1, "/job/once").await.remove(0);
    let all = spans(&inbox, &["put once", "run once"]).await;
    let (put, run) = (&all[0], &all[1]);
    assert_eq!((run.kind, run.parent, run.trace_id), (Kind::Consumer, Some(put.span_id), put.trace_id));
    assert_eq!((run.links.len(), run.links[0].span_id), (1, put.span_id));
    assert_eq!(run.attribute("colony.block"), Some(&Value::from("jobs")));
    assert!(number(run, "colony.queue.wait_ms") < 900.0, "it counts from when it was due: {run:#?}");
    assert_eq!((had.header("traceparent"), had.header("baggage")), (&*told(run), "customer=7"));

    let again = br#"{"schedule":"@every 100ms","repeats":2}"#;
    let sent = world.ask_with("POST", "/v1.0/jobs/again", &headers, again).await;
    assert!(sent.status < 300, "{sent:?}");
    let had = app.has(2, "/job/again").await;
    let all = all_of(&inbox, &[("put again", 1), ("run again", 2)]).await;
    let runs: Vec<_> = all.iter().filter(|span| &*span.name == "run again").collect();
    let put = all.iter().find(|span| &*span.name == "put again").expect("it is there");
    assert!(runs.iter().all(|run| run.parent.is_none() && run.links[0].span_id == put.span_id), "{runs:#?}");
    assert!(runs[0].trace_id != runs[1].trace_id && runs[0].trace_id != put.trace_id, "{runs:#?}");
    let tells = |run: &&Span| had.iter().any(|had| had.header("traceparent")[..53] == told(run)[..53]);
    assert!(runs.iter().all(tells), "the application is told of its own run");
    world.end().await;
}

#[tokio::test]
async fn what_is_asked_for_is_a_span_and_what_fails_is_one_that_failed() {
    let (recorder, inbox) = channel(1_000);
    let world = World::with(|config| recorded(config, &recorder)).await;
    let item = br#"[{"key":"secret-key","value":1}]"#;
    assert_eq!(world.ask_with("POST", "/v1.0/state/things", &[JSON], item).await.status, 204);
    let unsampled = TRACE.replace("-01", "-00");
    world.ask_with("GET", "/v1.0/state/unseen/key", &[("traceparent", &unsampled)], b"").await;
    let nobody = world.get("/v1.0/invoke/nobody/method/x").await;
    assert!(nobody.status >= 400, "{nobody:?}");
    let all = spans(&inbox, &["save things", "invoke nobody"]).await;
    assert_eq!((all[0].kind, all[0].parent, all[0].is_error()), (Kind::Client, None, false));
    assert!(!format!("{:?}", all[0]).contains("secret-key"), "keys are nobody's business");
    assert!(all[1].is_error());
    assert_eq!(all[1].attribute("peer.service"), Some(&Value::from("nobody")));
    assert_eq!(inbox.take(10).count(), 0, "what its sender does not record is not recorded");
    world.end().await;
}

#[tokio::test]
async fn what_is_not_sampled_is_recorded_where_that_is_wanted() {
    let (recorder, inbox) = channel(1_000);
    let wanting = |config: &mut api::Config| {
        recorded(config, &recorder);
        config.spans.as_mut().expect("just set").unsampled = true;
    };
    let world = World::with(wanting).await;
    let unsampled = TRACE.replace("-01", "-00");
    world.ask_with("GET", "/v1.0/state/things/key", &[("traceparent", &unsampled)], b"").await;
    let all = spans(&inbox, &["get things"]).await;
    assert_eq!(hex(&all[0].trace_id), TRACE[3..35]);
    world.end().await;
}

/// Of a `traceparent` that W3C Trace Context allows, whether it is sampled.
fn is_sampled(header: &str) -> bool {
    let context = telemetry::TraceContext::parse(header.as_bytes());
    context.unwrap_or_else(|| panic!("{header:?} is no trace")).is_sampled()
}

#[tokio::test]
async fn a_share_of_the_traces_that_begin_here_is_recorded_and_all_are_told() {
    for (rate, sampled) in [(0.0, 0..=0), (0.5, 60..=140), (1.0, 200..=200)] {
        let (recorder, inbox) = channel(1_000);
        let world = World::with(|config| {
            recorded(config, &recorder);
            config.spans.as_mut().expect("just set").rate = rate;
        });
        let world = world.await;
        let mut count = 0;
        for _ in 0..200 {
            let answer = world.get("/v1.0/state/things/key").await;
            count += usize::from(is_sampled(answer.header("traceparent").expect("it is told")));
        }
        assert!(sampled.contains(&count), "{count} of 200 with {rate}");
        assert_eq!(inbox.take(1_000).count(), count);
        // What its caller has begun is as that says.
        world.ask_with("GET", "/v1.0/state/things/key", &[("traceparent", TRACE)], b"").await;
        let unsampled = TRACE.replace("-01", "-00");
        let told = world.ask_with("GET", "/v1.0/state/things/key", &[("traceparent", &unsampled)], b"").await;
        assert_eq!(told.header("traceparent"), Some(&*unsampled));
        assert_eq!(inbox.take(10).count(), 1);
        world.end().await;
    }
}

#[tokio::test]
async fn who_is_called_and_who_is_brought_something_is_told_a_trace_also_of_what_is_not_recorded() {
    for (rate, is_wanted) in [(0.0, false), (1.0, true)] {
        let app = Subscriber::new(ORDERS, |_, _| done()).await;
        let nowhere =
            Spans { recorder: None, service: None, instance: String::new(), unsampled: false, rate };
        let world = beside_with(&app, |config| config.spans = Some(nowhere)).await;
        until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
        let raw = "/v1.0/publish/pubsub/orders?metadata.rawPayload=true";
        for path in ["/v1.0/publish/pubsub/orders", raw] {
            assert_eq!(world.ask_with("POST", path, &[JSON], b"{}").await.status, 204);
        }
        for had in app.has(2, "/orders").await {
            assert_eq!(is_sampled(had.header("traceparent")), is_wanted);
        }
        world.get("/v1.0/invoke/shop/method/x").await;
        world.ask_with("GET", "/y", &[("dapr-app-id", "shop")], b"").await;
        for path in ["/x", "/y"] {
            let had = app.has(1, path).await.remove(0);
            assert_eq!(is_sampled(had.header("traceparent")), is_wanted, "{path}");
        }
        world.end().await;
    }
}

/// All spans, when there are so many of each name.
async fn all_of(inbox: &Inbox, wanted: &[(&str, usize)]) -> Vec<Span> {
    let all = std::cell::RefCell::new(Vec::<Span>::new());
    let count = |name: &str| all.borrow().iter().filter(|span| &*span.name == name).count();
    until(
        || {
            let spans = inbox.take(100).filter_map(|record| match record {
                Record::Span(span) => Some(*span),
                Record::Log(_) => None,
            });
            all.borrow_mut().extend(spans);
            wanted.iter().all(|(name, wanted)| count(name) >= *wanted)
        },
        || format!("{wanted:?} among {:#?}", all.borrow()),
    )
    .await;
    all.take()
}

fn number(span: &Span, key: &str) -> f64 {
    match span.attribute(key) {
        Some(Value::Float(number)) => *number,
        other => panic!("{key} is {other:?}: {span:?}"),
    }
}

#[tokio::test]
async fn what_waits_in_a_queue_and_for_a_commit_is_seen_as_that() {
    let app = Subscriber::new("[]", |_, _| done()).await;
    let (recorder, inbox) = channel(1_000);
    let world = beside_with(&app, |config| recorded(config, &recorder)).await;
    assert_eq!(world.ask("PUT", "/v1.0/queues/mails", "{}").await.status, 204);
    assert_eq!(world.ask("PUT", "/v1.0/queues/mails/push", r#"{"route":"/mail"}"#).await.status, 204);
    let send = "/v1.0/queues/mails/send?delay=50ms";
    let headers = [JSON, ("traceparent", TRACE), ("baggage", "customer=7")];
    assert!(world.ask_with("POST", send, &headers, b"{}").await.status < 300);
    let had = app.has(1, "/mail").await.remove(0);
    let all = spans(&inbox, &["send mails", "process mails", "wait mails"]).await;
    let (sent, processed, waited) = (&all[0], &all[1], &all[2]);
    assert_eq!((waited.kind, waited.parent), (Kind::Internal, Some(sent.span_id)));
    assert_eq!(waited.attribute("colony.wait"), Some(&Value::from("queue")));
    assert_eq!(waited.links[0].span_id, processed.span_id, "it says who had it then");
    assert!(waited.duration_ns >= 50_000_000 && waited.end_ns() <= processed.end_ns(), "{waited:?}");
    assert!(number(sent, "colony.commit.wait_ms") > 0.0, "{sent:?}");
    assert_eq!(had.header("baggage"), "customer=7");
    // Who only reads waits for no commit.
    world.get("/v1.0/state/things/key").await;
    let read = spans(&inbox, &["get things"]).await.remove(0);
    assert_eq!(read.attribute("colony.commit.wait_ms"), None);
    world.end().await;
}

#[tokio::test]
async fn what_is_brought_together_is_led_to_from_each_producer() {
    let subscribes = r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders",
        "bulkSubscribe":{"enabled":true,"maxMessagesCount":2,"maxAwaitDurationMs":60000}}]"#;
    let app = Subscriber::new(subscribes, |_, _| done()).await;
    let (recorder, inbox) = channel(1_000);
    let world = beside_with(&app, |config| recorded(config, &recorder)).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    let traces = [TRACE.to_owned(), TRACE.replace("0af7", "1bf8")];
    for trace in &traces {
        let path = "/v1.0/publish/pubsub/orders";
        let headers = [JSON, ("traceparent", trace.as_str()), ("baggage", "customer=7")];
        assert_eq!(world.ask_with("POST", path, &headers, b"{}").await.status, 204);
    }
    let had = app.has(1, "/orders").await.remove(0);
    assert_eq!(had.json()["entries"][1]["event"]["baggage"], "customer=7");
    let all = all_of(&inbox, &[("wait orders", 2), ("process orders", 1)]).await;
    let named = |name: &str| all.iter().filter(|span| &*span.name == name).cloned().collect::<Vec<_>>();
    let (mut waits, processed) = (named("wait orders"), named("process orders").remove(0));
    waits.sort_by_key(|wait| hex(&wait.trace_id));
    assert_eq!((processed.parent, processed.links.len()), (None, 2), "it is in a trace of its own");
    assert_eq!(had.header("traceparent")[..53], told(&processed)[..53], "which the application is told");
    for (wait, trace) in waits.iter().zip(&traces) {
        assert_eq!(hex(&wait.trace_id), trace[3..35]);
        assert_eq!((wait.links[0].trace_id, wait.links[0].span_id), (processed.trace_id, processed.span_id));
        assert_eq!(wait.attribute("colony.wait"), Some(&Value::from("topic")));
    }
    world.end().await;
}

#[tokio::test]
async fn items_that_are_sent_together_or_over_grpc_say_by_whom_and_who_takes_them_is_linked() {
    use api::proto::colony::v1::{NewItem, ReceiveRequest, ReceiveResponse, SendRequest, SendResponse};

    let (recorder, inbox) = channel(1_000);
    let world = World::with(|config| recorded(config, &recorder)).await;
    let two = br#"[{"data":1},{"data":2,"headers":{"traceparent":"mine"}}]"#;
    let path = "/v1.0/queues/parcels/send/bulk";
    let answer = world.ask_with("POST", path, &[JSON, ("traceparent", TRACE)], two).await;
    assert!(answer.status < 300, "{answer:?}");
    // As Dapr's runtime and older SDKs say it over gRPC.
    let binary = "AABAQUJDREVGR0hJSktMTU5PAWFiY2RlZmdoAgE";
    let metadata = http::HeaderMap::from_iter([
        ("grpc-trace-bin".parse().unwrap(), binary.parse().unwrap()),
        (http::HeaderName::from_static("baggage"), "customer=7".parse().unwrap()),
    ]);
    let send = SendRequest { queue: "parcels".to_owned(), items: vec![NewItem::default()] };
    let sent: SendResponse = world.call_with("colony.v1.Queues/Send", &send, metadata).await.unwrap();
    assert_eq!(sent.items.len(), 1);
    let asked = ReceiveRequest { queue: "parcels".to_owned(), max: 10, ..ReceiveRequest::default() };
    let items: ReceiveResponse = world.call("colony.v1.Queues/Receive", &asked).await.unwrap();
    let all = spans(&inbox, &["send parcels", "colony.v1.Queues/Send", "colony.v1.Queues/Receive"]).await;
    let (over_http, over_grpc, received) = (&all[0], &all[1], &all[2]);
    assert_eq!(hex(&over_grpc.trace_id), "404142434445464748494a4b4c4d4e4f");
    assert_eq!(hex(&over_grpc.parent.unwrap()), "6162636465666768");
    let said = |at: usize, name: &str| items.items[at].headers.get(name).cloned().unwrap_or_default();
    let mut traces: Vec<String> = (0..3).map(|at| said(at, "traceparent")).collect();
    traces.sort();
    let mut wanted = vec![told(over_http), told(over_grpc), "mine".to_owned()];
    wanted.sort();
    assert_eq!(traces, wanted);
    assert!((0..3).any(|at| said(at, "baggage") == "customer=7"));
    let mut linked: Vec<_> = received.links.iter().map(|link| link.span_id).collect();
    linked.sort_unstable();
    let mut producers = vec![over_http.span_id, over_grpc.span_id];
    producers.sort_unstable();
    assert_eq!(linked, producers);
    world.end().await;
}
