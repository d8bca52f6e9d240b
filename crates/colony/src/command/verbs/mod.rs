//! The commands that use the application API of a running sidecar, whichever process it belongs to.
//!
//! Which one is asked is found out in `through`, what is asked and answered is carried by `ask`, what is sent is read in `payload`;
//! a file for each verb says what of the API it is.

mod ask;
mod invoke;
mod jobs;
mod kept;
mod payload;
mod publish;
mod queue;
mod state;
mod stream;
mod through;
mod topics;

use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::Verb;
use crate::args::verbs::{JobsCommand, StateCommand, StreamCommand};
use crate::failure::Failure;
use crate::terminal;

/// Runs a verb.
pub(super) async fn run(verb: &Verb, data: Option<&Path>) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Publish(args) => publish::run(args, data).await,
        Verb::Send(args) => queue::send(args, data).await,
        Verb::Receive(args) => queue::receive(args, data).await,
        Verb::State(args) => match &args.what {
            StateCommand::List(args) => kept::state(args, data).await,
            StateCommand::Get(args) => state::get(args, data).await,
            StateCommand::Set(args) => state::set(args, data).await,
            StateCommand::Delete(args) => state::delete(args, data).await,
        },
        Verb::Stream(args) => match &args.what {
            StreamCommand::List(args) => kept::streams(args, data).await,
            StreamCommand::Append(args) => stream::append(args, data).await,
            StreamCommand::Read(args) => stream::read(args, data).await,
            StreamCommand::Projection(args) => stream::projection(args, data).await,
        },
        Verb::Jobs(args) => match &args.what {
            JobsCommand::List(args) => jobs::list(args, data).await,
            JobsCommand::Get(args) => jobs::get(args, data).await,
            JobsCommand::Schedule(args) => jobs::schedule(args, data).await,
            JobsCommand::Delete(args) => jobs::delete(args, data).await,
        },
        Verb::Topics(args) => topics::run(&args.what, data).await,
        Verb::Invoke(args) => return invoke::run(args, data).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Says what was done: to a program in JSON, to a person in a line.
fn tell(json: bool, told: &Value, said: &str) -> Result<(), Failure> {
    match json {
        true => terminal::print(&format!("{told}\n")),
        false => terminal::print(said),
    }
}

/// A payload as the API tells it, for people: text and bytes as they are, other JSON as it stands.
fn shown(data: Option<&RawValue>, base64: Option<&str>) -> Vec<u8> {
    match (data.map(RawValue::get), base64) {
        (Some(text), _) => match serde_json::from_str::<String>(text) {
            Ok(text) => text.into_bytes(),
            Err(_) => text.as_bytes().to_vec(),
        },
        (None, Some(text)) => STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec()),
        (None, None) => Vec::new(),
    }
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// An object in JSON with one more member, whose value is JSON already and stays as it was written.
fn spliced(object: &str, name: &str, raw: &str) -> String {
    let head = object.strip_suffix('}').unwrap_or(object);
    let comma = if head.ends_with('{') { "" } else { "," };
    format!("{head}{comma}{}:{raw}}}", Value::from(name))
}
