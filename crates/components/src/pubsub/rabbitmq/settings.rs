//! What can be set for a RabbitMQ.
//!
//! The names are those of Dapr's component. What would lose messages unless it were set otherwise is the other way round
//! here: exchanges and queues are durable, queues stay when nobody consumes, and messages are persistent. What would change
//! what a component means is refused.

use std::fmt;
use std::time::Duration;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

use crate::postgres::seconds;
use crate::properties::{Invalid, Properties};

/// What is set for a RabbitMQ.
#[derive(Clone)]
pub struct Settings {
    pub(super) uri: AMQPUri,
    /// What the connection is called in the server's lists. Default `colony`.
    pub(super) client_name: String,
    /// Whether exchanges and queues outlive the server's restart. Default: yes.
    pub(super) durable: bool,
    /// Whether they go with the last who uses them. Default: no.
    pub(super) delete_when_unused: bool,
    /// Whether messages are written to the disk. Default: yes.
    pub(super) persistent: bool,
    /// How many messages a subscription holds at most. Default: as many as it needs.
    pub(super) prefetch: Option<u16>,
    /// How long messages live that say nothing themselves. Default: for ever.
    pub(super) ttl: Option<Duration>,
    /// Most messages of a queue, and most bytes; the oldest go. Default: no bound.
    pub(super) queue_max: Option<u32>,
    pub(super) queue_bytes_max: Option<u32>,
    /// Longest wait before a connection is tried again. Default 3 s.
    pub(super) reconnect_wait: Duration,
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        refuse(set)?;
        let mut uri = uri(set)?;
        let heartbeat = seconds(set, &["heartBeat"])?.unwrap_or(HEARTBEAT).as_secs().max(1);
        uri.query.heartbeat = Some(u16::try_from(heartbeat).unwrap_or(u16::MAX));
        let delivery_mode = set.number::<u8>("deliveryMode")?;
        if let Some(odd) = delivery_mode.filter(|mode| *mode > 2) {
            return Err(Invalid::of("deliveryMode", format!("is {odd}: 2 is persistent, 0 and 1 are not")));
        }
        let prefetch = set.number::<u16>("prefetchCount")?.filter(|count| *count > 0);
        Ok(Settings {
            uri,
            client_name: set.text("clientName").unwrap_or("colony").to_owned(),
            durable: set.text("durable").is_none() || set.flag("durable")?,
            delete_when_unused: set.flag("deletedWhenUnused")?,
            persistent: delivery_mode.is_none_or(|mode| mode == 2),
            prefetch: if is_single(set)? { Some(1) } else { prefetch },
            ttl: seconds(set, &["ttlInSeconds"])?,
            queue_max: set.number("maxLen")?,
            queue_bytes_max: set.number("maxLenBytes")?,
            reconnect_wait: seconds(set, &["reconnectWaitSeconds"])?.unwrap_or(RECONNECT_WAIT),
        })
    }
}

/// Where it is, and nothing that is secret.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPAuthority { host, port, .. } = &self.uri.authority;
        write!(f, "{host}:{port}")
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("rabbitmq", &self.to_string()).finish_non_exhaustive()
    }
}

fn refuse(set: &Properties) -> Result<(), Invalid> {
    for (name, instead) in [
        ("autoAck", "a message is acknowledged when the application is done with it"),
        ("enableDeadLetter", "name a `deadLetterTopic` in the subscription"),
        ("saslExternal", "give a user and a password"),
    ] {
        if set.flag(name)? {
            return Err(Invalid::of(name, format!("cannot be had: {instead}")));
        }
    }
    for name in ["caCert", "clientCert", "clientKey"] {
        if set.text(name).is_some() {
            return Err(Invalid::of(name, NO_TLS));
        }
    }
    if let Some(kind) = set.text("exchangeKind")
        && kind != "fanout"
    {
        return Err(Invalid::of(
            "exchangeKind",
            format!("is {kind:?}: every group has every message, by `fanout`"),
        ));
    }
    // Always.
    set.flag("publisherConfirm").map(drop)
}

fn is_single(set: &Properties) -> Result<bool, Invalid> {
    match set.text("concurrency") {
        None | Some("parallel") => Ok(false),
        Some("single") => Ok(true),
        Some(odd) => {
            Err(Invalid::of("concurrency", format!("is {odd:?}: `parallel` and `single` can be set")))
        }
    }
}

