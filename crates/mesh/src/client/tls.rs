//! TLS from clients: the handshake, and which certificate is shown to whom.
//!
//! The certificate is chosen by the name that the client asks for (SNI, RFC 6066 section 3): exact
//! names before wildcards, and the first certificate where none has the name or the client asks for
//! none. A wildcard stands for one label (RFC 9525 section 6.3).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use certs::Certificate;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use tokio_rustls::rustls::{ServerConfig, crypto::ring, sign::CertifiedKey};
use tokio_rustls::server::TlsStream;

/// How a TLS record begins that begins a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// In the order in which we would have them (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A client on a listener for TLS.
pub(crate) enum Accepted {
    /// It speaks TLS, and HTTP/2 over it if both like that best.
    Tls { stream: Box<TlsStream<TcpStream>>, http2: bool },
    /// It speaks something else, most likely HTTP.
    Cleartext(TcpStream),
}

/// Agrees on keys and on the protocol. The caller bounds the time.
pub(crate) async fn accept(config: Arc<ServerConfig>, stream: TcpStream) -> io::Result<Accepted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first[0] != HANDSHAKE {
        return Ok(Accepted::Cleartext(stream));
    }
    let stream = Box::new(TlsAcceptor::from(config).accept(stream).await?);
    let http2 = stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[0]);
    Ok(Accepted::Tls { stream, http2 })
}

/// What a listener with these certificates offers.
///
/// # Errors
/// A sentence, if there is no certificate.
pub(crate) fn server_config(certificates: &[Certificate]) -> Result<Arc<ServerConfig>, String> {
    let resolver = Names::new(certificates).ok_or("a listener for TLS needs a certificate")?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    // TLS 1.2 and 1.3.
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config.ticketer = ticketer()?;
    Ok(Arc::new(config))
}

/// One for all cores and for all configurations to come, so that a client resumes its session
/// wherever the kernel takes it and whatever was reloaded meanwhile. It changes its keys by itself.
fn ticketer() -> Result<Arc<dyn ProducesTickets>, String> {
    static TICKETER: OnceLock<Result<Arc<dyn ProducesTickets>, String>> = OnceLock::new();
    let new = || ring::Ticketer::new().map_err(|error| format!("cannot make session tickets: {error}"));
    TICKETER.get_or_init(new).clone()
}

/// Certificates by the names they are for.
struct Names {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows the `*.`.
    wildcards: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl Names {
    fn new(certificates: &[Certificate]) -> Option<Names> {
        let default = certificates.first()?.certified();
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for certificate in certificates {
            for name in certificate.names() {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcards, rest),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(key.to_owned()).or_insert_with(|| certificate.certified());
            }
        }
        Some(Names { exact, wildcards, default })
    }

    fn choose(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.default };
        let wildcard = || self.wildcards.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(wildcard).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()).clone())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.exact.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str]) -> Certificate {
        let key = rcgen::KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::CertificateParams::new(names).expect("names").self_signed(&key).expect("signs");
        Certificate::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes()).expect("fits")
    }

    #[test]
    fn exact_names_come_before_wildcards_and_the_first_is_for_the_rest() {
        let all = [
            certificate(&["shop.test"]),
            certificate(&["*.shop.test", "other.test"]),
            certificate(&["api.shop.test"]),
        ];
        let names = Names::new(&all).expect("there are some");
        let chosen = |name| {
            let chosen = names.choose(name);
            all.iter().position(|one| Arc::ptr_eq(&one.certified(), chosen)).expect("one of them")
        };
        assert_eq!(chosen(Some("SHOP.test")), 0);
        assert_eq!(chosen(Some("www.shop.test")), 1);
        assert_eq!(chosen(Some("api.shop.test")), 2);
        assert_eq!(chosen(Some("a.b.shop.test")), 0, "a wildcard stands for one label");
        assert_eq!(chosen(Some("unknown")), 0);
        assert_eq!(chosen(None), 0);
        assert!(Names::new(&[]).is_none());
    }
}
