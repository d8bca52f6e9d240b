//! Subscriptions that an application holds open as a stream, without a port of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use api::config::{Block, Component, PubSub};
use api::proto::dapr::runtime::v1::dapr_client::DaprClient;
use api::proto::dapr::runtime::v1::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Asks;
use api::proto::dapr::runtime::v1::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Says;
use api::proto::dapr::runtime::v1::topic_event_response::TopicEventResponseStatus as Status;
use api::proto::dapr::runtime::v1::{
    GetMetadataRequest, GetMetadataResponse, PubsubSubscriptionType, SubscribeTopicEventsRequestAlpha1,
    SubscribeTopicEventsRequestInitialAlpha1, SubscribeTopicEventsRequestProcessedAlpha1,
    SubscribeTopicEventsResponseAlpha1, TopicEventRequest, TopicEventResponse,
};
use futures_util::stream;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use crate::subscriber::{event, publish, until};
use crate::world::{PATIENCE, World};

/// A client's end of a stream. Dropping it closes the connection.
struct Stream {
    asks: mpsc::UnboundedSender<Asks>,
    says: Streaming<SubscribeTopicEventsResponseAlpha1>,
    connection: JoinHandle<()>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A connection that a client of gRPC calls over.
#[derive(Clone)]
pub struct Channel(pub SendRequest<tonic::body::Body>);

impl tower_service::Service<http::Request<tonic::body::Body>> for Channel {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), hyper::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl Stream {
    /// Sends this first.
    async fn begun(world: &World, first: Option<Asks>) -> Result<Stream, tonic::Status> {
        let stream = TokioIo::new(TcpStream::connect(&world.grpc).await.unwrap());
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        let origin = format!("http://{}", world.grpc).parse().unwrap();
        let mut client = DaprClient::with_origin(Channel(sender), origin);
        let (asks, asked) = mpsc::unbounded_channel();
        first.into_iter().for_each(|first| asks.send(first).unwrap());
        let requests = stream::unfold(asked, |mut asked: mpsc::UnboundedReceiver<Asks>| async move {
            let asks = asked.recv().await?;
            Some((
                SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(asks) },
                asked,
            ))
        });
        let answered =
            timeout(PATIENCE, client.subscribe_topic_events_alpha1(requests)).await.expect("an answer");
        Ok(Stream { asks, says: answered?.into_inner(), connection })
    }

    async fn new(world: &World, topic: &str) -> Stream {
        Stream::with(world, topic, &[], None).await
    }

    async fn with(
        world: &World,
        topic: &str,
        metadata: &[(&str, &str)],
        dead_letter: Option<&str>,
    ) -> Stream {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let initial = SubscribeTopicEventsRequestInitialAlpha1 {
            metadata: metadata.collect(),
            dead_letter_topic: dead_letter.map(str::to_owned),
            ..initial("pubsub", topic)
        };
        let mut stream = Stream::begun(world, Some(Asks::InitialRequest(initial))).await.unwrap();
        assert!(matches!(stream.next().await, Ok(Some(Says::InitialResponse(_)))));
        stream
    }

    async fn next(&mut self) -> Result<Option<Says>, tonic::Status> {
        let said = timeout(PATIENCE, self.says.message()).await.expect("something")?;
        Ok(said.and_then(|said| said.subscribe_topic_events_response_type))
    }

    async fn event(&mut self) -> TopicEventRequest {
        match self.next().await {
            Ok(Some(Says::EventMessage(event))) => event,
            odd => panic!("{odd:?}"),
        }
    }

    fn answer(&self, id: &str, status: Status) {
        let status = Some(TopicEventResponse { status: status.into() });
        let processed = SubscribeTopicEventsRequestProcessedAlpha1 { id: id.to_owned(), status };
        self.asks.send(Asks::EventProcessed(processed)).unwrap();
    }
}

