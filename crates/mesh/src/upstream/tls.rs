//! TLS to externals: whom to trust.
//!
//! Mozilla's roots are in the binary, so that a bare machine needs no package of certificates.
//! `SSL_CERT_FILE` adds further ones, such as a company's own authority, under the name that OpenSSL
//! gave it.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use crate::config::Protocol;

/// The environment variable that names a PEM file of further authorities.
const CERT_FILE: &str = "SSL_CERT_FILE";

type Config = Result<Arc<ClientConfig>, String>;

/// Agrees on keys and on the protocol, and checks that the peer is `host`.
pub(super) async fn handshake(
    stream: TcpStream,
    host: &str,
    protocol: Protocol,
) -> io::Result<TlsStream<TcpStream>> {
    static HTTP1: OnceLock<Config> = OnceLock::new();
    static HTTP2: OnceLock<Config> = OnceLock::new();
    let config = match protocol {
        Protocol::Http1 => HTTP1.get_or_init(|| client_config(b"http/1.1")),
        Protocol::Http2 => HTTP2.get_or_init(|| client_config(b"h2")),
    };
    let config = config.clone().map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| explain(host, error))
}

fn client_config(alpn: &[u8]) -> Config {
    let mut config = ClientConfig::builder().with_root_certificates(roots()?).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}

fn roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let Some(file) = std::env::var_os(CERT_FILE).filter(|file| !file.is_empty()) else { return Ok(roots) };
    let cannot =
        |why: String| format!("cannot read the certificates of {CERT_FILE} ({}): {why}", file.display());
    let certificates = CertificateDer::pem_file_iter(&file).map_err(|error| cannot(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| cannot(error.to_string()))?;
        roots.add(certificate).map_err(|error| cannot(error.to_string()))?;
    }
    Ok(roots)
}

fn explain(host: &str, error: io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => io::Error::other(format!(
            "the certificate of {host} is not signed by an authority that is trusted; {CERT_FILE} names further ones"
        )),
        Some(cause) => io::Error::other(format!("TLS with {host} failed: {cause}")),
        None => error,
    }
}
