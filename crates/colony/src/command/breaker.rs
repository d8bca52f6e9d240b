//! `colony breaker`: a call's circuit breaker, by hand.

use std::path::Path;
use std::process::ExitCode;

use hyper::Method;
use serde_json::json;

use crate::args::{self, Force};
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal;

pub(crate) async fn run(args: &args::Breaker, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let body = json!({ "call": args.call, "state": args.state });
    let done = Client::find(data).await?.call(Method::POST, "/api/breakers", Some(body)).await?;
    terminal::print(&match (args.json, args.state) {
        (true, _) => format!("{done}\n"),
        (false, Force::Open) => {
            format!("the breaker of {} is forced open: every request is refused\n", args.call)
        }
        (false, Force::Closed) => {
            format!("the breaker of {} is forced closed: every request passes\n", args.call)
        }
        (false, Force::Auto) => format!("the breaker of {} is left to itself\n", args.call),
    })?;
    Ok(ExitCode::SUCCESS)
}
