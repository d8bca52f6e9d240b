//! What can be set for a PostgreSQL. The names are those of Dapr's components.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::connection_string;
use super::tls::{Tls, Verify};
use crate::properties::{Invalid, Properties};
use crate::tls;

/// What is set for a PostgreSQL.
#[derive(Clone)]
pub struct Settings {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// Longest time of anything that is asked, a connection that has to be made first included. Default 20 s.
    pub(super) timeout: Duration,
    /// Most connections. Default 4, or as many as there are processors if these are more.
    pub(super) connections_max: usize,
    /// After which time a connection that nobody uses is not used any more. Default 30 min.
    pub(super) idle_max: Duration,
}

/// What a connection string says beside what the client knows of.
#[derive(Default)]
struct Said {
    mode: Option<String>,
    root: Option<String>,
    chain: Option<String>,
    key: Option<String>,
    connections: Option<usize>,
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        for name in ["useAzureAD", "useAWSIAM"] {
            if set.flag(name)? {
                return Err(Invalid::of(name, "cannot be had: give a user and a password"));
            }
        }
        let (config, said) = config(set)?;
        let (mode, verify) = mode(said.mode.as_deref(), said.root.is_some())?;
        let own = said.chain.as_deref().zip(said.key.as_deref());
        let client = tls::client(tls::Set { roots: said.root.as_deref(), own })
            .map_err(|why| Invalid::of("sslRootCert", format!("or a certificate cannot be used: {why}")))?;
        let timeout = seconds(set, &["timeout", "timeoutInSeconds"])?.unwrap_or(TIMEOUT);
        if timeout < TIMEOUT_MIN {
            return Err(Invalid::of("timeout", "is less than a second"));
        }
        let mut config = config;
        config.ssl_mode(mode).tcp_user_timeout(timeout).application_name("colony");
        if config.get_connect_timeout().is_none_or(|set| *set > timeout) {
            config.connect_timeout(timeout);
        }
        let connections = set.number::<usize>("maxConns")?.filter(|most| *most > 0).or(said.connections);
        Ok(Settings {
            config,
            tls: Tls::new(client, verify),
            timeout,
            connections_max: connections.unwrap_or_else(processors).min(CONNECTIONS_MAX),
            idle_max: seconds(set, &["connectionMaxIdleTime"])?.unwrap_or(IDLE),
        })
    }
}

/// A time such as `1m30s`; a bare number counts seconds. Zero and less are as if nothing were set.
pub(crate) fn seconds(set: &Properties, names: &[&str]) -> Result<Option<Duration>, Invalid> {
    let given: Vec<_> = names.iter().filter_map(|name| set.text(name).map(|text| (*name, text))).collect();
    let Some((name, text)) = given.into_iter().next() else { return Ok(None) };
    let time = match text.parse::<i64>() {
        Ok(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        Err(_) => humantime::parse_duration(text).map_err(|_| {
            Invalid::of(
                name,
                format!("is {text:?}, which is no time such as `20s`, and no number of seconds"),
            )
        })?,
    };
    Ok(Some(time).filter(|time| !time.is_zero()))
}

/// A name that is put into statements as it is: nothing but a name may be in it.
pub(crate) fn name(set: &Properties, setting: &str, default: &str) -> Result<String, Invalid> {
    let text = set.text(setting).unwrap_or(default);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    match text.chars().all(fits) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => {
            let why = format!("is {text:?}: letters, digits, `_` and a `.` behind the schema can be in it");
            Err(Invalid::of(setting, why))
        }
    }
}

fn config(set: &Properties) -> Result<(Config, Said), Invalid> {
    let mut config = Config::new();
    let mut said = Said::default();
    let text = set.text("connectionString");
    let url = set.text("url");
    let mut all = match text.or(url) {
        Some(text) => connection_string::parse(text)?,
        None => Vec::new(),
    };
    // What is set by itself goes before what the string says.
    for name in ["host", "hostaddr", "port", "database", "user", "password", "sslRootCert"] {
        if let Some(text) = set.text(name) {
            let name = if name == "database" { "dbname".to_owned() } else { name.to_ascii_lowercase() };
            all.retain(|(other, _)| *other != name && (name != "dbname" || other != "database"));
            all.push((name, text.to_owned()));
        }
    }
    if all.is_empty() {
        return Err(Invalid::of("connectionString", "is missing"));
    }
    for (name, text) in all {
        apply(&mut config, &mut said, &name, text)
            .map_err(|why| Invalid::of("connectionString", format!("has a wrong `{name}`: {why}")))?;
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(Invalid::of("connectionString", "has no `host`"));
    }
    if config.get_user().is_none() {
        return Err(Invalid::of("connectionString", "has no `user`"));
    }
    Ok((config, said))
}

