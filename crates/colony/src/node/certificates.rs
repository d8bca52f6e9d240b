//! The gateway's certificates while the node runs: taken on anew when their files change, and signed
//! anew before they expire.
//!
//! The files are asked for rather than watched: whoever renews certificates often does so on
//! another machine (NFS) or behind links (Kubernetes), of which the kernel tells nothing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use manifest::valid;
use mesh::config::Tls;
use serde::Serialize;

use super::Node;
use crate::authority::{Stored, now};
use crate::{lower, tls};

/// How often the files are asked for; a change is taken on once two looks agree.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
type Stamp = (PathBuf, Option<(SystemTime, u64, u64)>);

/// A certificate, for `colony status`.
#[derive(Serialize)]
pub(super) struct Shown {
    names: Vec<String>,
    valid_until: String,
    days_left: u64,
}

/// Looks for as long as the node runs.
pub(super) fn start(node: Arc<Node>) {
    tokio::spawn(async move {
        let mut taken = stamps(&node);
        let mut before = taken.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamps(&node);
            let settled = now == before;
            before.clone_from(&now);
            if settled && (now != taken || node.is_to_be_signed_anew()) {
                taken = now;
                node.renew().await;
            }
        }
    });
}

fn stamps(node: &Node) -> Vec<Stamp> {
    let files = tls::watched(&node.current().manifest);
    let stamp = |file: &Path| {
        let seen = std::fs::metadata(file).ok()?;
        Some((seen.modified().ok()?, seen.ino(), seen.len()))
    };
    files.into_iter().map(|file| (file.clone(), stamp(&file))).collect()
}

impl Node {
    /// Of what clients of the gateway are shown.
    pub(super) fn certificates(&self) -> Vec<Shown> {
        let tls = self.tls();
        let shown = tls.iter().flat_map(Tls::certificates).map(|certificate| {
            let until = certificate.validity().until;
            Shown {
                names: match certificate.names() {
                    [] => vec!["addresses".to_owned()],
                    names => names.to_vec(),
                },
                valid_until: tls::date(until),
                days_left: until.saturating_sub(now()) / (24 * 60 * 60),
            }
        });
        shown.collect()
    }

    pub(super) fn tls(&self) -> Option<Tls> {
        self.current().plane.listeners.get(lower::GATEWAY)?.tls.clone()
    }

    /// The authority to trust, where the gateway's certificate is of it.
    pub(super) fn authority(&self) -> Option<PathBuf> {
        self.is_dev().then(|| Stored::find().ok()?.map(|stored| stored.certificate())).flatten()
    }

    pub(super) fn is_dev(&self) -> bool {
        let current = self.current();
        current.manifest.gateway.as_ref().is_some_and(|gateway| gateway.tls == Some(valid::Tls::Dev))
    }

    fn is_to_be_signed_anew(&self) -> bool {
        let near = |tls: Tls| tls.certificates().iter().any(|one| one.validity().nears_its_end(now()));
        self.is_dev() && self.tls().is_some_and(near)
    }

    /// Shows new connections what the files hold now; what they hold that is broken, nobody.
    async fn renew(&self) {
        let _one = self.reloading.lock().await;
        let (manifest, mut plane) = {
            let current = self.current();
            (current.manifest.clone(), current.plane.clone())
        };
        let loaded = match tls::load(&manifest) {
            Ok(loaded) => loaded,
            Err(failure) => {
                return self
                    .printer
                    .note(&format!("{}; the certificates stay as they were", failure.message));
            }
        };
        let Some(listener) = plane.listeners.get_mut(lower::GATEWAY).filter(|one| one.tls != loaded) else {
            return;
        };
        listener.tls = loaded;
        if let Err(error) = self.mesh.apply(plane.clone()).await {
            return self.printer.note(&format!("{error}; the certificates stay as they were"));
        }
        self.current().plane = plane;
        let shown = self.certificates();
        let told: Vec<String> =
            shown.iter().map(|one| format!("{} until {}", one.names.join(", "), one.valid_until)).collect();
        self.printer.note(&format!("new connections get a new certificate: {}", told.join("; ")));
    }
}
