//! Addresses of externals, looked up again and again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::config::External;
use crate::upstream::{Endpoint, Upstream};

/// How often the name of an external is resolved.
pub const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// How soon again after a failure.
const RESOLVE_RETRY: Duration = Duration::from_secs(2);

/// Publishes an external's addresses for as long as the upstream is in use.
pub(crate) fn keep_resolved(upstream: &Arc<Upstream>, external: External) {
    tokio::spawn(resolve(Arc::downgrade(upstream), external));
}

async fn resolve(upstream: Weak<Upstream>, external: External) {
    loop {
        let found = tokio::net::lookup_host((external.host.as_str(), external.port)).await;
        let Some(upstream) = upstream.upgrade() else { return };
        let wait = match found {
            Ok(addresses) => {
                let mut endpoints: Vec<Endpoint> =
                    addresses.map(|address| Endpoint { id: address.to_string(), address }).collect();
                endpoints.sort_by_key(|endpoint| endpoint.address);
                endpoints.dedup();
                upstream.set_trouble(None);
                upstream.publish_if_changed(&endpoints);
                RESOLVE_EVERY
            }
            // Addresses that worked are better than none.
            Err(error) => {
                upstream.set_trouble(Some(format!("cannot resolve `{}`: {error}", external.host)));
                if upstream.live().is_empty() {
                    upstream.give_up();
                }
                RESOLVE_RETRY
            }
        };
        drop(upstream);
        tokio::time::sleep(wait).await;
    }
}