fn apply(config: &mut Config, said: &mut Said, name: &str, text: String) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| "it is no number".to_owned());
    match name {
        "host" => drop(config.host(text)),
        "hostaddr" => drop(config.hostaddr(text.parse().map_err(|_| "it is no address of IP")?)),
        "port" => drop(config.port(text.parse().map_err(|_| "it is no port")?)),
        "user" => drop(config.user(text)),
        "password" => drop(config.password(text)),
        "dbname" | "database" => drop(config.dbname(text)),
        "options" => drop(config.options(text)),
        "connect_timeout" => match number(&text)? {
            0 => {}
            seconds => drop(config.connect_timeout(Duration::from_secs(seconds))),
        },
        "target_session_attrs" => drop(config.target_session_attrs(match text.as_str() {
            "any" => TargetSessionAttrs::Any,
            "read-write" => TargetSessionAttrs::ReadWrite,
            "read-only" => TargetSessionAttrs::ReadOnly,
            _ => return Err("`any`, `read-write` and `read-only` can be set".to_owned()),
        })),
        "sslmode" => said.mode = Some(text),
        "sslrootcert" => said.root = Some(text),
        "sslcert" => said.chain = Some(text),
        "sslkey" => said.key = Some(text),
        "pool_max_conns" => said.connections = Some(number(&text)? as usize).filter(|most| *most > 0),
        // Ours is told; the rest tunes the pool of Dapr's client.
        "application_name" => {}
        _ if name.starts_with("pool_") => {}
        _ => return Err("there is no such word".to_owned()),
    }
    Ok(())
}

/// Whether TLS is spoken, and how far the server's certificate is looked at, as libpq has it.
fn mode(text: Option<&str>, has_root: bool) -> Result<(SslMode, Verify), Invalid> {
    Ok(match text.unwrap_or("prefer") {
        "disable" => (SslMode::Disable, Verify::Nothing),
        "allow" | "prefer" => (SslMode::Prefer, Verify::Nothing),
        "require" if !has_root => (SslMode::Require, Verify::Nothing),
        "require" | "verify-ca" | "verify-full" => (SslMode::Require, Verify::All),
        odd => {
            let why = format!("has the `sslmode` {odd:?}, which is none");
            return Err(Invalid::of("connectionString", why));
        }
    })
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(CONNECTIONS, usize::from).max(CONNECTIONS)
}

/// Where it is, without who asks.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => self.config.get_hostaddrs().first().map_or_else(String::new, ToString::to_string),
        };
        write!(f, "postgresql at {host}:{}", self.config.get_ports().first().unwrap_or(&PORT))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({self})")
    }
}

const PORT: u16 = 5432;
const TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 4;
/// More than any server takes from one of many.
const CONNECTIONS_MAX: usize = 1_000;
const IDLE: Duration = Duration::from_secs(30 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(all: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::new(&Properties::from_iter(all.iter().copied())).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn a_connection_string_and_single_settings_are_put_together() {
        let string =
            ("connectionString", "host=a user=u password=hush port=5433 database=d pool_max_conns=7");
        let settings = set(&[string]).expect("it is right");
        assert_eq!((settings.to_string(), settings.connections_max), ("postgresql at a:5433".to_owned(), 7));
        assert_eq!((settings.config.get_dbname(), settings.timeout), (Some("d"), TIMEOUT));
        assert!(!format!("{settings:?}").contains("hush"));
        let over = [string, ("host", "b"), ("database", "e"), ("maxConns", "2"), ("timeoutInSeconds", "5")];
        let settings = set(&over).expect("it is right");
        assert_eq!(
            (settings.to_string(), settings.config.get_dbname()),
            ("postgresql at b:5433".to_owned(), Some("e"))
        );
        assert_eq!((settings.connections_max, settings.timeout), (2, Duration::from_secs(5)));
    }

    #[test]
    fn what_cannot_be_had_is_refused_without_the_password() {
        let string = |text| ("connectionString", text);
        for odd in [
            &[][..],
            &[string("host=a")],
            &[string("user=u password=hush")],
            &[string("host=a user=u password=hush port=many")],
            &[string("host=a user=u password=hush wrong=1")],
            &[string("host=a user=u password=hush sslmode=perhaps")],
            &[string("host=a user=u sslmode=verify-full sslrootcert=/nowhere.pem")],
            &[string("host=a user=u password=hush"), ("useAWSIAM", "true")],
            &[string("host=a user=u password=hush"), ("timeout", "10ms")],
            &[string("host=a user=u password=hush"), ("timeout", "soon")],
        ] {
            assert!(!set(odd).map(drop).expect_err("it is refused").contains("hush"));
        }
    }

    #[test]
    fn a_certificate_is_looked_at_as_the_mode_says() {
        let of = |text: Option<&str>, has_root| mode(text, has_root).expect("a mode");
        assert_eq!(of(None, false), (SslMode::Prefer, Verify::Nothing));
        assert_eq!(of(Some("require"), false), (SslMode::Require, Verify::Nothing));
        assert_eq!(of(Some("require"), true), (SslMode::Require, Verify::All));
        assert_eq!(of(Some("verify-ca"), false), (SslMode::Require, Verify::All));
    }
}
