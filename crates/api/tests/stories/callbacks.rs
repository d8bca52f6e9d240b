//! Events brought to an application over gRPC.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use api::proto::dapr::common::v1::{InvokeRequest, InvokeResponse};
use api::proto::dapr::runtime::v1::app_callback_alpha_server::{AppCallbackAlpha, AppCallbackAlphaServer};
use api::proto::dapr::runtime::v1::app_callback_server::{AppCallback, AppCallbackServer};
use api::proto::dapr::runtime::v1::topic_event_bulk_request_entry::Event;
use api::proto::dapr::runtime::v1::{
    BindingEventRequest, BindingEventResponse, BulkSubscribeConfig, JobEventRequest, JobEventResponse,
    ListInputBindingsResponse, ListTopicSubscriptionsResponse, TopicEventBulkRequest, TopicEventBulkResponse,
    TopicEventBulkResponseEntry, TopicEventRequest, TopicEventResponse, TopicRoutes, TopicRule,
    TopicSubscription,
};
use components::pubsub::Message;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tonic::{Request, Response, Status};
use tower_service::Service;

use crate::subscriber::{event, is_told_away, publish, until};
use crate::world::World;

type Answer<T> = Result<Response<T>, Status>;

/// An application that speaks gRPC.
#[derive(Clone, Default)]
struct Shop(Arc<Told>);

#[derive(Default)]
struct Told {
    subscriptions: Option<Vec<TopicSubscription>>,
    /// Whether it knows bulks by their newer name.
    is_new: bool,
    had: Mutex<Vec<(TopicEventRequest, String)>>,
    bulks: Mutex<Vec<TopicEventBulkRequest>>,
}

#[tonic::async_trait]
impl AppCallback for Shop {
    async fn list_topic_subscriptions(&self, _: Request<()>) -> Answer<ListTopicSubscriptionsResponse> {
        match &self.0.subscriptions {
            Some(subscriptions) => {
                Ok(Response::new(ListTopicSubscriptionsResponse { subscriptions: subscriptions.clone() }))
            }
            None => Err(Status::unimplemented("none")),
        }
    }

    async fn on_topic_event(&self, request: Request<TopicEventRequest>) -> Answer<TopicEventResponse> {
        let of = |name| request.metadata().get(name).map_or("", |value| value.to_str().unwrap());
        let metadata = format!("{} {}", of("priority"), of("traceparent"));
        let event = request.into_inner();
        let count = {
            let mut had = self.0.had.lock().unwrap();
            had.push((event.clone(), metadata));
            had.iter().filter(|(other, _)| other.id == event.id).count()
        };
        match (&*event.id, count) {
            ("retry" | "unknown" | "error", 2) => Ok(Response::new(TopicEventResponse { status: 0 })),
            ("retry", _) => Ok(Response::new(TopicEventResponse { status: 1 })),
            ("unknown", _) => Ok(Response::new(TopicEventResponse { status: 7 })),
            ("drop", _) => Ok(Response::new(TopicEventResponse { status: 2 })),
            ("error", _) => Err(Status::internal("not today")),
            ("unimplemented", _) => Err(Status::unimplemented("never")),
            _ => Ok(Response::new(TopicEventResponse { status: 0 })),
        }
    }

    async fn on_bulk_topic_event(
        &self,
        request: Request<TopicEventBulkRequest>,
    ) -> Answer<TopicEventBulkResponse> {
        match self.0.is_new {
            true => Ok(Response::new(self.bulk(request.into_inner()))),
            false => Err(Status::unimplemented("what is that?")),
        }
    }

    async fn on_invoke(&self, _: Request<InvokeRequest>) -> Answer<InvokeResponse> {
        Err(Status::unimplemented("no"))
    }

    async fn list_input_bindings(&self, _: Request<()>) -> Answer<ListInputBindingsResponse> {
        Err(Status::unimplemented("no"))
    }

