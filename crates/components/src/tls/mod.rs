//! TLS to systems outside: whom to trust, and as whom to appear.
//!
//! Mozilla's roots are in the binary, and `SSL_CERT_FILE` adds further ones, as for the calls that the data plane makes.

mod anybody;

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

pub use anybody::Anybody;

/// What is set of TLS; each is PEM, or the path of a file of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set<'a> {
    /// Whom to trust, in place of all others.
    pub roots: Option<&'a str>,
    /// As whom to appear: a certificate with its chain, and its key.
    pub own: Option<(&'a str, &'a str)>,
}

/// A client that is set up so.
///
/// # Errors
///
/// What is wrong, without what is set, which may be a key.
pub fn client(set: Set<'_>) -> Result<ClientConfig, String> {
    let roots = match set.roots {
        Some(pem) => only(pem)?,
        None => public()?,
    };
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let trusting = versions
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some((chain, key)) = set.own else { return Ok(trusting.with_no_client_auth()) };
    let key =
        PrivateKeyDer::from_pem_slice(&pem(key)?).map_err(|error| format!("no private key: {error}"))?;
    trusting.with_client_auth_cert(certificates(chain)?, key).map_err(|error| error.to_string())
}

fn public() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = std::env::var_os(CERT_FILE).filter(|file| !file.is_empty()) {
        let more = CertificateDer::pem_file_iter(&file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let more = more.map_err(|error| format!("{CERT_FILE} ({}): {error}", file.display()))?;
        roots.add_parsable_certificates(more);
    }
    Ok(roots)
}

fn only(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = pem(text)?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err("no certificate is in it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn pem(text: &str) -> Result<Vec<u8>, String> {
    match text.contains(BEGIN) {
        true => Ok(text.as_bytes().to_vec()),
        false => {
            std::fs::read(text).map_err(|error| format!("neither PEM nor a file that can be read: {error}"))
        }
    }
}

/// The environment variable that names a PEM file of further authorities.
const CERT_FILE: &str = "SSL_CERT_FILE";
/// What is in all PEM.
const BEGIN: &str = "-----BEGIN ";
