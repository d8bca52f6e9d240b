//! `colony init`: the five-line manifest for a program that runs already.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use serde_json::json;

use crate::args::Init;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(args: &Init) -> Result<ExitCode, Failure> {
    let text = format!(
        "name: {name}\ngateway: {{ listen: {listen} }}\nservices:\n  {name}:\n    url: {url}\n",
        name = args.name,
        listen = args.listen,
        url = args.url.trim_end_matches('/'),
    );
    let shown = args.file.display().to_string();
    let gateway = check(args, &shown, &text)?;
    if args.file.exists() && !args.force {
        return Err(Failure::new(format!("{shown} is there already")).hint("`--force` replaces it"));
    }
    std::fs::write(&args.file, &text)
        .map_err(|error| Failure::new(format!("cannot write {shown}: {error}")))?;
    if args.json {
        let object = json!({ "file": shown, "manifest": text, "url": args.url, "gateway": gateway });
        terminal::print(&format!("{object}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let colony = std::env::args().next().unwrap_or_else(|| "colony".to_owned());
    let up = if shown == "colony.yaml" { format!("{colony} up") } else { format!("{colony} up {shown}") };
    let at = gateway.unwrap_or_else(|| "a free port, which it says".to_owned());
    terminal::print(&format!("wrote {shown}\n\n{text}\n`{up}` now serves {} at {at}\n", args.url))?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses what would not be valid; returns where the gateway would be, if that is known before.
fn check(args: &Init, shown: &str, text: &str) -> Result<Option<String>, Failure> {
    let root = std::env::current_dir().map_err(|error| Failure::new(format!("cannot work here: {error}")))?;
    let base = manifest::Source { name: shown.to_owned(), text: text.to_owned() };
    let checked = manifest::check(&manifest::Input {
        root,
        base,
        overlays: Vec::new(),
        env: Default::default(),
        zone: None,
    });
    let found = &checked.diagnostics;
    let Some(manifest) = checked.manifest else {
        if !args.json {
            terminal::print(&found.render(terminal::width(), terminal::colours()))?;
        }
        return Err(Failure::new("this would not be a valid manifest; nothing was written")
            .detail("diagnostics", found.to_json()));
    };
    let listen = manifest.gateway.map(|gateway| gateway.listen).filter(|listen| listen.port() != 0);
    Ok(listen.map(|listen| format!("http://{}", reached_at(listen))))
}

/// Where one who is on this machine reaches what listens on `listen`.
fn reached_at(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port())),
        _ => listen,
    }
}
