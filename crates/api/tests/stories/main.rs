//! The API over real sockets, as clients see it.

mod access;
mod app;
mod bindings;
mod callbacks;
mod calls;
mod component_policies;
mod configuration;
mod deadline;
mod deliveries;
mod ends;
mod grpc;
mod invoke;
mod jobs;
mod lock;
mod once;
mod outbox;
mod publish;
mod queues;
mod queues_grpc;
mod resiliency;
mod rules;
mod state;
mod streams;
mod subscriber;
mod subscribing;
mod world;
