//! The parts of HTTP that a manifest speaks of: URLs, addresses, hosts, paths, headers, methods.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::units::Wrong;
use crate::valid::{PathPattern, Segment};
use crate::yaml::clip;

/// An `http` or `https` URL in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub tls: bool,
    /// Lower case; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// Without a trailing slash; may be empty.
    pub path: String,
    /// The name of `http+srv://NAME`; the host is then the domain in it.
    pub srv: Option<String>,
}

impl Url {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether the host is this machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
    }
}

/// `https://payments.example/v1`.
pub(crate) fn url(text: &str) -> Result<Url, Wrong> {
    let wrong = || Wrong::new(format!("`{}` is not a URL", clip(text)));
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(match authority(text.split('/').next().unwrap_or_default(), 80) {
            Ok(_) => wrong().help(format!("write `http://{}`", clip(text))),
            Err(_) => wrong().help("write it like `http://127.0.0.1:3000` or `https://payments.example/v1`"),
        });
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => {
            return Err(Wrong::new(format!("`{}` is not a scheme that Colony speaks", clip(scheme)))
                .help("write `http://` or `https://`"));
        }
    };
    if let Some(part) = rest.chars().find(|c| matches!(c, '?' | '#' | '@')) {
        let name = match part {
            '?' => "a query",
            '#' => "a fragment",
            _ => "a user name",
        };
        return Err(Wrong::new(format!("a URL here cannot have {name}"))
            .help(format!("leave out the part with `{part}`")));
    }
    let slash = rest.find('/').unwrap_or(rest.len());
    let (host, port) = authority(&rest[..slash], if tls { 443 } else { 80 })?;
    let path = rest[slash..].trim_end_matches('/');
    if path.chars().any(|c| !c.is_ascii_graphic()) || path.contains("//") {
        return Err(
            wrong().help("its path has a blank, a doubled slash or a character that needs percent-encoding")
        );
    }
    Ok(Url { tls, host, port, path: path.to_owned(), srv: None })
}

/// The same, or `http+srv://_http._tcp.shop.example`: the instances are where SRV records say, and the host is
/// the domain. A certificate for whatever name the DNS says would prove nothing (RFC 9525 section 6.1).
pub(crate) fn external_url(text: &str) -> Result<Url, Wrong> {
    let Some((scheme, rest)) = text.split_once("+srv://") else { return url(text) };
    let given = url(&format!("{scheme}://{rest}"))?;
    if rest.split('/').next().is_some_and(|authority| authority.contains(':')) {
        return Err(Wrong::new("SRV records say the port, too").help("leave it out of the URL"));
    }
    let labels = given.host.split('.').skip_while(|label| label.starts_with('_'));
    let host = labels.collect::<Vec<_>>().join(".");
    if host.is_empty() || host.parse::<IpAddr>().is_ok() {
        return Err(Wrong::new(format!("`{}` is not the name of a service", clip(&given.host)))
            .help("write it like `http+srv://_http._tcp.shop.example`"));
    }
    Ok(Url { srv: Some(given.host), host, ..given })
}

/// A DNS server: `10.0.0.2`, or with another port than 53 `10.0.0.2:5353`.
pub(crate) fn resolver(text: &str) -> Result<SocketAddr, Wrong> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let fine = text.parse().or_else(|_| bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    fine.ok().filter(|server| server.port() > 0).ok_or_else(|| {
        Wrong::new(format!("`{}` is not the address of a DNS server", clip(text)))
            .help("write an IP address, `10.0.0.2`, or one with a port, `127.0.0.1:5353`")
    })
}

fn authority(text: &str, default: u16) -> Result<(String, u16), Wrong> {
    let wrong = || {
        Wrong::new(format!("`{}` is not a host and port", clip(text)))
            .help("write it like `127.0.0.1:3000`, `[::1]:3000` or `payments.example`")
    };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => {
            let ip: std::net::Ipv6Addr = host.parse().map_err(|_| wrong())?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(wrong)?) };
            (ip.to_string(), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (dns_name(host).ok_or_else(wrong)?, Some(port)),
            None => (dns_name(text).ok_or_else(wrong)?, None),
        },
    };
    let port = match port {
        None => default,
        Some(port) => number(port).filter(|port| *port > 0).ok_or_else(|| {
            Wrong::new(format!("`{}` is not a port", clip(port))).help("a port is a number from 1 to 65535")
        })?,
    };
    Ok((host, port))
}

