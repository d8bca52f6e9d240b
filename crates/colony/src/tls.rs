//! The gateway's certificates: read from the files that the manifest names, or signed by the
//! development CA.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certs::{Authority, Certificate, Wrong};
use manifest::valid;
use mesh::config::Tls;

use crate::authority::{self, Stored, now};
use crate::failure::Failure;

/// What the development certificate is for in any case.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What the gateway of a manifest shows its clients. None: it speaks cleartext.
pub(crate) fn load(manifest: &valid::Manifest) -> Result<Option<Tls>, Failure> {
    let certificates = match manifest.gateway.as_ref().and_then(|gateway| gateway.tls.as_ref()) {
        None => return Ok(None),
        Some(valid::Tls::Files(pairs)) => files(&manifest.root, pairs)?,
        Some(valid::Tls::Dev) => dev(&Stored::find_or_create()?, hosts(manifest)).map_err(no_dev)?,
    };
    Tls::new(certificates).map(Some).map_err(Failure::new)
}

/// One certificate for the addresses, which those get who ask for no name, and one for the names: BoringSSL,
/// and with it gRPC's C core, takes no certificate that has an address by an authority that is constrained
/// to some, whatever name it is for.
fn dev(stored: &Stored, hosts: Vec<String>) -> Result<Vec<Certificate>, Failure> {
    let (addresses, names): (Vec<_>, Vec<_>) =
        hosts.into_iter().partition(|host| host.parse::<IpAddr>().is_ok());
    [addresses, names].iter().map(|some| Ok(stored.issue(some)?.certificate)).collect()
}

/// Whether [`load`] would succeed, without making an authority.
pub(crate) fn check(manifest: &valid::Manifest) -> Result<(), Failure> {
    match manifest.gateway.as_ref().and_then(|gateway| gateway.tls.as_ref()) {
        None => Ok(()),
        Some(valid::Tls::Files(pairs)) => files(&manifest.root, pairs).map(|_| ()),
        Some(valid::Tls::Dev) => {
            let authority = match Stored::find()? {
                Some(stored) => stored.authority,
                None => Authority::create(&[], now()).map_err(|refused| Failure::new(refused.to_string()))?,
            };
            authority::issue(&authority, &hosts(manifest)).map(|_| ()).map_err(no_dev)
        }
    }
}

/// The files that a change of is a change of the gateway's certificates.
pub(crate) fn watched(manifest: &valid::Manifest) -> Vec<PathBuf> {
    match manifest.gateway.as_ref().and_then(|gateway| gateway.tls.as_ref()) {
        Some(valid::Tls::Files(pairs)) => pairs
            .iter()
            .flat_map(|pair| [&pair.cert, &pair.key])
            .map(|file| manifest.root.join(file))
            .collect(),
        Some(valid::Tls::Dev) => authority::certificate().into_iter().collect(),
        None => Vec::new(),
    }
}

/// `2027-02-19`.
pub(crate) fn date(seconds: u64) -> String {
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string().chars().take("2027-02-19".len()).collect()
}

/// All that is wrong with the files of all pairs, or what is in them.
fn files(root: &Path, pairs: &[valid::TlsFiles]) -> Result<Vec<Certificate>, Failure> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for pair in pairs {
        match read(root, pair) {
            Ok(certificate) => good.push(certificate),
            Err(failure) => wrong.push(failure),
        }
    }
    if wrong.is_empty() {
        return Ok(good);
    }
    let messages: Vec<&str> = wrong.iter().map(|failure| failure.message.as_str()).collect();
    let failure = Failure::new(format!("gateway.tls: {}", messages.join("; ")));
    Err(wrong.iter().flat_map(|failure| &failure.hints).fold(failure, |all, hint| {
        match all.hints.contains(hint) {
            true => all,
            false => all.hint(hint),
        }
    }))
}

fn read(root: &Path, pair: &valid::TlsFiles) -> Result<Certificate, Failure> {
    let (cert, key) = (pair.cert.display(), pair.key.display());
    let (chain, secret) = (contents(root, &pair.cert)?, contents(root, &pair.key)?);
    let certificate = Certificate::from_pem(&chain, &secret).map_err(|wrong| match wrong {
        Wrong::NoCertificate | Wrong::Certificate(_) => Failure::new(format!("{cert}: {wrong}"))
            .hint("`cert` is a file in PEM: the server's certificate first, then those between it and its authority"),
        Wrong::NoKey | Wrong::Key(_) => Failure::new(format!("{key}: {wrong}"))
            .hint("`key` is a file in PEM with a private key: RSA, ECDSA (P-256, P-384) or Ed25519"),
        Wrong::EncryptedKey => Failure::new(format!("{key}: {wrong}"))
            .hint(format!("nobody is there to type a pass phrase: `openssl pkey -in {key} -out NEW` writes it without")),
        Wrong::Mismatch => Failure::new(format!("{key}: {wrong} in {cert}"))
            .hint("name the two that were made together; `cert` has the server's own certificate first"),
    })?;
    let (validity, now) = (certificate.validity(), now());
    match () {
        () if now > validity.until => Err(Failure::new(format!("{cert}: it expired on {}", date(validity.until)))
            .hint("renew it where it came from; a certificate for development comes from `colony certs NAME`, or from `tls: dev`")),
        () if now < validity.from => {
            Err(Failure::new(format!("{cert}: it is valid only from {}", date(validity.from)))
                .hint("see whether this machine's clock is right"))
        }
        () => Ok(certificate),
    }
}

fn contents(root: &Path, file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(root.join(file)).map_err(|error| {
        let failure = Failure::new(format!("cannot read {}: {error}", file.display()));
        match error.kind() {
            io::ErrorKind::NotFound => failure
                .hint("paths are relative to the manifest")
                .hint("`tls: dev` needs no files: it uses the development CA"),
            io::ErrorKind::PermissionDenied => {
                failure.hint("it must be readable for the user that runs `colony up`")
            }
            _ => failure,
        }
    })
}

/// What the development certificate of a manifest is for.
pub(crate) fn hosts(manifest: &valid::Manifest) -> Vec<String> {
    let routes = manifest.gateway.iter().flat_map(|gateway| &gateway.routes);
    let exact = routes.filter_map(|route| route.host.as_deref()).filter(|host| !host.starts_with("*."));
    let more: BTreeSet<&str> = exact.filter(|host| !LOCAL.contains(host)).collect();
    LOCAL.into_iter().chain(more).map(str::to_owned).collect()
}

fn no_dev(failure: Failure) -> Failure {
    Failure { message: format!("gateway.tls: {}", failure.message), ..failure }
}
