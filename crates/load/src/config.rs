//! What a run is told: where to, how fast, for how long. Refused here, in a sentence, when it can't work.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use http::uri::{Authority, Uri};

use crate::scenario::Scenario;

/// Everything one run needs. Construct with [`Config::new`] and set what differs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The base address; a step's path is appended to the target's own.
    pub target: Target,
    /// Arrivals per second, all steps together. Default 100; above 0, at most a million.
    pub rate: f64,
    /// How long arrivals are measured. Default 10 s; must be above zero.
    pub duration: Duration,
    /// Arrivals at full rate before the measured ones, counted nowhere. Default 0: none.
    pub warmup: Duration,
    /// Connections open at once. Default 512, below the usual limit of descriptors. A request that
    /// finds all of them busy waits for one and its latency counts, so a low figure measures the
    /// queue in the generator.
    pub connections_max: usize,
    /// The longest a request may take, from its intended send time. Default 10 s. It also bounds
    /// the memory of a run: at most `rate` x `timeout` requests are under way.
    pub timeout: Duration,
    /// Decides which journeys and which values are drawn, so that a run can be repeated. What must
    /// be new in every run (`{unique}`) does not come from it.
    pub seed: u64,
    /// What to ask for. Default: `GET` the target itself.
    pub scenario: Scenario,
}

impl Config {
    /// `GET target` a hundred times a second for ten seconds.
    pub fn new(target: Target) -> Config {
        Config {
            target,
            rate: 100.0,
            duration: Duration::from_secs(10),
            warmup: Duration::ZERO,
            connections_max: 512,
            timeout: Duration::from_secs(10),
            seed: 1,
            scenario: Scenario::get(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::Config(what.to_owned()));
        if !(self.rate > 0.0 && self.rate <= RATE_MAX) {
            return refuse(&format!("the rate must lie above 0 and be at most {RATE_MAX} requests a second"));
        }
        if self.duration.is_zero() || self.duration + self.warmup > RUN_MAX {
            return refuse("the duration must lie above 0 and, with the warm-up, be at most a week");
        }
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            return refuse("the timeout must lie above 0 and be at most an hour");
        }
        if self.connections_max == 0 {
            return refuse("at least one connection is needed");
        }
        Ok(())
    }
}

/// Where requests go: `http://host[:port][/path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    authority: Authority,
    path: String,
}

impl Target {
    /// Reads an address. Only `http` is spoken; an address without a scheme is taken as `http`.
    ///
    /// # Errors
    /// [`Error::Target`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Target, Error> {
        let refuse = |why: &str| Error::Target { text: text.to_owned(), why: why.to_owned() };
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = full.parse().map_err(|error| refuse(&format!("{error}")))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(refuse("the load generator speaks http only, not https")),
            _ => return Err(refuse("an address starts with http://")),
        }
        let authority = uri.authority().cloned().ok_or_else(|| refuse("it names no host"))?;
        if authority.host().is_empty() || authority.as_str().contains('@') {
            return Err(refuse("it needs a host and takes no user name"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Target { authority, path })
    }

    /// The value of the `Host` header.
    pub(crate) fn host(&self) -> &str {
        self.authority.as_str()
    }

    /// The request target for a step's path; an empty one is the address as it was given.
    pub(crate) fn path(&self, step: &str) -> String {
        match step {
            "" => self.path.clone(),
            step => format!("{}{step}", self.path.split('?').next().unwrap_or("").trim_end_matches('/')),
        }
    }

    /// Looks the host up, once for the whole run, so that no name server is measured.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = self.authority.port_u16().unwrap_or(80);
        let fail = |why: String| Error::Resolve { host: host.to_owned(), why };
        let found: Vec<_> =
            (host, port).to_socket_addrs().map_err(|error| fail(error.to_string()))?.collect();
        if found.is_empty() { Err(fail("it has no address".to_owned())) } else { Ok(found) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, if self.path == "/" { "" } else { &self.path })
    }
}

/// Why a run could not begin. What goes wrong during a run is in its [`Report`](crate::Report).
#[derive(Debug)]
pub enum Error {
    /// The address can't be used.
    Target {
        /// As it was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A setting is out of its range.
    Config(String),
    /// The host has no address.
    Resolve {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        why: String,
    },
    /// The operating system refused what the generator itself needs.
    System {
        /// What was being done.
        doing: &'static str,
        /// What it answered.
        source: std::io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Target { text, why } => write!(f, "cannot use `{text}` as a target: {why}"),
            Error::Config(why) => f.write_str(why),
            Error::Resolve { host, why } => write!(f, "cannot find an address for `{host}`: {why}"),
            Error::System { doing, .. } => write!(f, "cannot {doing}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// More than one core can send.
const RATE_MAX: f64 = 1_000_000.0;
const RUN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// What the histograms hold.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steps_path_is_appended_to_the_targets() {
        let target = Target::parse("http://localhost:8080/shop/").unwrap();
        assert_eq!(target.path("/api/cart"), "/shop/api/cart");
        assert_eq!(target.path(""), "/shop/");
        assert_eq!(target.host(), "localhost:8080");
        assert_eq!(Target::parse("127.0.0.1:80").unwrap().path("/a?q=1"), "/a?q=1");
    }

    #[test]
    fn only_http_is_a_target() {
        for (text, why) in [
            ("https://shop.example", "speaks http only"),
            ("ftp://shop.example", "starts with http://"),
            ("http://user@shop.example", "takes no user name"),
            ("http://", "cannot use"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let good = Config::new(Target::parse("localhost").unwrap());
        assert!(good.check().is_ok());
        assert!(Config { rate: 0.0, ..good.clone() }.check().is_err());
        assert!(Config { rate: f64::NAN, ..good.clone() }.check().is_err());
        assert!(Config { duration: Duration::ZERO, ..good.clone() }.check().is_err());
        assert!(Config { connections_max: 0, ..good }.check().is_err());
    }
}