    async fn on_binding_event(&self, _: Request<BindingEventRequest>) -> Answer<BindingEventResponse> {
        Err(Status::unimplemented("no"))
    }

    async fn on_job_event(&self, _: Request<JobEventRequest>) -> Answer<JobEventResponse> {
        Err(Status::unimplemented("no"))
    }
}

#[tonic::async_trait]
impl AppCallbackAlpha for Shop {
    async fn on_bulk_topic_event_alpha1(
        &self,
        request: Request<TopicEventBulkRequest>,
    ) -> Answer<TopicEventBulkResponse> {
        Ok(Response::new(self.bulk(request.into_inner())))
    }

    async fn on_job_event_alpha1(&self, _: Request<JobEventRequest>) -> Answer<JobEventResponse> {
        Err(Status::unimplemented("no"))
    }
}

impl Shop {
    fn bulk(&self, request: TopicEventBulkRequest) -> TopicEventBulkResponse {
        let done = |entry: &_| TopicEventBulkResponseEntry { entry_id: id_of(entry), status: 0 };
        let statuses = request.entries.iter().map(done).collect();
        self.0.bulks.lock().unwrap().push(request);
        TopicEventBulkResponse { statuses }
    }

    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.0.had.lock().unwrap().iter().map(|(event, _)| event.id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    async fn serve(&self) -> (u16, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (callback, alpha) =
            (AppCallbackServer::new(self.clone()), AppCallbackAlphaServer::new(self.clone()));
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (callback, alpha) = (callback.clone(), alpha.clone());
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (mut callback, mut alpha) = (callback.clone(), alpha.clone());
                    async move {
                        let Ok(response) = match request.uri().path().contains("AppCallbackAlpha") {
                            true => alpha.call(request).await,
                            false => callback.call(request).await,
                        };
                        Ok::<_, Infallible>(response)
                    }
                });
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (port, serving)
    }

    /// Its sidecar; the application ends with the second.
    async fn beside(&self) -> (World, JoinHandle<()>) {
        let (port, serving) = self.serve().await;
        let world = World::with(|config| {
            config.app.port = Some(port);
            config.app.protocol = "grpc".to_owned();
        })
        .await;
        (world, serving)
    }
}

fn id_of(entry: &api::proto::dapr::runtime::v1::TopicEventBulkRequestEntry) -> String {
    entry.entry_id.clone()
}

fn to(topic: &str) -> TopicSubscription {
    TopicSubscription { pubsub_name: "pubsub".to_owned(), topic: topic.to_owned(), ..Default::default() }
}

fn shop(subscriptions: Vec<TopicSubscription>, is_new: bool) -> Shop {
    Shop(Arc::new(Told { subscriptions: Some(subscriptions), is_new, ..Told::default() }))
}

