//! What can be set for a Redis.
//!
//! The names are those of Dapr's component. What would change what a component means and cannot be had here is refused;
//! what only tunes another client's pool is not asked for, and so told of as unused.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError,
};

use crate::properties::{Invalid, Properties};

/// What is set for a Redis.
#[derive(Clone)]
pub struct Settings {
    host: String,
    port: u16,
    username: Option<String>,
    password: Option<String>,
    pub(super) database: i64,
    /// How long a connection may take to be made. Default 5 s.
    pub(super) dial_timeout: Duration,
    /// How long an answer may take. Default 3 s.
    pub(super) read_timeout: Duration,
    /// How often a connection is tried again before those who wait for it are told. Default 3.
    pub(super) retries: usize,
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        refuse(set)?;
        let (host, port) = address(set.needed("redisHost")?)?;
        Ok(Settings {
            host,
            port,
            username: set.text("redisUsername").map(str::to_owned),
            password: set.text("redisPassword").map(str::to_owned),
            database: set.number::<u16>("redisDB")?.unwrap_or(0).into(),
            dial_timeout: set.time("dialTimeout")?.unwrap_or(DIAL_TIMEOUT),
            read_timeout: set.time("readTimeout")?.unwrap_or(READ_TIMEOUT),
            retries: set.number::<u8>("redisMaxRetries")?.map_or(RETRIES, usize::from),
        })
    }

    pub(super) fn connection(&self) -> Result<ConnectionInfo, RedisError> {
        // The third version of the protocol says when a connection is lost, also while nobody asks anything.
        let mut login =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.database);
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        let address = ConnectionAddr::Tcp(self.host.clone(), self.port);
        // What was sent and is taken by nobody, since the way there is gone, does not keep the connection for minutes.
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(self.longest());
        Ok(address.into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp))
    }

    /// Longest time from a question to its answer, a connection that has to be made first included.
    pub(super) fn longest(&self) -> Duration {
        self.dial_timeout + self.read_timeout
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// No password is printed.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("redis", &self.to_string()).finish_non_exhaustive()
    }
}

fn refuse(set: &Properties) -> Result<(), Invalid> {
    if let Some(kind) = set.text("redisType")
        && kind != "node"
    {
        return Err(Invalid::of("redisType", format!("is {kind:?}: only a single `node` is spoken to")));
    }
    for (name, instead) in [
        ("enableTLS", "only plain TCP is spoken; have it end in a proxy beside Colony, such as stunnel"),
        ("failover", "sentinels are not asked; give the address of the node that can be written to"),
        ("useEntraID", "give `redisUsername` and `redisPassword`"),
    ] {
        if set.flag(name)? {
            return Err(Invalid::of(name, format!("cannot be had: {instead}")));
        }
    }
    Ok(())
}

fn address(text: &str) -> Result<(String, u16), Invalid> {
    let odd = |why: &str| Invalid::of("redisHost", format!("is {text:?}, {why}"));
    if text.contains(',') {
        return Err(odd("which are several: only a single node is spoken to"));
    }
    if text.contains("://") {
        return Err(odd("which is a URL: an address such as `localhost:6379` is wanted"));
    }
    // An address of IPv6 alone has colons, too.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port.map_or(Ok(PORT), str::parse).map_err(|_| odd("whose port is none"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(odd("which has no host"));
    }
    Ok((host.to_owned(), port))
}

/// Where a Redis is served if nothing else is said.
const PORT: u16 = 6379;
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(3);
const RETRIES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn set(more: &[(&str, &str)]) -> Result<Settings, String> {
        let all = [("redisHost", "localhost")].into_iter().chain(more.iter().copied());
        Settings::new(&Properties::from_iter(all)).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn an_address_is_a_host_and_mostly_a_port() {
        let address = |text| address(text).ok();
        assert_eq!(address("redis"), Some(("redis".to_owned(), 6379)));
        assert_eq!(address("redis:7000"), Some(("redis".to_owned(), 7000)));
        assert_eq!(address("[::1]:7000"), Some(("::1".to_owned(), 7000)));
        assert_eq!(address("::1"), Some(("::1".to_owned(), 6379)));
        for odd in ["a:1,b:2", "redis://a:1", "a:port", ":6379", "a:70000"] {
            assert_eq!(address(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        for (name, text) in
            [("redisType", "cluster"), ("enableTLS", "true"), ("failover", "true"), ("useEntraID", "true")]
        {
            let refused = set(&[(name, text)]).expect_err("it means something else");
            assert!(refused.starts_with(&format!("`{name}` ")), "{refused}");
        }
        assert!(set(&[("redisType", "node"), ("enableTLS", "false"), ("failover", "")]).is_ok());
    }

    #[test]
    fn what_is_not_set_is_as_with_dapr() {
        let settings = set(&[]).expect("an address is enough");
        assert_eq!((settings.dial_timeout, settings.read_timeout), (DIAL_TIMEOUT, READ_TIMEOUT));
        assert_eq!((settings.database, settings.to_string()), (0, "localhost:6379".to_owned()));
    }

    #[test]
    fn a_password_is_not_printed() {
        let settings = set(&[("redisPassword", "hidden"), ("redisUsername", "who")]).expect("it is right");
        assert!(!format!("{settings:?} {settings}").contains("hidden"));
    }
}
