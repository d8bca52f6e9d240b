//! Event streams over gRPC.

use std::sync::Arc;

use engine::Begin;
use engine::blocks::stream::{self, Filter, Life, Order};
use futures_util::stream::{BoxStream, StreamExt};
use tonic::{Request, Response, Status};

use super::ours::{asked, duration, told_duration, told_instant};
use crate::api::Api;
use crate::error::Error;
use crate::payload::Payload;
use crate::projection::{self, Named};
use crate::proto::colony::v1::expected::Is;
use crate::proto::colony::v1::streams_server::Streams;
use crate::proto::colony::v1::subscribe_request::From;
use crate::proto::colony::v1::{
    AppendRequest, AppendResponse, DefineStoreRequest, DeleteStreamRequest, Event, Expected,
    GetProjectionRequest, GetSnapshotRequest, GetStoreRequest, NewEvent, Projection, ReadRequest,
    ReadResponse, SaveSnapshotRequest, SetProjectionRequest, Snapshot, Spread, StoreSettings, StreamState,
    SubscribeRequest, SubscribeResponse, TruncateRequest,
};
use crate::streams::{self, Told, invalid};

/// The methods, answered by an API.
pub(super) struct StreamMethods(pub(super) Arc<Api>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Streams for StreamMethods {
    type SubscribeStream = BoxStream<'static, Result<SubscribeResponse, Status>>;

    async fn define(&self, request: Request<DefineStoreRequest>) -> Answer<()> {
        answered(self.0.define_store(request.into_inner()).await)
    }

    async fn get(&self, request: Request<GetStoreRequest>) -> Answer<StoreSettings> {
        answered(self.0.get_store(&request.into_inner().store).await)
    }

    async fn append(&self, request: Request<AppendRequest>) -> Answer<AppendResponse> {
        answered(self.0.append_events(request).await)
    }

    async fn read(&self, request: Request<ReadRequest>) -> Answer<ReadResponse> {
        answered(self.0.read_events(request.into_inner()).await)
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Answer<Self::SubscribeStream> {
        answered(self.0.subscribe_events(request.into_inner()).await)
    }

    async fn save_snapshot(&self, request: Request<SaveSnapshotRequest>) -> Answer<()> {
        answered(self.0.save_snapshot(request).await)
    }

    async fn get_snapshot(&self, request: Request<GetSnapshotRequest>) -> Answer<Snapshot> {
        answered(self.0.get_snapshot(request.into_inner()).await)
    }

    async fn truncate(&self, request: Request<TruncateRequest>) -> Answer<()> {
        answered(self.0.truncate_stream(request).await)
    }

    async fn delete(&self, request: Request<DeleteStreamRequest>) -> Answer<()> {
        answered(self.0.delete_stream(request).await)
    }

    async fn get_projection(&self, request: Request<GetProjectionRequest>) -> Answer<Projection> {
        let GetProjectionRequest { store, projection, state } = request.into_inner();
        let named = Named { projection: &projection, streams: &store, state: &state };
        let position = self.0.checkpoint(named).await;
        answered(position.map(|position| Projection { position: position.to_string() }))
    }

    async fn set_projection(&self, request: Request<SetProjectionRequest>) -> Answer<()> {
        let SetProjectionRequest { store, projection, state, position } = request.into_inner();
        let named = Named { projection: &projection, streams: &store, state: &state };
        let position = projection::position(&position).map_err(invalid);
        answered(match position {
            Ok(position) => self.0.set_checkpoint(named, &position).await,
            Err(error) => Err(error),
        })
    }
}

impl Api {
    async fn define_store(&self, request: DefineStoreRequest) -> Result<(), Error> {
        let settings = request.settings.unwrap_or_default();
        let spread = match settings.spread() {
            Spread::ByStream => stream::Spread::ByStream,
            Spread::Together => stream::Spread::Together,
        };
        let age = duration(settings.age_max, invalid)?.unwrap_or_default();
        let settings = stream::Settings {
            spread: spread.into(),
            count_max: settings.count_max,
            age_ms_max: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            snapshots: settings.snapshots,
        };
        self.streams(&request.store, None)?.define(settings).await
    }

    async fn get_store(&self, store: &str) -> Result<StoreSettings, Error> {
        let settings = self.streams(store, None)?.settings().await?;
        let spread = match settings.spread() {
            stream::Spread::ByStream => Spread::ByStream,
            stream::Spread::Together => Spread::Together,
        };
        Ok(StoreSettings {
            spread: spread.into(),
            count_max: settings.count_max,
            age_max: told_duration(settings.age_ms_max).filter(|_| settings.age_ms_max > 0),
            snapshots: settings.snapshots.max(1),
        })
    }

    async fn append_events(&self, request: Request<AppendRequest>) -> Result<AppendResponse, Error> {
        let (AppendRequest { store, stream, expected, events }, once) =
            asked(self, "Streams/Append", request)?;
        let events = events.into_iter().map(event).collect();
        let store = self.streams(&store, once.as_ref())?;
        let (version, position) = store.append(&stream, lowered(expected), events).await?;
        Ok(AppendResponse { version, position })
    }

    async fn read_events(&self, request: ReadRequest) -> Result<ReadResponse, Error> {
        let (order, end) = match request.backwards {
            false => (Order::Forwards, 0),
            true => (Order::Backwards, u64::MAX),
        };
        let max = match request.max {
            0 => 100,
            max if max <= READ_MAX => max as usize,
            max => return Err(invalid(format!("{max} events are wanted; {READ_MAX} are the most"))),
        };
        let filter = Filter { types: request.types, streams: String::new() };
        let store = self.streams(&request.store, None)?;
        let page = store.read(&request.stream, request.from.unwrap_or(end), order, &filter, max).await?;
        let state = match page.stream.life() {
            Life::Live => StreamState::Live,
            Life::Deleted => StreamState::Deleted,
            Life::Tombstone => StreamState::Tombstone,
        };
        Ok(ReadResponse {
            version: page.stream.version,
            first: page.stream.truncated + 1,
            state: state.into(),
            events: page.events.into_iter().map(told).collect(),
            next: page.next,
        })
    }

    async fn subscribe_events(
        &self,
        request: SubscribeRequest,
    ) -> Result<BoxStream<'static, Result<SubscribeResponse, Status>>, Error> {
        let SubscribeRequest { store, stream, from, types, prefix } = request;
        let store = self.streams(&store, None)?;
        let one = (!stream.is_empty()).then_some(&*stream);
        let begin = match (from, one) {
            (None, _) => Begin::Start,
            (Some(From::Now(())), _) => Begin::Now,
            (Some(From::Version(version)), Some(stream)) => store.after(stream, version),
            (Some(From::Version(_)), None) => {
                return Err(invalid("a version is one of a stream, and none is named"));
            }
            (Some(From::Place(text)), _) => {
                let place = text
                    .parse()
                    .map_err(|_| invalid(format!("{text:?} is not the place of an event that was told")));
                Begin::After(place?)
            }
        };
        let following = store.follow(one, Filter { types, streams: prefix }, &begin).await?;
        let following = following.map(|told_of| match told_of {
            Ok(Told::Quiet) => Ok(SubscribeResponse::default()),
            Ok(Told::Event(event, place)) => {
                Ok(SubscribeResponse { event: Some(told(*event)), place: place.to_string() })
            }
            Err(error) => Err(error.to_status()),
        });
        Ok(following.boxed())
    }

    async fn save_snapshot(&self, request: Request<SaveSnapshotRequest>) -> Result<(), Error> {
        let (SaveSnapshotRequest { store, stream, version, data }, once) =
            asked(self, "Streams/SaveSnapshot", request)?;
        self.streams(&store, once.as_ref())?.save_snapshot(&stream, version, data).await
    }

    async fn get_snapshot(&self, request: GetSnapshotRequest) -> Result<Snapshot, Error> {
        let version = request.version.unwrap_or(u64::MAX);
        let found = self.streams(&request.store, None)?.latest_snapshot(&request.stream, version).await?;
        let time = told_instant(found.time.as_millis());
        Ok(Snapshot { version: found.version, time, data: found.payload })
    }

    async fn truncate_stream(&self, request: Request<TruncateRequest>) -> Result<(), Error> {
        let (TruncateRequest { store, stream, before }, once) = asked(self, "Streams/Truncate", request)?;
        self.streams(&store, once.as_ref())?.truncate(&stream, before).await
    }

    async fn delete_stream(&self, request: Request<DeleteStreamRequest>) -> Result<(), Error> {
        let (DeleteStreamRequest { store, stream, expected, tombstone }, once) =
            asked(self, "Streams/Delete", request)?;
        self.streams(&store, once.as_ref())?.delete(&stream, lowered(expected), tombstone).await
    }
}

fn lowered(expected: Option<Expected>) -> Option<stream::Expected> {
    Some(match expected?.is? {
        Is::Version(version) => stream::Expected::Version(version),
        Is::NoStream(()) => stream::Expected::NoStream(()),
        Is::StreamExists(()) => stream::Expected::StreamExists(()),
    })
}

fn event(event: NewEvent) -> streams::NewEvent {
    let NewEvent { id, r#type, data, content_type, metadata } = event;
    streams::NewEvent { id, r#type, payload: Payload { data, content_type }, metadata }
}

fn told(event: streams::Event) -> Event {
    let streams::Event { payload, metadata, rest } = event;
    Event {
        stream: rest.stream,
        version: rest.version,
        position: rest.position,
        id: String::from_utf8_lossy(&rest.id).into_owned(),
        r#type: rest.r#type,
        time: told_instant(rest.time.as_millis()),
        data: payload.data,
        content_type: payload.content_type,
        metadata,
    }
}

fn answered<T>(result: Result<T, Error>) -> Answer<T> {
    result.map(Response::new).map_err(|error| error.to_status())
}

/// Most events that are read at once.
const READ_MAX: u32 = 1_000;