fn uri(set: &Properties) -> Result<AMQPUri, Invalid> {
    let written = [("connectionString", set.text("connectionString")), ("host", set.text("host"))];
    let parts = ["hostname", "username", "password", "protocol"].map(|name| set.text(name));
    let [host, username, password, protocol] = parts;
    let uri = match (written.into_iter().find_map(|(name, text)| Some((name, text?))), host) {
        (Some((name, text)), None) => {
            let mut uri: AMQPUri = text.parse().map_err(|_| {
                // What it is would tell a password.
                Invalid::of(name, "is no URL such as `amqp://user:password@host:5672`")
            })?;
            // As other clients read `amqp://host/`.
            if uri.vhost.is_empty() {
                "/".clone_into(&mut uri.vhost);
            }
            uri
        }
        (None, Some(host)) => AMQPUri {
            scheme: if protocol == Some("amqps") { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: username.unwrap_or("guest").to_owned(),
                    password: password.unwrap_or("guest").to_owned(),
                },
                host: host.to_owned(),
                port: PORT,
            },
            vhost: "/".to_owned(),
            query: AMQPQueryString::default(),
        },
        (Some(_), Some(_)) => {
            return Err(Invalid::of(
                "hostname",
                "is set, and so is `connectionString`: one of them is enough",
            ));
        }
        (None, None) => return Err(Invalid::of("connectionString", "is missing")),
    };
    match uri.scheme {
        AMQPScheme::AMQP => Ok(uri),
        AMQPScheme::AMQPS => {
            let name = if host.is_some() { "protocol" } else { "connectionString" };
            Err(Invalid::of(name, NO_TLS))
        }
    }
}

const NO_TLS: &str =
    "cannot be had: only plain TCP is spoken; have it end in a proxy beside Colony, such as stunnel";
/// Where a RabbitMQ is served if nothing else is said.
const PORT: u16 = 5672;
const HEARTBEAT: Duration = Duration::from_secs(10);
const RECONNECT_WAIT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(more: &[(&str, &str)]) -> Result<Settings, String> {
        let all = [("connectionString", "amqp://ada:hidden@localhost:5672")]
            .into_iter()
            .chain(more.iter().copied());
        Settings::new(&Properties::from_iter(all)).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn what_would_lose_messages_has_to_be_asked_for() {
        let settings = set(&[]).expect("an address is enough");
        assert!(settings.durable && settings.persistent && !settings.delete_when_unused);
        let weak = [("durable", "false"), ("deletedWhenUnused", "true"), ("deliveryMode", "1")];
        let settings = set(&weak).expect("it is asked for");
        assert!(!settings.durable && !settings.persistent && settings.delete_when_unused);
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        for (name, text) in [
            ("autoAck", "true"),
            ("enableDeadLetter", "true"),
            ("exchangeKind", "topic"),
            ("saslExternal", "true"),
            ("caCert", "x"),
            ("deliveryMode", "3"),
            ("concurrency", "some"),
            ("hostname", "also"),
        ] {
            let refused = set(&[(name, text)]).expect_err("it means something else");
            assert!(refused.starts_with(&format!("`{name}` ")), "{refused}");
        }
        assert!(
            set(&[("exchangeKind", "fanout"), ("autoAck", "false"), ("publisherConfirm", "true")]).is_ok()
        );
    }

    #[test]
    fn it_is_found_by_a_url_or_its_parts() {
        let of = |all: &[(&str, &str)]| Settings::new(&all.iter().copied().collect());
        let url = of(&[("host", "amqp://rabbit/")]).expect("it is right");
        assert_eq!((url.to_string(), url.uri.vhost), ("rabbit:5672".to_owned(), "/".to_owned()));
        let vhost = of(&[("connectionString", "amqp://rabbit:1/shop")]).expect("it is right");
        assert_eq!((vhost.to_string(), vhost.uri.vhost), ("rabbit:1".to_owned(), "shop".to_owned()));
        let parts =
            of(&[("hostname", "rabbit"), ("username", "ada"), ("password", "x")]).expect("it is right");
        assert_eq!(parts.uri.authority.userinfo.username, "ada");
        for odd in [
            &[][..],
            &[("connectionString", "rabbit")],
            &[("connectionString", "amqps://rabbit")],
            &[("hostname", "rabbit"), ("protocol", "amqps")],
        ] {
            assert!(of(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let settings = set(&[]).expect("it is right");
        assert!(!format!("{settings:?} {settings}").contains("hidden"));
        let odd = set(&[("connectionString", "amqp//ada:hidden@x")]).expect_err("it is no URL");
        assert!(!odd.contains("hidden"), "{odd}");
    }
}
