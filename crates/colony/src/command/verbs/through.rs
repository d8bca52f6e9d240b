//! Which sidecar a verb asks: one that is named by an address, or by its application, or that the environment names as it does for SDKs, or
//! else the only one there is.

use std::path::{Path, PathBuf};

use crate::args::verbs::Through;
use crate::command::list::folders;
use crate::failure::Failure;
use crate::sidecars::{self, About};
use crate::source;

/// Where a sidecar listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A host and a port.
    Tcp(String),
    Unix(PathBuf),
}

/// Whose a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// An application's: it matters who asks.
    Applications,
    /// The node's: any sidecar of it is as good.
    Nodes,
}

/// Finds who is to be asked.
pub(super) async fn find(through: &Through, whose: Whose, data: Option<&Path>) -> Result<Way, Failure> {
    if let Some(address) = &through.address {
        return Way::of(address);
    }
    if let (Some(folder), Some(app_id)) = (&through.unix_domain_socket, &through.app_id) {
        return Ok(Way::Unix(folder.join(format!("dapr-{app_id}-http.socket"))));
    }
    if let Some(app_id) = &through.app_id {
        return named(app_id, data).await;
    }
    match of_environment() {
        Some(address) => Way::of(&address),
        None => only(whose, data).await,
    }
}

/// The sidecar of an application, if it is served on this machine.
pub(super) async fn of_application(app_id: &str, data: Option<&Path>) -> Option<Way> {
    let all = served(data, |all| all.iter().any(|one| one.app_id == app_id)).await;
    all.iter().flatten().find(|one| one.app_id == app_id).and_then(Way::to)
}

/// What SDKs look for.
fn of_environment() -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    variable("DAPR_HTTP_ENDPOINT")
        .or_else(|| variable("DAPR_HTTP_PORT").map(|port| format!("127.0.0.1:{port}")))
}

async fn named(app_id: &str, data: Option<&Path>) -> Result<Way, Failure> {
    if let Some(way) = of_application(app_id, data).await {
        return Ok(way);
    }
    let all: Vec<About> = served(data, |_| false).await.into_iter().flatten().collect();
    match &*names(&all) {
        [] => Err(nobody(data)),
        others => Err(Failure::new(format!(
            "no application `{app_id}` is served; there {} {}",
            if others.len() == 1 { "is" } else { "are" },
            others.join(", ")
        ))),
    }
}

async fn only(whose: Whose, data: Option<&Path>) -> Result<Way, Failure> {
    let nodes = served(data, |all| !all.is_empty()).await;
    let nodes: Vec<Vec<About>> = nodes.into_iter().filter(|node| !node.is_empty()).collect();
    let all: Vec<About> = nodes.iter().flatten().cloned().collect();
    let names = names(&all);
    let is_clear = names.len() == 1 || (whose == Whose::Nodes && nodes.len() == 1);
    match all.iter().find_map(Way::to) {
        Some(way) if is_clear => Ok(way),
        Some(_) => {
            let what = format!("several applications are served: {}", names.join(", "));
            Err(Failure::new(what).hint(format!("`--app-id {}` says in whose name to ask", names[0])))
        }
        None => Err(nobody(data)),
    }
}

/// Who is served, by data folder: the nearest one first, and others only if that is not `enough`.
async fn served(data: Option<&Path>, enough: impl Fn(&[About]) -> bool) -> Vec<Vec<About>> {
    let nearest = source::shared_data(data).join(sidecars::FOLDER);
    let here = sidecars::list(&nearest).await.unwrap_or_default();
    if enough(&here) {
        return vec![here];
    }
    let mut nodes = vec![here];
    for folder in folders(data).into_iter().filter(|folder| *folder != nearest) {
        nodes.push(sidecars::list(&folder).await.unwrap_or_default());
    }
    nodes
}

