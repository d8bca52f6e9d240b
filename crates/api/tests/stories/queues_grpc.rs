//! Queues over gRPC.

use api::app::App;
use api::config;
use api::proto::colony::v1::queues_client::QueuesClient;
use api::proto::colony::v1::work_request::Say;
use api::proto::colony::v1::{
    AcknowledgeRequest, CancelRequest, DefineQueueRequest, ExtendRequest, FailureReason, GetItemRequest,
    GetQueueRequest, ItemState, ListQueuesRequest, NackRequest, NewItem, PauseRequest, PeekRequest,
    PurgeRequest, QueueCounts, QueueRate, QueueSettings, ReceiveRequest, ReceivedItem, RedriveRequest,
    ReleaseRequest, ResumeRequest, SendRequest, WorkBegin, WorkFailed, WorkRequest,
};
use futures_util::stream;
use prost_types::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Code, Request};

use crate::world::{PATIENCE, World};

fn client(world: &World) -> QueuesClient<App> {
    let port = world.grpc.rsplit(':').next().unwrap().parse().ok();
    QueuesClient::new(App::new(&config::App { port, protocol: "grpc".to_owned(), ..config::App::default() }))
}

fn queue() -> String {
    "to-pack".to_owned()
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn sending(items: &[&'static str]) -> SendRequest {
    let item = |data: &&'static str| NewItem {
        data: data.as_bytes().into(),
        content_type: "text/plain".to_owned(),
        headers: [("a".to_owned(), "b".to_owned())].into(),
        ..NewItem::default()
    };
    SendRequest { queue: queue(), items: items.iter().map(item).collect() }
}

fn receiving(max: u32) -> ReceiveRequest {
    ReceiveRequest { queue: queue(), max, ..ReceiveRequest::default() }
}

fn receipts(items: &[ReceivedItem]) -> Vec<String> {
    items.iter().map(|item| item.receipt.clone()).collect()
}

#[tokio::test]
async fn items_are_sent_received_and_settled_over_grpc() {
    let world = World::new().await;
    let mut client = client(&world);
    let settings = QueueSettings {
        backoff: seconds(0),
        rate: Some(QueueRate { count: 1_000, per: seconds(1), burst: 1_000 }),
        ..QueueSettings::default()
    };
    client.define(DefineQueueRequest { queue: queue(), settings: Some(settings) }).await.unwrap();
    let sent = client.send(sending(&["1", "2", "3", "4"])).await.unwrap().into_inner().items;
    assert!(sent.len() == 4 && sent.iter().all(|item| !item.id.is_empty() && item.error.is_empty()));
    let items = client.receive(receiving(4)).await.unwrap().into_inner().items;
    assert_eq!((&items[0].data[..], items[0].content_type.as_str()), (&b"1"[..], "text/plain"));
    assert_eq!((items[0].headers["a"].as_str(), &items[0].id), ("b", &sent[0].id));
    let receipts = receipts(&items);
    let one = |at: usize| vec![receipts[at].clone()];
    client
        .extend(ExtendRequest { queue: queue(), receipts: receipts.clone(), lease: seconds(60) })
        .await
        .unwrap();
    client.acknowledge(AcknowledgeRequest { queue: queue(), receipts: one(0) }).await.unwrap();
    client.release(ReleaseRequest { queue: queue(), receipts: one(1) }).await.unwrap();
    let nack = |at: usize, dead| NackRequest {
        queue: queue(),
        receipts: one(at),
        cause: "no paper".to_owned(),
        delay: seconds(3_600),
        dead,
    };
    client.nack(nack(2, false)).await.unwrap();
    client.nack(nack(3, true)).await.unwrap();
    let fenced =
        client.acknowledge(AcknowledgeRequest { queue: queue(), receipts: one(0) }).await.unwrap_err();
    assert_eq!(fenced.code(), Code::FailedPrecondition, "{fenced:?}");
    let told = client.get(GetQueueRequest { queue: queue() }).await.unwrap().into_inner();
    let counts = QueueCounts { ready: 1, delayed: 1, dead: 1, ..QueueCounts::default() };
    assert_eq!((told.counts, told.settings.unwrap().lease), (Some(counts), seconds(30)));
    let listed = client.list(ListQueuesRequest::default()).await.unwrap().into_inner().queues;
    assert_eq!((listed.len(), &listed[0].counts), (1, &Some(counts)));
    let dead = PeekRequest { queue: queue(), state: ItemState::Dead.into(), max: 0 };
    let dead = client.peek(dead).await.unwrap().into_inner().items.remove(0);
    let last = dead.dead.unwrap();
    assert_eq!(
        (last.reason(), last.cause.as_str(), dead.failures.len()),
        (FailureReason::Nacked, "no paper", 1)
    );
    let redrive = RedriveRequest { queue: queue(), ids: vec![dead.id.clone()], ..RedriveRequest::default() };
    assert_eq!(client.redrive(redrive).await.unwrap().into_inner().matching, 1);
    let delayed = GetItemRequest { queue: queue(), id: sent[2].id.clone() };
    let delayed = client.get_item(delayed).await.unwrap().into_inner();
    assert!(delayed.state() == ItemState::Delayed && delayed.ready.is_some(), "{delayed:?}");
    client.cancel(CancelRequest { queue: queue(), id: delayed.id }).await.unwrap();
    client.pause(PauseRequest { queue: queue() }).await.unwrap();
    assert!(client.receive(receiving(9)).await.unwrap().into_inner().items.is_empty());
    client.resume(ResumeRequest { queue: queue() }).await.unwrap();
    client.purge(PurgeRequest { queue: queue(), waiting: true, dead: true }).await.unwrap();
    let empty = async {
        let got = || GetQueueRequest { queue: queue() };
        while client.get(got()).await.unwrap().into_inner().counts != Some(QueueCounts::default()) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, empty).await.expect("all is taken away");
}

#[tokio::test]
async fn what_is_sent_under_a_key_over_grpc_is_sent_once() {
    let world = World::new().await;
    let mut client = client(&world);
    let keyed = |items: &[&'static str]| {
        let mut request = Request::new(sending(items));
        request.metadata_mut().insert("idempotency-key", "order-1".parse().unwrap());
        request
    };
    let first = client.send(keyed(&["1"])).await.unwrap().into_inner();
    assert_eq!(client.send(keyed(&["1"])).await.unwrap().into_inner(), first);
    assert_eq!(client.send(keyed(&["2"])).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(client.receive(receiving(9)).await.unwrap().into_inner().items.len(), 1);
}

#[tokio::test]
async fn what_queues_do_not_take_is_refused_over_grpc() {
    let world = World::new().await;
    let mut client = client(&world);
    let odd = [
        client.send(sending(&[])).await.unwrap_err(),
        client.receive(receiving(1_001)).await.unwrap_err(),
        client.receive(ReceiveRequest { wait: seconds(301), ..receiving(1) }).await.unwrap_err(),
        client.receive(ReceiveRequest { lease: seconds(-1), ..receiving(1) }).await.unwrap_err(),
        client.peek(PeekRequest { queue: queue(), max: 101, ..PeekRequest::default() }).await.unwrap_err(),
        client.purge(PurgeRequest { queue: queue(), ..PurgeRequest::default() }).await.unwrap_err(),
        client
            .work(stream::iter([WorkRequest { say: Some(Say::Done("0-1-1".to_owned())) }]))
            .await
            .unwrap_err(),
        client.work(stream::iter([begin(1_001)])).await.unwrap_err(),
    ];
    assert!(odd.iter().all(|odd| odd.code() == Code::InvalidArgument), "{odd:?}");
    let none = client.get_item(GetItemRequest { queue: queue(), id: "0-1".to_owned() }).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound);
}

fn begin(concurrency: u32) -> WorkRequest {
    let begin = WorkBegin { queue: queue(), concurrency, ..WorkBegin::default() };
    WorkRequest { say: Some(Say::Begin(begin)) }
}

#[tokio::test]
async fn who_works_in_a_call_has_items_as_they_come() {
    let world = World::new().await;
    let mut client = client(&world);
    let settings = QueueSettings { backoff: seconds(0), ..QueueSettings::default() };
    client.define(DefineQueueRequest { queue: queue(), settings: Some(settings) }).await.unwrap();
    let (say, saying) = mpsc::channel(16);
    say.send(begin(2)).await.unwrap();
    let saying = stream::unfold(saying, |mut saying| async { Some((saying.recv().await?, saying)) });
    let mut items = client.clone().work(saying).await.unwrap().into_inner();
    client.send(sending(&["1", "2", "3"])).await.unwrap();
    let mut next = async || timeout(PATIENCE, items.message()).await.unwrap().unwrap().unwrap();
    let (first, second) = (next().await, next().await);
    let told = client.get(GetQueueRequest { queue: queue() }).await.unwrap().into_inner().counts.unwrap();
    assert_eq!((told.leased, told.ready), (2, 1), "no more than two at a time");
    say.send(WorkRequest { say: Some(Say::Done(first.receipt)) }).await.unwrap();
    let third = next().await;
    let failed = WorkFailed { receipt: third.receipt, cause: "no paper".to_owned(), dead: true, delay: None };
    say.send(WorkRequest { say: Some(Say::Failed(failed)) }).await.unwrap();
    say.send(WorkRequest { say: Some(Say::Released(second.receipt)) }).await.unwrap();
    let again = next().await;
    assert_eq!((again.id, again.attempt), (second.id, 1), "what was not begun is no attempt");
    drop(say);
    assert!(
        timeout(PATIENCE, items.message()).await.unwrap().unwrap().is_none(),
        "who says nothing more has ended"
    );
    let back = client
        .receive(ReceiveRequest { wait: seconds(10), ..receiving(9) })
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!((back.len(), back[0].attempt), (1, 1), "what was open is given back");
    let told = client.get(GetQueueRequest { queue: queue() }).await.unwrap().into_inner().counts.unwrap();
    assert_eq!((told.leased, told.dead), (1, 1));
}
