//! What can be set for requests to a URL.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use rustls::ClientConfig;

use crate::properties::{Invalid, Properties};
use crate::tls;

/// What is set for requests to a URL.
#[derive(Clone)]
pub(super) struct Settings {
    url: String,
    /// Whether an answer without success is an error. Default yes.
    pub(super) errors: bool,
    /// Longest time until an answer is there as a whole. Default 5 min.
    pub(super) response_timeout: Duration,
    /// Largest body of an answer. Default 100 MiB, which is the most.
    pub(super) body_bytes_max: usize,
    /// A header that says who asks.
    pub(super) token: Option<(HeaderName, HeaderValue)>,
}

impl Settings {
    pub(super) fn new(set: &Properties) -> Result<Settings, Invalid> {
        let settings = Settings {
            url: set.needed("url")?.to_owned(),
            errors: set.text("errorIfNot2XX").is_none() || set.flag("errorIfNot2XX")?,
            response_timeout: set.time("responseTimeout")?.unwrap_or(RESPONSE_TIMEOUT),
            body_bytes_max: size(set)?,
            token: token(set)?,
        };
        settings.uri(None).map_err(|why| Invalid::of("url", why))?;
        Ok(settings)
    }

    /// The URL, with a path behind it.
    pub(super) fn uri(&self, path: Option<&str>) -> Result<Uri, String> {
        let whole = match path {
            Some(path) => format!("{}/{}", self.url.trim_end_matches('/'), path.trim_start_matches('/')),
            None => self.url.clone(),
        };
        let odd = |why: &str| format!("is {whole:?}, {why}");
        let uri: Uri = whole.parse().map_err(|error| odd(&format!("no URL: {error}")))?;
        match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
            _ => Err(odd("no URL of HTTP, such as https://example.com/orders")),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

/// Whom to trust and as whom to appear.
pub(super) fn tls(set: &Properties) -> Result<ClientConfig, Invalid> {
    if let Some(odd) = set.text("MTLSRenegotiation").filter(|text| *text != "RenegotiateNever") {
        let why = format!("is {odd:?}: TLS is never negotiated anew on a connection, `RenegotiateNever`");
        return Err(Invalid::of("MTLSRenegotiation", why));
    }
    let roots = set.text("MTLSRootCA");
    tls::client(tls::Set { roots, own: None })
        .map_err(|why| Invalid::of("MTLSRootCA", format!("cannot be used: {why}")))?;
    let own = match (set.text("MTLSClientCert"), set.text("MTLSClientKey")) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, None) => None,
        (Some(_), None) => return Err(Invalid::of("MTLSClientKey", "is missing beside `MTLSClientCert`")),
        (None, Some(_)) => return Err(Invalid::of("MTLSClientCert", "is missing beside `MTLSClientKey`")),
    };
    tls::client(tls::Set { roots, own })
        .map_err(|why| Invalid::of("MTLSClientCert", format!("cannot be used with its key: {why}")))
}

fn token(set: &Properties) -> Result<Option<(HeaderName, HeaderValue)>, Invalid> {
    let (Some(token), Some(name)) = (set.text("securityToken"), set.text("securityTokenHeader")) else {
        return match set.text("securityToken") {
            Some(_) => Err(Invalid::of("securityTokenHeader", "is missing beside `securityToken`")),
            None => Ok(None),
        };
    };
    let name = HeaderName::try_from(name).map_err(|_| {
        Invalid::of("securityTokenHeader", format!("is {name:?}, which is no name of a header"))
    })?;
    let mut value = HeaderValue::from_str(token)
        .map_err(|_| Invalid::of("securityToken", "has characters that no header can have"))?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// A number of bytes, or one with a unit as Kubernetes writes it.
fn size(set: &Properties) -> Result<usize, Invalid> {
    let Some(text) = set.text("maxResponseBodySize") else { return Ok(BODY_BYTES_MAX) };
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => Some(1),
        "k" | "K" => Some(1_000),
        "Ki" => Some(1 << 10),
        "M" => Some(1_000_000),
        "Mi" => Some(1 << 20),
        _ => None,
    };
    let size = unit.and_then(|unit| digits.parse::<usize>().ok()?.checked_mul(unit));
    match size.filter(|size| (1..=BODY_BYTES_MAX).contains(size)) {
        Some(size) => Ok(size),
        None => {
            let why =
                format!("is {text:?}: from 1 to {BODY_BYTES_MAX} bytes can be set, such as `64Ki` or `10Mi`");
            Err(Invalid::of("maxResponseBodySize", why))
        }
    }
}

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(300);
/// The most that is held of an answer.
const BODY_BYTES_MAX: usize = 100 << 20;