/// A port's digits; no sign, no blanks.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.chars().all(|c| c.is_ascii_digit()))
}

/// A host name in lower case, if it is one. An IPv4 address is one too.
fn dns_name(text: &str) -> Option<String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = text.split('.').next_back().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    let fits =
        text.len() <= 253 && text.split('.').all(label) && (!numeric || text.parse::<Ipv4Addr>().is_ok());
    fits.then(|| text.to_ascii_lowercase())
}

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `8080` (loopback) or `:8080` (every address).
pub(crate) fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    let wrong = || {
        Wrong::new(format!("`{}` is not an address to listen on", clip(text)))
            .help("write a port, `8080`, or an IP address and a port, `127.0.0.1:8080` or `0.0.0.0:8080`")
    };
    let digits = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    let port = number(port).ok_or_else(|| match digits {
        true => {
            Wrong::new(format!("there is no port {}", clip(port))).help("a port is a number from 1 to 65535")
        }
        false => wrong(),
    })?;
    let ip = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "" | "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        host => host.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| wrong())?,
    };
    Ok(SocketAddr::new(ip, port))
}

/// `shop.example` or `*.shop.example`, in lower case.
pub(crate) fn host(text: &str) -> Result<String, Wrong> {
    let (star, name) = match text.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text),
    };
    if let Some(name) = dns_name(name) {
        return Ok(format!("{star}{name}"));
    }
    let wrong = Wrong::new(format!("`{}` is not a host", clip(text)));
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split(['/', ':']).next().unwrap_or_default();
    Err(match dns_name(bare) {
        Some(bare) => wrong.help(format!("write only the name: `{bare}`")),
        None if text == "*" => wrong.help("leave `host` out to match every host"),
        None => wrong.help("write a name, `shop.example`, or one with a wildcard in front, `*.shop.example`"),
    })
}

/// A path pattern, with the names that its segments have.
#[derive(Clone, Debug)]
pub(crate) struct NamedPath {
    pub pattern: PathPattern,
    /// One a segment; None: it has none.
    pub captures: Vec<Option<String>>,
}

/// A path pattern, as [`path`] reads it.
pub(crate) fn named_path(text: &str) -> Result<NamedPath, Wrong> {
    let pattern = path(text)?;
    let segments = text.split('/').skip(1).take(pattern.segments.len());
    let captures = segments.map(|segment| capture(segment).map(str::to_owned)).collect();
    Ok(NamedPath { pattern, captures })
}

/// The name in `{name}`, if it is one.
pub(crate) fn capture(text: &str) -> Option<&str> {
    let named = text.strip_prefix('{')?.strip_suffix('}')?;
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!named.is_empty() && named.chars().all(fine)).then_some(named)
}

/// A path pattern: `/`, `/x/*/y`, `/x/{id}`, `/x/**`.
pub(crate) fn path(text: &str) -> Result<PathPattern, Wrong> {
    let wrong = || Wrong::new(format!("`{}` is not a path pattern", clip(text)));
    let Some(inside) = text.strip_prefix('/') else {
        let instead = text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|slash| &rest[slash..]));
        return Err(match instead {
            Some(path) => {
                wrong().help(format!("write only the path, `{}`, and the host under `host`", clip(path)))
            }
            None => {
                let path = format!("/{text}");
                let fine = |path: &&str| self::path(path).is_ok();
                wrong().help(match [path.as_str(), path.trim_end_matches('/')].into_iter().find(fine) {
                    Some(path) => format!("a path begins with a slash: write `{}`", clip(path)),
                    None => "a path begins with a slash: `/x`, `/x/{id}` or `/x/**`".to_owned(),
                })
            }
        });
    };
    if inside.is_empty() {
        return Ok(PathPattern { segments: Vec::new(), rest: false });
    }
    if let Some(bare) = text.strip_suffix('/') {
        return Err(wrong()
            .help(format!("leave out the last slash: `{0}`, or `{0}/**` for all below it", clip(bare))));
    }
    let (inside, rest) = match inside.strip_suffix("**") {
        Some("") => ("", true),
        Some(before) if before.ends_with('/') => (&before[..before.len() - 1], true),
        _ => (inside, false),
    };
    let segments = if inside.is_empty() && rest {
        Vec::new()
    } else {
        inside.split('/').map(segment).collect::<Result<_, _>>()?
    };
    Ok(PathPattern { segments, rest })
}