/// Each application once, in the order in which they came.
fn names(all: &[About]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for one in all {
        if !names.contains(&one.app_id) {
            names.push(one.app_id.clone());
        }
    }
    names
}

fn nobody(data: Option<&Path>) -> Failure {
    let failure = match data {
        Some(data) => Failure::new(format!("no application is served with its data in {}", data.display())),
        None => Failure::new("no application is served on this machine"),
    };
    failure
        .hint("`colony sidecar --app-id NAME` serves one, `colony run -- COMMAND` one with its program")
        .hint("`--address HOST:PORT` asks one that is elsewhere")
}

impl Way {
    /// To an address as it is written.
    fn of(text: &str) -> Result<Way, Failure> {
        if text.starts_with('/') || text.starts_with("unix:") || text.starts_with("./") {
            return Ok(Way::Unix(PathBuf::from(text.trim_start_matches("unix:"))));
        }
        let odd = |why: &str| {
            Failure::new(format!("{text} is no address of a sidecar: {why}")).hint(
                "write for example 127.0.0.1:3500, http://127.0.0.1:3500, or /run/shop/dapr-shop-http.socket",
            )
        };
        if text.starts_with("https://") {
            return Err(odd("it is asked without TLS"));
        }
        let authority = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let authority: http::uri::Authority =
            authority.parse().map_err(|_| odd("it has no host and port"))?;
        let port = authority.port_u16().unwrap_or(80);
        match text.contains("://") || authority.port_u16().is_some() {
            true => Ok(Way::Tcp(format!("{}:{port}", authority.host()))),
            false => Err(odd("it names no port")),
        }
    }

    /// To an application that is told of: over a port, if there is one.
    fn to(one: &About) -> Option<Way> {
        let (sockets, ports): (Vec<&String>, Vec<&String>) =
            one.http.iter().partition(|address| address.contains('/'));
        let port = ports.first().map(|address| {
            let (host, port) = address.rsplit_once(':').unwrap_or((address.as_str(), "80"));
            let host = match host {
                "0.0.0.0" => "127.0.0.1",
                "[::]" => "[::1]",
                host => host,
            };
            Way::Tcp(format!("{host}:{port}"))
        });
        port.or_else(|| {
            sockets.first().map(|path| Way::Unix(PathBuf::from(path.trim_start_matches("unix:"))))
        })
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Way::Tcp(address) => f.write_str(address),
            Way::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ports_or_sockets() {
        let tcp = |text: &str| Way::Tcp(text.to_owned());
        for (text, way) in [
            ("127.0.0.1:3500", tcp("127.0.0.1:3500")),
            ("http://shop.test:80/", tcp("shop.test:80")),
            ("http://shop.test", tcp("shop.test:80")),
            ("[::1]:3500", tcp("[::1]:3500")),
            ("/run/a.socket", Way::Unix("/run/a.socket".into())),
        ] {
            assert_eq!(Way::of(text).ok(), Some(way), "{text}");
        }
        for odd in ["https://a:1", "3500", "a b:1", "", "localhost"] {
            assert!(Way::of(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn who_listens_everywhere_is_asked_here() {
        let one = |http: &[&str]| About {
            app_id: "shop".to_owned(),
            http: http.iter().map(|&address| address.to_owned()).collect(),
            grpc: Vec::new(),
            app_port: None,
            app_protocol: "http".to_owned(),
            since_unix_ms: 0,
            holder: 1,
            notes: Default::default(),
        };
        assert_eq!(
            Way::to(&one(&["0.0.0.0:3500", "[::]:3500"])),
            Some(Way::Tcp("127.0.0.1:3500".to_owned()))
        );
        assert_eq!(Way::to(&one(&["[::]:3500"])), Some(Way::Tcp("[::1]:3500".to_owned())));
        assert_eq!(Way::to(&one(&["/a/b"])), Some(Way::Unix("/a/b".into())));
        assert_eq!(Way::to(&one(&[])), None);
    }
}
