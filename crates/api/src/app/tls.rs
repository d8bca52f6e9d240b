//! TLS to an application, whose certificate may be one that it has signed itself: who can listen on its port is it.

use std::sync::Arc;

use components::tls::Anybody;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;

/// TLS with whoever answers; nothing if the library is without its own algorithms.
pub(super) fn with_anybody(protocol: &[u8]) -> Option<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().ok()?.dangerous();
    let anybody = Arc::new(Anybody::default());
    let mut config = builder.with_custom_certificate_verifier(anybody).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Some(Arc::new(config))
}
