//! `colony load`: the load generator on the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::Method;
use load::{Config, Scenario, Target};

use super::runtime;
use crate::args;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(args: &args::Load, data: Option<&Path>) -> Result<ExitCode, Failure> {
    let (target, root) = match &args.target {
        Some(target) => (target.clone(), PathBuf::from(".")),
        None => runtime()?.block_on(gateway(data))?,
    };
    let target = Target::parse(&target).map_err(said)?;
    let mut config = Config {
        rate: args.rate,
        duration: args.duration,
        warmup: args.warmup,
        connections_max: args.connections,
        timeout: args.timeout,
        seed: args.seed,
        ..Config::new(target)
    };
    if let Some(name) = &args.scenario {
        config.scenario = read_scenario(name, &root)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signal(stop.clone())?;
    let mut progress = |tick: &load::Tick| terminal::progress(load::progress_line(tick).trim());
    let report = load::run(config, &mut progress, stop).map_err(said)?;
    terminal::end_progress();
    match args.json {
        true => terminal::print(&format!("{}\n", serde_json::to_value(&report).unwrap_or_default()))?,
        false => terminal::print(&load::render(&report))?,
    }
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The gateway of the running system, and the folder of its manifest.
async fn gateway(data: Option<&Path>) -> Result<(String, PathBuf), Failure> {
    let client = Client::find(data)
        .await
        .map_err(|failure| failure.hint("or name an address: colony load http://..."))?;
    let status = client.call(Method::GET, "/api/status", None).await?;
    let gateway = status["gateway"].as_str().ok_or_else(|| {
        Failure::new("the running system has no gateway").hint("name an address: colony load http://...")
    })?;
    let root = status["manifest"].as_str().and_then(|manifest| Path::new(manifest).parent());
    Ok((gateway.to_owned(), root.unwrap_or(Path::new(".")).to_owned()))
}

fn read_scenario(name: &str, root: &Path) -> Result<Scenario, Failure> {
    let beside = root.join(format!("{name}.yaml"));
    let path = if Path::new(name).is_file() { PathBuf::from(name) } else { beside };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("cannot read the scenario {}: {error}", path.display()))
            .hint("--scenario takes a file, or the name of one that lies beside the manifest, without .yaml")
    })?;
    Scenario::parse(&path.display().to_string(), &text).map_err(|error| Failure::new(error.to_string()))
}

fn stop_on_signal(stop: Arc<AtomicBool>) -> Result<(), Failure> {
    let runtime = runtime()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let _ = tokio::signal::ctrl_c().await;
                stop.store(true, Ordering::Relaxed);
                let _ = tokio::signal::ctrl_c().await;
                #[allow(
                    clippy::disallowed_methods,
                    reason = "asked twice to end: at once, without a report"
                )]
                std::process::exit(130);
            });
        })
        .map(|_| ())
        .map_err(|error| Failure::new(format!("cannot start: {error}")))
}

fn said(error: load::Error) -> Failure {
    Failure::new(error.to_string())
}
