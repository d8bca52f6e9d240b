//! Topics over gRPC, as operators have them.

use std::sync::Arc;

use engine::blocks::topic::{Action, GivenUp, Which};
use tonic::{Request, Response, Status};

use super::ours::{asked, duration, instant, told_duration, told_instant};
use crate::api::Api;
use crate::error::Error;
use crate::proto::colony::v1::topics_server::Topics;
use crate::proto::colony::v1::{
    DefineGroupRequest, DeleteGroupRequest, FailedMessage, GetGroupRequest, GetTopicRequest, GroupPosition,
    ListFailedRequest, ListFailedResponse, ListTopicsRequest, ListTopicsResponse, MessageFailure, OnFailure,
    ReadTopicRequest, ReadTopicResponse, ResolveRequest, ResolveResponse, SeekRequest, Topic, TopicGroup,
    TopicMessage, TopicPartition, resolve_request, seek_request,
};
use crate::topics::{self, Failed, Group, Look, To, invalid};

/// The methods, answered by an API.
pub(super) struct TopicMethods(pub(super) Arc<Api>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Topics for TopicMethods {
    async fn list(&self, request: Request<ListTopicsRequest>) -> Answer<ListTopicsResponse> {
        answered(list(&self.0, request.into_inner()).await)
    }

    async fn get(&self, request: Request<GetTopicRequest>) -> Answer<Topic> {
        answered(get(&self.0, request.into_inner()).await)
    }

    async fn read(&self, request: Request<ReadTopicRequest>) -> Answer<ReadTopicResponse> {
        answered(read(&self.0, request.into_inner()).await)
    }

    async fn get_group(&self, request: Request<GetGroupRequest>) -> Answer<TopicGroup> {
        answered(get_group(&self.0, request.into_inner()).await)
    }

    async fn define_group(&self, request: Request<DefineGroupRequest>) -> Answer<()> {
        answered(define_group(&self.0, request.into_inner()).await)
    }

    async fn delete_group(&self, request: Request<DeleteGroupRequest>) -> Answer<()> {
        answered(delete_group(&self.0, request).await)
    }

    async fn seek(&self, request: Request<SeekRequest>) -> Answer<()> {
        answered(seek(&self.0, request).await)
    }

    async fn list_failed(&self, request: Request<ListFailedRequest>) -> Answer<ListFailedResponse> {
        answered(list_failed(&self.0, request.into_inner()).await)
    }

    async fn resolve(&self, request: Request<ResolveRequest>) -> Answer<ResolveResponse> {
        answered(resolve(&self.0, request).await)
    }
}

async fn list(api: &Api, request: ListTopicsRequest) -> Result<ListTopicsResponse, Error> {
    let found =
        api.topics(&request.pubsub)?.list(Some(&request.after), many(request.max, 100, 1_000)?).await?;
    Ok(ListTopicsResponse { topics: found.into_iter().map(told).collect() })
}

async fn get(api: &Api, request: GetTopicRequest) -> Result<Topic, Error> {
    Ok(told(api.topics(&request.pubsub)?.topic(&request.topic)?.found().await?))
}

async fn read(api: &Api, request: ReadTopicRequest) -> Result<ReadTopicResponse, Error> {
    let max = many(request.max, 10, 100)?;
    let topics = api.topics(&request.pubsub)?;
    let found = topics.topic(&request.topic)?.read(request.partition, request.from, max).await?;
    let messages = found.into_iter().map(|message| TopicMessage {
        offset: message.offset,
        time: told_instant(message.time.as_millis()),
        key: message.attributes.key,
        content_type: message.attributes.content_type,
        metadata: message.attributes.headers.into_iter().map(|one| (one.name, one.value)).collect(),
        data: message.payload,
    });
    Ok(ReadTopicResponse { messages: messages.collect() })
}

async fn get_group(api: &Api, request: GetGroupRequest) -> Result<TopicGroup, Error> {
    let topics = api.topics(&request.pubsub)?;
    let (group, on) = topics.topic(&request.topic)?.group(&request.group).await?;
    let on_failure = OnFailure {
        attempts_max: on.attempts_max,
        backoff: on.backoff_ms.and_then(told_duration),
        backoff_max: on.backoff_max_ms.and_then(told_duration),
        given_up: on.given_up.into(),
        dead_letter: on.dead_letter.unwrap_or_default(),
    };
    Ok(TopicGroup { on_failure: Some(on_failure), ..told_group(request.group, group) })
}

async fn define_group(api: &Api, request: DefineGroupRequest) -> Result<(), Error> {
    let on = request.on_failure.map(lowered).transpose()?;
    api.topics(&request.pubsub)?.topic(&request.topic)?.define_group(&request.group, on).await
}

async fn delete_group(api: &Api, request: Request<DeleteGroupRequest>) -> Result<(), Error> {
    let (DeleteGroupRequest { pubsub, topic, group }, once) = asked(api, "DeleteGroup", request)?;
    let topics = api.topics(&pubsub)?;
    topics.topic(&topic)?.once(once.as_ref()).unsubscribe(&group).await
}

async fn seek(api: &Api, request: Request<SeekRequest>) -> Result<(), Error> {
    let (request, once) = asked(api, "Seek", request)?;
    let nowhere = || invalid("say where to: start, end, a time, or an offset of a partition");
    let to = match request.to.ok_or_else(nowhere)? {
        seek_request::To::Start(()) => To::Start,
        seek_request::To::End(()) => To::End,
        seek_request::To::Time(time) => To::Time(instant(Some(time), invalid)?.unwrap_or_default()),
        seek_request::To::Offset(at) => To::Offset { partition: at.partition, offset: at.offset },
    };
    let topics = api.topics(&request.pubsub)?;
    topics.topic(&request.topic)?.once(once.as_ref()).seek(&request.group, to).await
}

async fn list_failed(api: &Api, request: ListFailedRequest) -> Result<ListFailedResponse, Error> {
    let max = many(request.max, 10, 100)?;
    let topics = api.topics(&request.pubsub)?;
    let found = topics.topic(&request.topic)?.failed(&request.group, max).await?;
    Ok(ListFailedResponse { messages: found.into_iter().map(told_failed).collect() })
}

async fn resolve(api: &Api, request: Request<ResolveRequest>) -> Result<ResolveResponse, Error> {
    let (request, once) = asked(api, "Resolve", request)?;
    let action = Action::try_from(request.action).map_err(|_| invalid("there is no such action"))?;
    let (partition, which) = match request.which {
        None => (None, Which::All(true)),
        Some(resolve_request::Which::Key(key)) => (None, Which::Key(key)),
        Some(resolve_request::Which::Offset(at)) => (Some(at.partition), Which::Offset(at.offset)),
    };
    let topics = api.topics(&request.pubsub)?;
    let topic = topics.topic(&request.topic)?.once(once.as_ref());
    let resolved = topic.resolve(&request.group, partition, &which, action).await?;
    Ok(ResolveResponse { resolved })
}

fn lowered(on: OnFailure) -> Result<topics::OnFailure, Error> {
    let millis = |span| -> Result<Option<u64>, Error> {
        let span = duration(span, invalid)?;
        Ok(span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    };
    Ok(topics::OnFailure {
        attempts_max: on.attempts_max,
        backoff_ms: millis(on.backoff)?,
        backoff_max_ms: millis(on.backoff_max)?,
        given_up: GivenUp::try_from(on.given_up)
            .map_err(|_| invalid("what becomes of messages that are given up is none of what is known"))?,
        dead_letter: Some(on.dead_letter).filter(|topic| !topic.is_empty()),
    })
}

fn told(look: Look) -> Topic {
    Topic {
        name: look.name,
        messages: look.partitions.iter().map(|(_, counts)| counts.messages).sum(),
        bytes: look.partitions.iter().map(|(_, counts)| counts.bytes).sum(),
        delayed: look.partitions.iter().map(|(_, counts)| counts.delayed).sum(),
        partitions: look
            .partitions
            .into_iter()
            .map(|(partition, counts)| TopicPartition {
                partition,
                first: counts.first,
                next: counts.next,
                messages: counts.messages,
                bytes: counts.bytes,
                delayed: counts.delayed,
            })
            .collect(),
        groups: look.groups.into_iter().map(|(name, group)| told_group(name, group)).collect(),
    }
}

fn told_group(name: String, group: Group) -> TopicGroup {
    let Group { lag, aside, missed, skipped, dead, at } = group;
    let at = at.into_iter().map(|(partition, offset, lag)| GroupPosition { partition, offset, lag });
    TopicGroup { name, lag, aside, missed, skipped, dead, partitions: at.collect(), on_failure: None }
}

fn told_failed(failed: Failed) -> FailedMessage {
    let Failed { partition, offset, aside } = failed;
    let (state, attempts, key) = (aside.waits, aside.attempts, aside.key);
    let failures = aside.history.into_iter();
    let failures =
        failures.map(|failure| MessageFailure { at: told_instant(failure.time), cause: failure.cause });
    FailedMessage { partition, offset, key, state, attempts, failures: failures.collect() }
}

fn many(max: u32, default: usize, most: usize) -> Result<usize, Error> {
    match max as usize {
        0 => Ok(default),
        max if max <= most => Ok(max),
        max => Err(invalid(format!("{max} at once; {most} are the most"))),
    }
}

fn answered<T>(answer: Result<T, Error>) -> Answer<T> {
    answer.map(Response::new).map_err(|error| error.to_status())
}
