//! A certificate with its key, as a server shows it: read from PEM, and checked as far as that can be
//! done without knowing who will trust it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

/// A certificate, those that vouch for it, and its key, which fits.
#[derive(Clone)]
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    names: Vec<String>,
    validity: Validity,
}

/// From when and until when a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub from: u64,
    /// Last second.
    pub until: u64,
}

impl Validity {
    /// Whether less than a third of it is left, as clients of ACME renew.
    pub fn nears_its_end(&self, now: u64) -> bool {
        self.until.saturating_sub(now) < self.until.saturating_sub(self.from) / 3
    }
}

/// Why two texts are not a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No `BEGIN CERTIFICATE` where certificates should be.
    NoCertificate,
    /// A certificate that cannot be read.
    Certificate(String),
    /// No private key where one should be.
    NoKey,
    /// The key is encrypted: a server that starts by itself has nobody to ask for the pass phrase.
    EncryptedKey,
    /// A key that cannot be read, or of a kind that is not known.
    Key(String),
    /// The key belongs to another certificate.
    Mismatch,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::NoCertificate => write!(f, "there is no certificate in it (no `BEGIN CERTIFICATE`)"),
            Wrong::Certificate(why) => write!(f, "a certificate in it cannot be read: {why}"),
            Wrong::NoKey => write!(f, "there is no private key in it (no `BEGIN PRIVATE KEY`)"),
            Wrong::EncryptedKey => write!(f, "the key in it is encrypted"),
            Wrong::Key(why) => write!(f, "the key in it cannot be used: {why}"),
            Wrong::Mismatch => write!(f, "the key does not fit the certificate"),
        }
    }
}

impl std::error::Error for Wrong {}

impl Certificate {
    /// Reads a chain, the server's own certificate first, and its private key (PKCS #8, PKCS #1 or SEC 1).
    ///
    /// # Errors
    /// [`Wrong`]. That it is not valid now is none: see [`Certificate::validity`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Certificate, Wrong> {
        let unread = |error: pem::Error| Wrong::Certificate(error.to_string());
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(unread)?;
        let leaf = chain.first().ok_or(Wrong::NoCertificate)?;
        let (names, validity) = look(leaf)?;
        let key = private_key(key)?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let certified = certified.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Wrong::Mismatch,
            Error::InvalidCertificate(why) => Wrong::Certificate(why.to_string()),
            other => Wrong::Key(other.to_string()),
        })?;
        Ok(Certificate { certified: Arc::new(certified), names, validity })
    }

    /// The host names it is for, in lower case, such as `shop.example` or `*.shop.example`. Not the
    /// addresses: no client asks for one by name.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What a TLS server signs with.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }
}

/// The key belongs to the chain, so the chain says it all.
impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("names", &self.names).field("validity", &self.validity).finish()
    }
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        let encrypted = String::from_utf8_lossy(text);
        match error {
            _ if encrypted.contains("ENCRYPTED") => Wrong::EncryptedKey,
            pem::Error::NoItemsFound => Wrong::NoKey,
            other => Wrong::Key(other.to_string()),
        }
    })
}

fn look(leaf: &CertificateDer<'_>) -> Result<(Vec<String>, Validity), Wrong> {
    let unread = |error: webpki::Error| Wrong::Certificate(error.to_string());
    let read = EndEntityCert::try_from(leaf).map_err(unread)?;
    let names = read.valid_dns_names().map(str::to_ascii_lowercase).collect();
    Ok((names, validity(&read).map_err(unread)?))
}

/// The library tells when a certificate is valid only to whom it is not: so it is asked about the
/// beginning and the end of time. It looks at the time before anything that depends on who trusts whom.
fn validity(certificate: &EndEntityCert<'_>) -> Result<Validity, webpki::Error> {
    let at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let usage = KeyUsage::server_auth();
        certificate.verify_for_usage(ALL_VERIFICATION_ALGS, &[], &[], time, usage, None, None).err()
    };
    let from = match at(0) {
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => not_before.as_secs(),
        Some(
            error @ (webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::InvalidCertValidity),
        ) => {
            return Err(error);
        }
        _ => 0,
    };
    let until = match at(END_OF_TIME) {
        Some(webpki::Error::CertExpired { not_after, .. }) => not_after.as_secs(),
        _ => END_OF_TIME,
    };
    Ok(Validity { from, until })
}

/// The last second that a certificate can name: 9999-12-31T23:59:59Z (RFC 5280 section 4.1.2.5).
const END_OF_TIME: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(2024, 2, 1);
        params.not_after = rcgen::date_time_ymd(2024, 3, 1);
        (params.self_signed(&key).expect("signs").pem(), key.serialize_pem())
    }

    fn wrong(chain: &str, key: &str) -> Wrong {
        Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("is wrong")
    }

    #[test]
    fn names_and_times_are_those_of_the_certificate() {
        let (chain, key) = pair(&["Shop.example", "*.shop.example", "127.0.0.1"]);
        let read = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("fine");
        assert_eq!(read.names(), ["shop.example", "*.shop.example"]);
        assert_eq!(read.validity(), Validity { from: 1_706_745_600, until: 1_709_251_200 });
    }

    #[test]
    fn the_last_third_is_the_end() {
        let validity = Validity { from: 100, until: 400 };
        assert_eq!([0, 300, 301, 500].map(|now| validity.nears_its_end(now)), [false, false, true, true]);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let ((chain, key), (other, _)) = (pair(&["a.test"]), pair(&["a.test"]));
        assert_eq!(wrong(&other, &key), Wrong::Mismatch);
        // Given the wrong way round.
        assert_eq!(wrong(&key, &chain), Wrong::NoCertificate);
        assert_eq!(wrong(&chain, &chain), Wrong::NoKey);
    }

    #[test]
    fn what_is_not_pem_or_encrypted_is_told_apart() {
        let (chain, key) = pair(&["a.test"]);
        assert_eq!(wrong("", &key), Wrong::NoCertificate);
        assert_eq!(wrong(&chain, ""), Wrong::NoKey);
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(wrong(&chain, encrypted), Wrong::EncryptedKey);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(wrong(broken, &key), Wrong::Certificate(_)));
        assert!(matches!(wrong("-----BEGIN CERTIFICATE-----\nAAAA", &key), Wrong::Certificate(_)));
    }
}
