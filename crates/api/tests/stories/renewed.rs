//! What is declared changes while requests are answered and events are brought: none is refused, and none is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::config::{Block, Component, Place, Prefix, PubSub};
use api::proto::dapr::runtime::v1::dapr_client::DaprClient;
use api::proto::dapr::runtime::v1::{GetStateRequest, PublishEventRequest};
use api::subscription::Subscription;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::subscriber::{Does, Subscriber, answers, beside_with, declared, done, event, publish, until};
use crate::subscribing::Channel;
use crate::world::{PATIENCE, World, store};

fn broker(name: &str, group: &str) -> Component {
    let pubsub = PubSub { group: Some(group.to_owned()), ..PubSub::default() };
    Component {
        name: name.to_owned(),
        kind: "pubsub.colony".to_owned(),
        version: "v1".to_owned(),
        block: Block::PubSub(pubsub),
    }
}

fn to(topic: &str, route: &str) -> Arc<Subscription> {
    Arc::new(declared(topic, route))
}

fn ids(app: &Subscriber, path: &str) -> Vec<String> {
    app.on(path).iter().map(|had| had.json()["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_refused_and_none_is_lost_while_resources_change() {
    let app = Subscriber::new("[]", |_, _| done()).await;
    let steady = to("orders", "/orders");
    let world = beside_with(&app, |config| {
        config.components.push(store("carts", Place::Disk, Prefix::Name));
        config.subscriptions.push(Arc::clone(&steady));
    })
    .await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::Relaxed);
    // One connection each, which is there from the first request to the last.
    let unary = async {
        let stream = TokioIo::new(TcpStream::connect(&world.http).await.unwrap());
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut asked = 0_u32;
        while !is_over() {
            let request =
                Request::get("/v1.0/state/carts/ada").header("host", "x").body(Empty::<&[u8]>::new());
            sender.ready().await.unwrap();
            let answer = sender.send_request(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), 204);
            answer.into_body().collect().await.unwrap();
            asked += 1;
        }
        assert!(asked > 0 && !connection.is_finished());
    };
    let grpc = async {
        let stream = TokioIo::new(TcpStream::connect(&world.grpc).await.unwrap());
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let origin = format!("http://{}", world.grpc).parse().unwrap();
        let mut client = DaprClient::with_origin(Channel(sender), origin);
        let mut published = 0_u32;
        while !is_over() {
            let get = GetStateRequest { store_name: "carts".into(), key: "ada".into(), ..Default::default() };
            client.get_state(get).await.unwrap();
            let data = event(&published.to_string()).data;
            let send = PublishEventRequest {
                pubsub_name: "pubsub".into(),
                topic: "orders".into(),
                data_content_type: "application/cloudevents+json".into(),
                data,
                ..Default::default()
            };
            client.publish_event(send).await.unwrap();
            published += 1;
        }
        assert!(!connection.is_finished());
        published
    };
    let changing = async {
        for turn in 0..40 {
            let is_odd = turn % 2 == 1;
            world.renew(|config| {
                config.components.truncate(1);
                config.subscriptions.truncate(1);
                if is_odd {
                    config.components.push(store("more", Place::Memory, Prefix::None));
                    config.components.push(broker("others", "mine"));
                    config.subscriptions.push(to("other", "/other"));
                }
            });
            let names: Vec<_> = world.instance.api().components().into_iter().map(|one| one.name).collect();
            assert_eq!(names.contains(&"more".to_owned()), is_odd, "{names:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    let ((), published, ()) = tokio::join!(unary, grpc, changing);
    let all: BTreeSet<String> = (0..published).map(|n| n.to_string()).collect();
    until(
        || ids(&app, "/orders").into_iter().collect::<BTreeSet<_>>() == all,
        || format!("{published} events: {:?}", ids(&app, "/orders")),
    )
    .await;
    assert_eq!(ids(&app, "/orders").len(), all.len(), "what is as it was goes on, and nothing comes twice");
    world.end().await;
}

#[tokio::test]
async fn a_subscription_that_goes_elsewhere_finishes_what_it_has_and_loses_nothing() {
    let slow = |_: &_, _| Does::Answers(200, String::new(), Duration::from_millis(20));
    let app = Subscriber::new("[]", slow).await;
    let world = beside_with(&app, |config| config.subscriptions.push(to("orders", "/before"))).await;
    until(|| !world.api.subscriptions().is_empty(), || "subscribed".to_owned()).await;
    let all: BTreeSet<String> = (0..60).map(|n| n.to_string()).collect();
    for id in &all {
        publish(&world, "orders", event(id)).await;
    }
    app.has(5, "/before").await;
    world.renew(|config| config.subscriptions = vec![to("orders", "/after")]);
    let had = || ids(&app, "/before").into_iter().chain(ids(&app, "/after"));
    until(|| had().collect::<BTreeSet<_>>() == all, || format!("{:?}", app.all())).await;
    publish(&world, "orders", event("later")).await;
    until(|| ids(&app, "/after").contains(&"later".to_owned()), || format!("{:?}", app.all())).await;
    assert!(!ids(&app, "/before").contains(&"later".to_owned()));
    world.renew(|config| config.subscriptions.clear());
    until(|| world.instance.api().subscriptions().is_empty(), || "none is left".to_owned()).await;
    world.end().await;
}

#[tokio::test]
async fn what_the_application_told_holds_whatever_is_declared_beside_it() {
    let app =
        Subscriber::new(r#"[{"pubsubname":"pubsub","topic":"told","route":"/told"}]"#, |_, _| done()).await;
    let world = beside_with(&app, |_| {}).await;
    until(|| world.api.subscriptions().len() == 1, || "subscribed".to_owned()).await;
    world.renew(|config| config.subscriptions = vec![to("declared", "/declared"), to("told", "/other")]);
    until(|| world.api.subscriptions().len() == 2, || "both".to_owned()).await;
    publish(&world, "told", event("1")).await;
    publish(&world, "declared", event("2")).await;
    assert_eq!((app.has(1, "/told").await.len(), app.has(1, "/declared").await.len()), (1, 1));
    assert_eq!(app.on("/dapr/subscribe").len(), 1, "it is asked once");
    let lines = world.said.lock().unwrap().clone();
    let left_out = lines.iter().filter(|line| line.contains("one that is declarative is left out"));
    assert_eq!(left_out.count(), 1, "{lines:?}");
    // Another group has not had anything, nor has it what came before it was there.
    world.renew(|config| config.components.push(broker("pubsub", "another")));
    publish(&world, "told", event("3")).await;
    let told = || ids(&app, "/told");
    until(|| told().contains(&"3".to_owned()), || format!("{:?}", told())).await;
    world.end().await;
}

#[tokio::test]
async fn a_request_is_finished_by_what_it_was_begun_with() {
    let app = Subscriber::serving(0, |had, _| match had.path.as_str() {
        "/slow" => Does::Answers(200, "done".to_owned(), Duration::from_millis(300)),
        _ => answers(404, ""),
    })
    .await;
    let world =
        beside_with(&app, |config| config.components.push(store("gone", Place::Disk, Prefix::Name))).await;
    until(|| world.api.health.is_ready(), || "ready".to_owned()).await;
    let changing = async {
        until(|| !app.on("/slow").is_empty(), || "it is called".to_owned()).await;
        world.renew(|config| config.foreign = config.components.drain(..).map(|one| one.name).collect());
        assert_eq!(
            world.get("/v1.0/state/gone/k").await.refused(),
            (400, "ERR_STATE_STORE_NOT_FOUND".into())
        );
        assert_eq!(world.get("/v1.0/healthz").await.status, 204, "it is ready all the time");
    };
    let (answer, ()) = tokio::join!(world.get("/v1.0/invoke/shop/method/slow"), changing);
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    let first = Arc::downgrade(&world.api);
    let World { api, instance, .. } = world;
    drop(api);
    tokio::time::timeout(PATIENCE, async {
        while first.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("what was replaced is let go of");
    instance.end();
}
