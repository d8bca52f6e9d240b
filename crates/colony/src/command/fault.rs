//! `colony fault`: calls made to fail on purpose.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use mesh::FaultStatus;
use serde_json::{Value, json};

use crate::args::{AddFault, ClearFault, Fault, FaultCommand, Json};
use crate::client::Client;
use crate::failure::Failure;
use crate::faults::{self, Wanted};
use crate::terminal::{self, Style, table, time};

const PATH: &str = "/api/faults";

pub(crate) async fn run(args: &Fault, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let client = Client::find(data).await?;
    let text = match &args.what {
        FaultCommand::Add(args) => add(&client, args).await?,
        FaultCommand::List(args) => list(&client, args).await?,
        FaultCommand::Clear(args) => clear(&client, args).await?,
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn add(client: &Client, args: &AddFault) -> Result<String, Failure> {
    let done = client.call(Method::POST, PATH, Some(json!(Wanted::of(args)))).await?;
    if args.json {
        return Ok(format!("{done}\n"));
    }
    let fault = read::<FaultStatus>(done)?;
    let (sentence, lasts, id) = (faults::sentence(&fault), time(args.lasts), fault.id);
    Ok(format!("fault {sentence}, for {lasts}\n`colony fault clear {id}` ends it before\n"))
}

async fn list(client: &Client, args: &Json) -> Result<String, Failure> {
    let all = client.call(Method::GET, PATH, None).await?;
    if args.json {
        return Ok(format!("{all}\n"));
    }
    let all = read::<Vec<FaultStatus>>(all["faults"].clone())?;
    Ok(match all.is_empty() {
        true => "no fault is in force\n".to_owned(),
        false => drawn(&all, terminal::colours()),
    })
}

async fn clear(client: &Client, args: &ClearFault) -> Result<String, Failure> {
    let path = args.id.map_or(PATH.to_owned(), |id| format!("{PATH}/{id}"));
    let done = client.call(Method::DELETE, &path, None).await?;
    if args.json {
        return Ok(format!("{done}\n"));
    }
    let cleared = read::<Vec<FaultStatus>>(done["cleared"].clone())?;
    let told = |fault: &FaultStatus| {
        format!("cleared fault {}; it struck {}\n", faults::sentence(fault), faults::struck(fault))
    };
    Ok(match cleared.is_empty() {
        true => "no fault was in force\n".to_owned(),
        false => cleared.iter().map(told).collect(),
    })
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::new(format!("the node answered oddly: {error}")))
}

/// The faults as a table.
pub(super) fn drawn(all: &[FaultStatus], colours: bool) -> String {
    let row = |fault: &FaultStatus| {
        let left = time(Duration::from_millis(fault.remaining_ms));
        vec![
            (fault.id.to_string(), Style::Plain),
            (fault.on.clone(), Style::Plain),
            (faults::effect(fault), Style::Bad),
            (faults::scope(fault), Style::Plain),
            (left, Style::Plain),
            (faults::struck(fault), Style::Plain),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(colours, &["fault", "on", "does", "to", " left", " struck"], &rows)
}
