//! `colony console`: the link to the page that a running node serves.

use std::path::Path;
use std::process::ExitCode;

use hyper::Method;
use serde_json::json;

use crate::args;
use crate::client::Client;
use crate::failure::Failure;
use crate::node::console::link;
use crate::terminal;

pub(crate) async fn run(args: &args::Json, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let status = Client::find(data).await?.call(Method::GET, "/api/status", None).await?;
    let Some(address) = status["console"].as_str() else {
        return Err(Failure::new("the running system has no console")
            .hint("it was started with `--console off`; `colony up` without that serves one"));
    };
    let data = status["data"].as_str().unwrap_or_default();
    let token = console::Token::of(Path::new(data))
        .map_err(|error| Failure::new(format!("cannot read the token in {data}: {error}")))?;
    let link = link(address, &token);
    terminal::print(&match args.json {
        true => format!("{}\n", json!({ "link": link })),
        false => format!("{link}\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}