fn segment(text: &str) -> Result<Segment, Wrong> {
    match text {
        "*" => Ok(Segment::Any),
        "" => Err(Wrong::new("the path has an empty segment").help("leave out the doubled slash")),
        "**" => Err(Wrong::new("`**` can only be the last segment").help("use `*` for one segment")),
        "." | ".." => Err(Wrong::new(format!("a path cannot have the segment `{text}`"))),
        _ if capture(text).is_some() => Ok(Segment::Any),
        _ if text.contains(['*', '{', '}']) => {
            Err(Wrong::new(format!("`{}` mixes text and a wildcard", clip(text)))
                .help("a wildcard stands for a whole segment: `/x/*/y`, `/x/{id}` or, at the end, `/x/**`"))
        }
        _ if text.contains(['?', '#']) => Err(Wrong::new("a path pattern has no query or fragment")
            .help("leave out what begins with `?` or `#`")),
        _ if text.chars().all(|c| c.is_ascii_graphic()) => Ok(Segment::Literal(text.to_owned())),
        _ => Err(Wrong::new(format!("`{}` has a character that cannot stand in a path", clip(text)))
            .help("percent-encode it, as a browser would: a blank is `%20`")),
    }
}

/// The text of a path pattern that [`path`] reads back; wildcards lose their names.
pub(crate) fn show_path(pattern: &PathPattern) -> String {
    let mut text: String = pattern
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(literal) => format!("/{literal}"),
            Segment::Any => "/*".to_owned(),
        })
        .collect();
    if pattern.rest {
        text += "/**";
    }
    if text.is_empty() { "/".to_owned() } else { text }
}

/// A header's name in lower case.
pub(crate) fn header_name(text: &str) -> Result<String, Wrong> {
    match !text.is_empty() && text.len() <= 256 && text.bytes().all(is_token) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(Wrong::new(format!("`{}` cannot be the name of a header", clip(text)))
            .help("a header's name has letters, digits and dashes: `x-api-key`")),
    }
}

/// A cookie's name, which tells capitals from small letters.
pub(crate) fn cookie_name(text: &str) -> Result<String, Wrong> {
    match !text.is_empty() && text.len() <= 256 && text.bytes().all(is_token) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("`{}` cannot be the name of a cookie", clip(text)))
            .help("a cookie's name has letters, digits, dashes and underscores: `session_id`")),
    }
}

/// A character of an RFC 9110 token.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A header's value: visible characters and blanks.
pub(crate) fn header_value(text: &str) -> Result<String, Wrong> {
    match text.chars().all(|c| !c.is_control() || c == '\t') {
        true => Ok(text.trim().to_owned()),
        false => Err(Wrong::new("a header's value cannot have line ends or control characters")),
    }
}

/// A method in upper case.
pub(crate) fn method(text: &str) -> Result<String, Wrong> {
    let upper = text.to_ascii_uppercase();
    if METHODS.contains(&upper.as_str()) {
        return match upper == text {
            true => Ok(upper),
            false => {
                Err(Wrong::new("methods are written in capital letters").help(format!("write `{upper}`")))
            }
        };
    }
    if upper == "CONNECT" {
        return Err(Wrong::new("the gateway forwards no `CONNECT`: it is no tunnel")
            .help(format!("the methods are {}", METHODS.join(", "))));
    }
    let near = crate::nearest::nearest(&upper, METHODS.iter().copied());
    let wrong = Wrong::new(format!("`{}` is not an HTTP method", clip(text)));
    Err(match near {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong.help(format!("the methods are {}", METHODS.join(", "))),
    })
}

/// The methods of RFC 9110 and RFC 5789, but CONNECT, which the gateway refuses.
pub(crate) const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