#[tokio::test]
async fn events_are_brought_over_grpc() {
    let rule = TopicRule { r#match: "event.type == 'made'".to_owned(), path: "made".to_owned() };
    let routes = TopicRoutes { rules: vec![rule], default: "rest".to_owned() };
    let shop = shop(
        vec![
            TopicSubscription { routes: Some(routes), ..to("orders") },
            TopicSubscription { dead_letter_topic: "dead".to_owned(), ..to("kept") },
            to("dead"),
        ],
        true,
    );
    let (world, _serving) = shop.beside().await;
    let metadata = [("priority".to_owned(), "high".to_owned()), ("te".to_owned(), "x".to_owned())].into();
    publish(&world, "orders", Message { metadata, ..event("1") }).await;
    publish(
        &world,
        "orders",
        Message::new(
            r#"{"id":"2","traceparent":"00-1","type":"other","datacontenttype":"text/plain","data":"a\nb"}"#,
        ),
    )
    .await;
    for id in ["retry", "unknown", "error", "drop", "unimplemented"] {
        publish(&world, "orders", event(id)).await;
    }
    publish(&world, "kept", Message::new(r#"{"id":"drop"}"#)).await;
    let expected = [
        "1",
        "2",
        "drop",
        "drop",
        "drop",
        "error",
        "error",
        "retry",
        "retry",
        "unimplemented",
        "unknown",
        "unknown",
    ];
    until(|| shop.ids() == expected, || format!("{:?}", shop.ids())).await;
    let had = shop.0.had.lock().unwrap().clone();
    let of = |id: &str| had.iter().find(|(event, _)| event.id == id).unwrap().clone();
    let (first, metadata) = of("1");
    assert_eq!(
        (&*first.path, &*first.topic, &*first.pubsub_name, &*metadata),
        ("made", "orders", "pubsub", "high ")
    );
    assert_eq!((&*first.data_content_type, &first.data[..]), ("application/json", &br#"{"n":1.50}"#[..]));
    let (second, metadata) = of("2");
    assert_eq!((&*second.path, &second.data[..], &*metadata), ("rest", &b"a\nb"[..], " 00-1"));
    assert!(had.iter().any(|(event, _)| event.topic == "dead" && event.id == "drop"));
    world.end().await;
    assert_eq!(shop.ids(), expected);
}

#[tokio::test]
async fn several_are_brought_at_once_by_the_newer_name_or_the_older() {
    for is_new in [true, false] {
        let bulk = BulkSubscribeConfig { enabled: true, max_messages_count: 3, max_await_duration_ms: 100 };
        let raw = TopicSubscription {
            bulk_subscribe: Some(BulkSubscribeConfig { max_messages_count: 1, ..bulk }),
            metadata: [("rawPayload".to_owned(), "true".to_owned())].into(),
            ..to("raw")
        };
        let shop = shop(vec![TopicSubscription { bulk_subscribe: Some(bulk), ..to("orders") }, raw], is_new);
        let (world, _serving) = shop.beside().await;
        for id in ["1", "2", "3"] {
            publish(&world, "orders", event(id)).await;
        }
        publish(&world, "raw", Message::new(&b"\xff"[..])).await;
        let entries = || shop.0.bulks.lock().unwrap().iter().map(|bulk| bulk.entries.len()).sum::<usize>();
        until(|| entries() == 4, || format!("{:?}", shop.0.bulks.lock().unwrap())).await;
        let bulks = shop.0.bulks.lock().unwrap().clone();
        let orders: Vec<_> = bulks.iter().filter(|bulk| bulk.topic == "orders").collect();
        assert_eq!((&*orders[0].pubsub_name, &*orders[0].r#type), ("pubsub", "com.dapr.event.sent.bulk"));
        for entry in orders.iter().flat_map(|bulk| &bulk.entries) {
            let Some(Event::CloudEvent(event)) = &entry.event else { panic!("{entry:?}") };
            assert_eq!(
                (&event.data[..], &*entry.content_type),
                (&br#"{"n":1.50}"#[..], "application/cloudevents+json")
            );
        }
        let raw = bulks.iter().find(|bulk| bulk.topic == "raw").unwrap();
        assert_eq!(raw.entries[0].event, Some(Event::Bytes(b"\xff"[..].into())));
        world.end().await;
        assert_eq!(entries(), 4);
    }
}

#[tokio::test]
async fn an_application_need_not_subscribe_and_what_it_was_away_for_waits() {
    let shop = Shop::default();
    let (world, serving) = shop.beside().await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    assert!(world.api.subscriptions().is_empty() && world.said.lock().unwrap().is_empty());
    serving.abort();
    let told = self::shop(vec![to("orders")], true);
    let (world, serving) = told.beside().await;
    publish(&world, "orders", event("1")).await;
    until(|| told.ids() == ["1"], || format!("{:?}", told.ids())).await;
    serving.abort();
    publish(&world, "orders", event("2")).await;
    let said = || world.said.lock().unwrap().concat();
    until(|| is_told_away(&said()), said).await;
    world.end().await;
}
