//! Queues over gRPC.

mod convert;
mod work;

use std::sync::Arc;

use engine::blocks::queue::{Filter, Nack, Redrive, Which};
use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::ours::{asked, duration, instant};
use crate::api::Api;
use crate::error::Error;
use crate::proto::colony::v1::queues_server::Queues;
use crate::proto::colony::v1::{
    AcknowledgeRequest, CancelRequest, DefineQueueRequest, ExtendRequest, GetItemRequest, GetQueueRequest,
    ItemState, ListQueuesRequest, ListQueuesResponse, NackRequest, PauseRequest, PeekRequest, PeekResponse,
    PurgeRequest, Queue, QueueItem, ReceiveRequest, ReceiveResponse, ReceivedItem, RedriveRequest,
    RedriveResponse, ReleaseRequest, ResumeRequest, SendRequest, SendResponse, SettleResponse, WorkRequest,
};
use crate::pubsub::Trace;
use crate::queues::{Receive, id, invalid, receipts};
use convert::{counts, item, queue_item, reason, received, sent, settings, settled};

/// The methods, answered by an API.
pub(super) struct QueueMethods(pub(super) Arc<Api>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Queues for QueueMethods {
    type WorkStream = BoxStream<'static, Result<ReceivedItem, Status>>;

    async fn define(&self, request: Request<DefineQueueRequest>) -> Answer<()> {
        answered(self.0.define_queue(request.into_inner()).await)
    }

    async fn get(&self, request: Request<GetQueueRequest>) -> Answer<Queue> {
        answered(self.0.get_queue(&request.into_inner().queue).await)
    }

    async fn list(&self, request: Request<ListQueuesRequest>) -> Answer<ListQueuesResponse> {
        answered(self.0.list_queues(request.into_inner()).await)
    }

    async fn send(&self, request: Request<SendRequest>) -> Answer<SendResponse> {
        answered(self.0.send_items(request).await)
    }

    async fn receive(&self, request: Request<ReceiveRequest>) -> Answer<ReceiveResponse> {
        answered(self.0.receive_items(request).await)
    }

    async fn work(&self, request: Request<Streaming<WorkRequest>>) -> Answer<Self::WorkStream> {
        answered(work::begin(&self.0, request.into_inner()).await)
    }

    async fn acknowledge(&self, request: Request<AcknowledgeRequest>) -> Answer<SettleResponse> {
        answered(self.0.acknowledge_items(request).await)
    }

    async fn nack(&self, request: Request<NackRequest>) -> Answer<SettleResponse> {
        answered(self.0.nack_items(request).await)
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Answer<SettleResponse> {
        answered(self.0.release_items(request).await)
    }

    async fn extend(&self, request: Request<ExtendRequest>) -> Answer<SettleResponse> {
        answered(self.0.extend_items(request).await)
    }

    async fn peek(&self, request: Request<PeekRequest>) -> Answer<PeekResponse> {
        answered(self.0.peek_items(request.into_inner()).await)
    }

    async fn get_item(&self, request: Request<GetItemRequest>) -> Answer<QueueItem> {
        answered(self.0.get_item(request.into_inner()).await)
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Answer<()> {
        answered(self.0.cancel_item(request).await)
    }

    async fn purge(&self, request: Request<PurgeRequest>) -> Answer<()> {
        answered(self.0.purge_queue(request).await)
    }

    async fn pause(&self, request: Request<PauseRequest>) -> Answer<()> {
        answered(self.0.pause_queue(request).await)
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Answer<()> {
        answered(self.0.resume_queue(request).await)
    }

    async fn redrive(&self, request: Request<RedriveRequest>) -> Answer<RedriveResponse> {
        answered(self.0.redrive_queue(request).await)
    }
}

impl Api {
    async fn define_queue(&self, request: DefineQueueRequest) -> Result<(), Error> {
        let settings = convert::lowered(request.settings.unwrap_or_default())?;
        self.queue(&request.queue, None)?.define(settings).await
    }

    async fn get_queue(&self, name: &str) -> Result<Queue, Error> {
        let (is, ledger) = self.queue(name, None)?.look().await?;
        Ok(Queue { settings: Some(settings(&is)), ..counts(name.to_owned(), &ledger) })
    }

    async fn list_queues(&self, request: ListQueuesRequest) -> Result<ListQueuesResponse, Error> {
        let max = many(request.max, 100, 1_000)?;
        let queues = self.queues(Some(&request.after), max).await?;
        Ok(ListQueuesResponse { queues: queues.into_iter().map(|(name, of)| counts(name, &of)).collect() })
    }

    async fn send_items(&self, request: Request<SendRequest>) -> Result<SendResponse, Error> {
        let head = request.metadata().clone();
        let (SendRequest { queue, items }, once) = asked(self, "Queues/Send", request)?;
        let items = items.into_iter().map(item).collect::<Result<_, _>>()?;
        let outcomes = self.queue(&queue, once.as_ref())?.send(items, Trace::of(&head)).await?;
        Ok(SendResponse { items: outcomes.into_iter().map(sent).collect() })
    }

    async fn receive_items(&self, request: Request<ReceiveRequest>) -> Result<ReceiveResponse, Error> {
        crate::idempotency::none(request.metadata().as_ref(), "receiving hands out other items each time")?;
        let ReceiveRequest { queue, consumer, max, lease, wait } = request.into_inner();
        let wanted = Receive {
            consumer: if consumer.is_empty() { self.config.app_id.clone() } else { consumer },
            max: max.max(1),
            lease: duration(lease, invalid)?,
            wait: duration(wait, invalid)?.unwrap_or_default(),
        };
        let items = self.queue(&queue, None)?.receive(&wanted).await?;
        Ok(ReceiveResponse { items: items.into_iter().map(received).collect() })
    }

    async fn acknowledge_items(&self, request: Request<AcknowledgeRequest>) -> Result<SettleResponse, Error> {
        let (asked, once) = asked(self, "Queues/Acknowledge", request)?;
        let queue = self.queue(&asked.queue, once.as_ref())?;
        queue.acknowledge(&receipts(&asked.receipts)?).await.map(settled)
    }

    async fn nack_items(&self, request: Request<NackRequest>) -> Result<SettleResponse, Error> {
        let (asked, once) = asked(self, "Queues/Nack", request)?;
        let delay = duration(asked.delay, invalid)?;
        let nack = Nack { cause: asked.cause, delay, for_good: asked.dead };
        let queue = self.queue(&asked.queue, once.as_ref())?;
        queue.nack(&receipts(&asked.receipts)?, &nack).await.map(settled)
    }

    async fn release_items(&self, request: Request<ReleaseRequest>) -> Result<SettleResponse, Error> {
        let (asked, once) = asked(self, "Queues/Release", request)?;
        let queue = self.queue(&asked.queue, once.as_ref())?;
        queue.release(&receipts(&asked.receipts)?).await.map(settled)
    }

    async fn extend_items(&self, request: Request<ExtendRequest>) -> Result<SettleResponse, Error> {
        let (asked, once) = asked(self, "Queues/Extend", request)?;
        let lease = duration(asked.lease, invalid)?;
        let lease = lease.ok_or_else(|| invalid("for how long the lease is to be is not said"))?;
        let queue = self.queue(&asked.queue, once.as_ref())?;
        queue.extend(&receipts(&asked.receipts)?, lease).await.map(settled)
    }

    async fn peek_items(&self, request: PeekRequest) -> Result<PeekResponse, Error> {
        let which = match request.state() {
            ItemState::Unspecified | ItemState::Ready => Which::Ready,
            ItemState::Delayed => Which::Delayed,
            ItemState::Blocked => Which::Blocked,
            ItemState::Leased => Which::Leased,
            ItemState::Dead => Which::Dead,
        };
        let found = self.queue(&request.queue, None)?.peek(which, many(request.max, 10, 100)?).await?;
        Ok(PeekResponse { items: found.into_iter().map(queue_item).collect() })
    }

    async fn get_item(&self, request: GetItemRequest) -> Result<QueueItem, Error> {
        self.queue(&request.queue, None)?.get(id(&request.id)?).await.map(queue_item)
    }

    async fn cancel_item(&self, request: Request<CancelRequest>) -> Result<(), Error> {
        let (asked, once) = asked(self, "Queues/Cancel", request)?;
        self.queue(&asked.queue, once.as_ref())?.cancel(id(&asked.id)?).await
    }

    async fn purge_queue(&self, request: Request<PurgeRequest>) -> Result<(), Error> {
        let (asked, once) = asked(self, "Queues/Purge", request)?;
        self.queue(&asked.queue, once.as_ref())?.purge(asked.waiting, asked.dead).await
    }

    async fn pause_queue(&self, request: Request<PauseRequest>) -> Result<(), Error> {
        let (asked, once) = asked(self, "Queues/Pause", request)?;
        self.queue(&asked.queue, once.as_ref())?.pause(true).await
    }

    async fn resume_queue(&self, request: Request<ResumeRequest>) -> Result<(), Error> {
        let (asked, once) = asked(self, "Queues/Resume", request)?;
        self.queue(&asked.queue, once.as_ref())?.pause(false).await
    }

    async fn redrive_queue(&self, request: Request<RedriveRequest>) -> Result<RedriveResponse, Error> {
        let (asked, once) = asked(self, "Queues/Redrive", request)?;
        let ids = asked.ids.iter().map(|text| id(text)).collect::<Result<Vec<_>, _>>()?;
        let reason = reason(asked.reason());
        let millis = |at| instant(at, invalid).map(|at| at.map_or(0, |at| at.as_millis()));
        let (from_ms, to_ms) = (millis(asked.from)?, millis(asked.to)?);
        let filter = Filter { items: Vec::new(), key: asked.key, reason, cause: asked.cause, from_ms, to_ms };
        let redrive = Redrive {
            queue: String::new(),
            filter: Some(filter),
            dry_run: asked.dry_run,
            rate: asked.per_second,
            max: asked.max,
        };
        let redriven = self.queue(&asked.queue, once.as_ref())?.redrive(&redrive, &ids).await?;
        let first = redriven.first.iter().map(ToString::to_string).collect();
        Ok(RedriveResponse { matching: redriven.matching, first, more: redriven.more })
    }
}

/// How many are wanted: zero is the default.
fn many(wanted: u32, default: usize, max: usize) -> Result<usize, Error> {
    match wanted as usize {
        0 => Ok(default),
        wanted if wanted <= max => Ok(wanted),
        wanted => Err(invalid(format!("{wanted} are wanted; {max} are the most"))),
    }
}

fn answered<T>(result: Result<T, Error>) -> Answer<T> {
    result.map(Response::new).map_err(|error| error.to_status())
}
