//! An authority for development: it signs certificates for names that mean nothing outside of the
//! machine and its neighbourhood, so that whoever steals its key can't pass for a bank.
//!
//! What it may sign stands in its own certificate, as name constraints (RFC 5280 section 4.2.1.10):
//! browsers, OpenSSL and rustls refuse whatever else is signed with its key. This file asks the same
//! of what it signs, by the verifier that rustls uses, so that no rule is written down twice.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::certificate::{Certificate, Validity, Wrong};

/// How long an authority is valid: whoever trusts it does so by hand, and should not have to often.
const AUTHORITY_DAYS: u64 = 3650;
/// How long what it signs is valid; browsers take no more than 398 days.
const LEAF_DAYS: u64 = 90;
const DAY: u64 = 24 * 60 * 60;
/// Clocks of virtual machines and phones are behind at times.
const CLOCKS_BEHIND: u64 = 60 * 60;
/// Names, with all below them, that are reserved for what is not public (RFC 6761).
const HOSTS: [&str; 2] = ["localhost", "test"];
/// Loopback, private and link-local networks (RFC 6890, RFC 4193).
const NETWORKS: [(&str, u8); 8] = [
    ("127.0.0.0", 8),
    ("10.0.0.0", 8),
    ("172.16.0.0", 12),
    ("192.168.0.0", 16),
    ("169.254.0.0", 16),
    ("::1", 128),
    ("fc00::", 7),
    ("fe80::", 10),
];

/// A certificate that may sign others, and its key.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    validity: Validity,
}

/// What an authority has signed, in PEM.
pub struct Issued {
    /// The certificate.
    pub chain: String,
    /// Its private key.
    pub key: String,
    /// Both, as a server shows them.
    pub certificate: Certificate,
}

/// Why an authority does not sign.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// Neither a host name, maybe with `*.` before it, nor an address.
    NotAName(String),
    /// It may not sign for these.
    NotPermitted(Vec<String>),
    /// It is not valid any more, or not yet.
    Expired,
    /// Something else, which should not happen.
    Failed(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotAName(name) => write!(f, "`{name}` is neither a host name nor an address"),
            Refused::NotPermitted(names) => {
                write!(f, "the development CA may not sign for {}", names.join(", "))
            }
            Refused::Expired => write!(f, "the development CA has expired"),
            Refused::Failed(why) => write!(f, "cannot make a certificate: {why}"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<rcgen::Error> for Refused {
    fn from(error: rcgen::Error) -> Refused {
        Refused::Failed(error.to_string())
    }
}

impl Authority {
    /// A new one, valid from `now` (seconds since 1970), that may also sign for these hosts and all
    /// below them, and for these addresses.
    ///
    /// # Errors
    /// [`Refused`], if one of them is no name, or there is no randomness.
    pub fn create(permit: &[String], now: u64) -> Result<Authority, Refused> {
        let key = KeyPair::generate()?;
        let mut params = named(&key);
        set_times(&mut params, now, AUTHORITY_DAYS, u64::MAX);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees: permitted(permit)?, excluded_subtrees: Vec::new() });
        let pem = params.self_signed(&key)?.pem();
        Authority::from_pem(&pem, &key.serialize_pem()).map_err(|wrong| Refused::Failed(wrong.to_string()))
    }

    /// One that was created before.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn from_pem(chain: &str, key: &str) -> Result<Authority, Wrong> {
        // Reads both, and finds out whether they fit.
        let validity = Certificate::from_pem(chain.as_bytes(), key.as_bytes())?.validity();
        let key = KeyPair::from_pem(key).map_err(|error| Wrong::Key(error.to_string()))?;
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|_| Wrong::NoCertificate)?;
        let issuer = Issuer::new(named(&key), key);
        Ok(Authority { pem: chain.to_owned(), der, issuer, validity })
    }

    /// Its certificate, which others are to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its private key, which nobody else is to see.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// A certificate for these host names and addresses, valid from `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn issue(&self, names: &[String], now: u64) -> Result<Issued, Refused> {
        if now < self.validity.from || now > self.validity.until {
            return Err(Refused::Expired);
        }
        let issued = self.sign(names, now)?;
        match self.verify(&issued, now) {
            Ok(()) => Ok(issued),
            Err(webpki::Error::NameConstraintViolation) => {
                Err(Refused::NotPermitted(self.not_permitted(names, now)))
            }
            Err(error) => Err(Refused::Failed(error.to_string())),
        }
    }

    fn sign(&self, names: &[String], now: u64) -> Result<Issued, Refused> {
        if let Some(wrong) = names.iter().find(|name| !is_name(name)) {
            return Err(Refused::NotAName(wrong.clone()));
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        // Not a host name: that would count as one where there is no other.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Colony development certificate");
        set_times(&mut params, now, LEAF_DAYS, self.validity.until);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (chain, key) = (params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem());
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes());
        let certificate = certificate.map_err(|wrong| Refused::Failed(wrong.to_string()))?;
        Ok(Issued { chain, key, certificate })
    }

    fn verify(&self, issued: &Issued, now: u64) -> Result<(), webpki::Error> {
        let anchors = [anchor_from_trusted_cert(&self.der)?];
        let certified = issued.certificate.certified();
        let leaf = EndEntityCert::try_from(&certified.cert[0])?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let usage = KeyUsage::server_auth();
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], time, usage, None, None).map(|_| ())
    }

    fn not_permitted(&self, names: &[String], now: u64) -> Vec<String> {
        let permits = |name: &String| {
            self.sign(std::slice::from_ref(name), now).is_ok_and(|one| self.verify(&one, now).is_ok())
        };
        names.iter().filter(|name| !permits(name)).cloned().collect()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("validity", &self.validity).finish_non_exhaustive()
    }
}

