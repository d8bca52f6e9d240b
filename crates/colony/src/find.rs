//! Which of the running nodes a command means.

use std::path::Path;

use crate::client::Client;
use crate::failure::Failure;
use crate::registry::{self, Known};
use crate::socket::connect;
use crate::source;

impl Client {
    /// The node whose data folder was named. Else the one of this folder or of one above it; where
    /// no manifest lies, the only one below this folder, or else the only one that this user runs.
    pub(crate) async fn find(data: Option<&Path>) -> Result<Client, Failure> {
        if let Some(data) = data {
            return named(data).await;
        }
        let here =
            std::env::current_dir().map_err(|error| Failure::new(format!("cannot work here: {error}")))?;
        let running = running().await;
        for folder in here.ancestors() {
            match of(folder, &running).await.as_slice() {
                [] if source::NAMES.iter().any(|name| folder.join(name).is_file()) => {
                    return Err(Failure::new(format!("what {} declares is not running", folder.display()))
                        .hint("`colony up` starts it; `-C DIR` means another folder"));
                }
                [] => {}
                [only] => return Ok(Client::at(&only.data)),
                several => {
                    return Err(choose(&format!("several nodes run in {}", folder.display()), several));
                }
            }
        }
        let below: Vec<Known> =
            running.iter().filter(|node| node.root().starts_with(&here)).cloned().collect();
        match (below.as_slice(), running.as_slice()) {
            ([only], _) | ([], [only]) => Ok(Client::at(&only.data)),
            ([], []) => {
                Err(Failure::new("nothing is running here")
                    .hint("`colony up` starts what colony.yaml declares"))
            }
            ([], several) => Err(choose("several nodes are running, none of them in this folder", several)),
            (several, _) => Err(choose("several nodes are running below this folder", several)),
        }
    }
}

async fn named(data: &Path) -> Result<Client, Failure> {
    match connect(data).await {
        Ok(_) => Ok(Client::at(data)),
        Err(_) => Err(Failure::new(format!("no node runs with the data folder {}", data.display()))
            .hint(format!("`colony up --data {}` starts one", data.display()))),
    }
}

/// All registered nodes that answer.
async fn running() -> Vec<Known> {
    let mut running = Vec::new();
    for node in registry::all() {
        if connect(&node.data).await.is_ok() {
            running.push(node);
        }
    }
    running
}

/// The nodes of one folder: those whose manifest lies there, and what is in its data folder even if
/// it is not registered.
async fn of(folder: &Path, running: &[Known]) -> Vec<Known> {
    let here = |node: &&Known| node.root() == folder || node.data == folder;
    let mut nodes: Vec<Known> = running.iter().filter(here).cloned().collect();
    let data = folder.join(source::DATA);
    if nodes.is_empty() && connect(&data).await.is_ok() {
        nodes.push(Known { data, manifest: folder.join(source::NAMES[0]), pid: 0 });
    }
    nodes
}

/// Asks for a choice, with what to write for each.
fn choose(why: &str, nodes: &[Known]) -> Failure {
    nodes.iter().fold(Failure::new(format!("{why}; say which")), |failure, node| {
        let alone = nodes.iter().filter(|other| other.root() == node.root()).count() == 1;
        let choice = match alone {
            true => format!("-C {}", node.root().display()),
            false => format!("--data {}", node.data.display()),
        };
        let file = node.manifest.file_name().unwrap_or_default().display();
        failure.hint(format!("{choice}  ({file}, pid {})", node.pid))
    })
}