fn initial(pubsub: &str, topic: &str) -> SubscribeTopicEventsRequestInitialAlpha1 {
    SubscribeTopicEventsRequestInitialAlpha1 {
        pubsub_name: pubsub.to_owned(),
        topic: topic.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_stream_is_sent_events_and_says_what_came_of_them() {
    let world = World::new().await;
    let mut stream = Stream::with(&world, "orders", &[], Some("dead")).await;
    let mut dead = Stream::new(&world, "dead").await;
    publish(&world, "orders", event("1")).await;
    let had = stream.event().await;
    assert_eq!((&*had.id, &*had.topic, &*had.pubsub_name, &*had.path), ("1", "orders", "pubsub", "/"));
    assert_eq!((&had.data[..], &*had.data_content_type), (&br#"{"n":1.50}"#[..], "application/json"));
    stream.answer("1", Status::Success);
    stream.answer("unknown", Status::Success);
    publish(&world, "orders", event("2")).await;
    assert_eq!(stream.event().await.id, "2");
    stream.answer("2", Status::Drop);
    assert_eq!(dead.event().await.id, "2");
    dead.answer("2", Status::Retry);
    assert_eq!(dead.event().await.id, "2", "it is tried again");
    dead.answer("2", Status::Success);
    let told: GetMetadataResponse =
        world.call("dapr.proto.runtime.v1.Dapr/GetMetadata", &GetMetadataRequest {}).await.unwrap();
    let topics: Vec<_> =
        told.subscriptions.iter().map(|one| (&*one.topic, &*one.dead_letter_topic)).collect();
    assert_eq!(topics, [("orders", "dead"), ("dead", "")]);
    assert!(told.subscriptions.iter().all(|one| one.r#type == i32::from(PubsubSubscriptionType::Streaming)));
    assert_eq!(told.subscriptions[0].rules.as_ref().unwrap().rules[0].path, "/");
    drop(stream);
    drop(dead);
    until(|| world.api.subscriptions().is_empty(), || "they are gone".to_owned()).await;
    assert_eq!(world.get("/v1.0/metadata").await.json()["subscriptions"], Value::Null);
    let mut later = Stream::new(&world, "orders").await;
    publish(&world, "orders", event("3")).await;
    assert_eq!(later.event().await.id, "3", "what was answered does not come again");
}

#[tokio::test]
async fn a_stream_goes_on_as_long_as_its_broker_is_declared_as_it_was() {
    let world = World::new().await;
    let mut stream = Stream::new(&world, "orders").await;
    publish(&world, "orders", event("1")).await;
    assert_eq!(stream.event().await.id, "1");
    world.renew(|config| config.subscriptions.clear());
    stream.answer("1", Status::Success);
    publish(&world, "orders", event("2")).await;
    assert_eq!(stream.event().await.id, "2");
    world.renew(|config| {
        config.components.push(Component {
            name: "pubsub".to_owned(),
            kind: "pubsub.colony".to_owned(),
            version: "v1".to_owned(),
            block: Block::PubSub(PubSub { group: Some("shop".to_owned()), ..PubSub::default() }),
        });
    });
    let ended = stream.next().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    let mut again = Stream::new(&world, "orders").await;
    assert_eq!(again.event().await.id, "2", "what was not answered comes again");
    again.answer("2", Status::Success);
}

#[tokio::test]
async fn what_was_with_a_stream_that_is_gone_comes_to_another() {
    let world = World::new().await;
    let mut first = Stream::new(&world, "orders").await;
    let expected: BTreeSet<String> = (0..20).map(|n| n.to_string()).collect();
    for id in &expected {
        publish(&world, "orders", event(id)).await;
    }
    for _ in 0..10 {
        first.event().await;
    }
    let mut second = Stream::new(&world, "orders").await;
    drop(first);
    let mut had = BTreeSet::new();
    while had.len() < expected.len() {
        let event = second.event().await;
        second.answer(&event.id, Status::Success);
        had.insert(event.id);
    }
    assert_eq!(had, expected);
}

#[tokio::test]
async fn several_streams_share_what_comes() {
    let world = World::new().await;
    let mut streams = [Stream::new(&world, "orders").await, Stream::new(&world, "orders").await];
    for n in 0..40 {
        publish(&world, "orders", event(&n.to_string())).await;
    }
    let mut had = BTreeSet::new();
    while had.len() < 40 {
        let [first, second] = &mut streams;
        let (event, from) = tokio::select! {
            event = first.event() => (event, 0),
            event = second.event() => (event, 1),
        };
        streams[from].answer(&event.id, Status::Success);
        assert!(had.insert(event.id.clone()), "{} came twice", event.id);
    }
}

#[tokio::test]
async fn a_stream_that_answers_nothing_does_not_keep_events() {
    let world = World::new().await;
    let mut silent = Stream::with(&world, "orders", &[("processingTimeout", "200ms")], None).await;
    publish(&world, "orders", event("1")).await;
    assert_eq!(silent.event().await.id, "1");
    assert_eq!(silent.event().await.id, "1", "it comes again");
    silent.answer("1", Status::Success);
}

#[tokio::test]
async fn no_more_is_sent_than_is_answered() {
    let world = World::new().await;
    let mut stream = Stream::with(&world, "orders", &[("concurrency", "2")], None).await;
    for n in 0..5 {
        publish(&world, "orders", event(&n.to_string())).await;
    }
    let first = stream.event().await.id;
    stream.event().await;
    let third = timeout(Duration::from_millis(100), stream.says.message()).await;
    assert!(third.is_err(), "{third:?}");
    stream.answer(&first, Status::Success);
    stream.event().await;
}

#[tokio::test]
async fn what_is_no_subscription_is_refused() {
    let world = World::with(|config| {
        let scope =
            components::pubsub::Scope { subscribing: Some(["open".to_owned()].into()), ..Default::default() };
        let block = Block::PubSub(PubSub { scope, ..PubSub::default() });
        let (name, kind, version) = ("scoped".to_owned(), "pubsub.colony".to_owned(), "v1".to_owned());
        config.components = vec![Component { name, kind, version, block }];
        config.foreign = vec!["foreign".to_owned()];
    })
    .await;
    let knob = SubscribeTopicEventsRequestInitialAlpha1 {
        metadata: [("concurrency".to_owned(), "0".to_owned())].into(),
        ..initial("pubsub", "t")
    };
    let circle = SubscribeTopicEventsRequestInitialAlpha1 {
        dead_letter_topic: Some("t".to_owned()),
        ..initial("pubsub", "t")
    };
    let processed = Asks::EventProcessed(SubscribeTopicEventsRequestProcessedAlpha1::default());
    for (first, code, said) in [
        (processed, Code::InvalidArgument, "initial request is required"),
        (Asks::InitialRequest(initial("", "t")), Code::InvalidArgument, "pubsubName is required"),
        (Asks::InitialRequest(initial("pubsub", "")), Code::InvalidArgument, "topic is required"),
        (Asks::InitialRequest(knob), Code::InvalidArgument, "metadata `concurrency`"),
        (Asks::InitialRequest(circle), Code::InvalidArgument, "dead letters"),
        (Asks::InitialRequest(initial("foreign", "t")), Code::InvalidArgument, "pubsub foreign is not found"),
        (Asks::InitialRequest(initial("scoped", "closed")), Code::PermissionDenied, "is not allowed"),
    ] {
        let refused = Stream::begun(&world, Some(first)).await.err().expect("it is refused");
        assert!(refused.code() == code && refused.message().contains(said), "{said}: {refused:?}");
    }
    let mut stream =
        Stream::begun(&world, Some(Asks::InitialRequest(initial("scoped", "open")))).await.unwrap();
    assert!(stream.next().await.is_ok());
    stream.asks.send(Asks::InitialRequest(initial("scoped", "open"))).unwrap();
    assert_eq!(stream.next().await.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_stream_ends_with_the_sidecar() {
    let world = World::new().await;
    let mut stream = Stream::new(&world, "orders").await;
    publish(&world, "orders", event("1")).await;
    stream.event().await;
    world.end().await;
    assert_eq!(stream.next().await.unwrap_err().code(), Code::Unavailable);
}