/// What can be told of an authority from its key alone, so that its certificate need not be taken
/// apart to sign with it. The key is part of the name, or two of them would be taken for one.
fn named(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id: String = params.key_identifier(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Colony");
    params.distinguished_name.push(DnType::CommonName, format!("Colony development CA {id}"));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn permitted(more: &[String]) -> Result<Vec<GeneralSubtree>, Refused> {
    let subtree = |name: &str| match name.parse::<IpAddr>() {
        Ok(address) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
        }
        Err(_) => GeneralSubtree::DnsName(name.to_ascii_lowercase()),
    };
    if let Some(wrong) = more.iter().find(|name| !is_name(name) || name.starts_with('*')) {
        return Err(Refused::NotAName(wrong.clone()));
    }
    let networks = NETWORKS.iter().filter_map(|(address, bits)| {
        let address = address.parse().ok()?;
        Some(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, *bits)))
    });
    Ok(HOSTS.into_iter().chain(more.iter().map(String::as_str)).map(subtree).chain(networks).collect())
}

fn is_name(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    text.parse::<IpAddr>().is_ok() || DnsName::try_from(host).is_ok()
}

/// Valid for so many days, and no longer than `end`.
fn set_times(params: &mut CertificateParams, now: u64, days: u64, end: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(CLOCKS_BEHIND));
    params.not_after = epoch + Duration::from_secs((now + days * DAY).min(end));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn issue(authority: &Authority, list: &[&str]) -> Result<Issued, Refused> {
        authority.issue(&names(list), NOW)
    }

    #[test]
    fn what_is_local_is_signed_and_nothing_else() {
        let authority = Authority::create(&[], NOW).expect("made");
        let local =
            ["localhost", "api.localhost", "*.shop.test", "127.0.0.1", "::1", "192.168.1.20", "10.1.2.3"];
        let issued = issue(&authority, &local).expect("permitted");
        assert_eq!(issued.certificate.names(), ["localhost", "api.localhost", "*.shop.test"]);
        let refused = issue(&authority, &["localhost", "bank.example", "8.8.8.8", "2001:db8::1"]);
        let expected = names(&["bank.example", "8.8.8.8", "2001:db8::1"]);
        assert_eq!(refused.err(), Some(Refused::NotPermitted(expected)));
        assert_eq!(issue(&authority, &["no name"]).err(), Some(Refused::NotAName("no name".to_owned())));
    }

    #[test]
    fn more_is_signed_where_it_was_permitted() {
        let authority = Authority::create(&names(&["Corp.example", "8.8.8.8"]), NOW).expect("made");
        issue(&authority, &["corp.example", "www.corp.example", "8.8.8.8"]).expect("permitted");
        assert!(issue(&authority, &["corp.example.org"]).is_err());
        assert!(issue(&authority, &["8.8.4.4"]).is_err());
        assert!(Authority::create(&names(&["*.x.example"]), NOW).is_err());
    }

    #[test]
    fn one_that_is_read_again_signs_as_before() {
        let first = Authority::create(&[], NOW).expect("made");
        let again = Authority::from_pem(first.pem(), &first.key_pem()).expect("read");
        issue(&again, &["localhost"]).expect("verified against the same certificate");
        let other = Authority::create(&[], NOW).expect("made");
        assert_eq!(Authority::from_pem(first.pem(), &other.key_pem()).err(), Some(Wrong::Mismatch));
    }

    #[test]
    fn leaves_live_for_ninety_days_and_no_longer_than_their_authority() {
        let authority = Authority::create(&[], NOW).expect("made");
        let leaf = issue(&authority, &["localhost"]).expect("permitted").certificate.validity();
        assert_eq!(leaf, Validity { from: NOW - 3600, until: NOW + 90 * DAY });
        let last = authority.issue(&names(&["localhost"]), NOW + 3649 * DAY).expect("valid");
        assert_eq!(last.certificate.validity().until, authority.validity().until);
        let late = authority.issue(&names(&["localhost"]), NOW + 3651 * DAY);
        assert_eq!(late.err(), Some(Refused::Expired));
    }
}
