//! What can be set for NATS JetStream.
//!
//! The names are those of Dapr's component. What only pushes have, or what would change what a component means, is refused or
//! told of as unused.

use std::fmt;
use std::time::Duration;

use async_nats::ServerAddr;
use async_nats::datetime::from_nanos;
use async_nats::jetstream::consumer::DeliverPolicy;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;

use crate::properties::{Invalid, Properties};
use crate::tls;

/// What is set for NATS JetStream.
#[derive(Clone)]
pub struct Settings {
    pub(super) servers: Vec<ServerAddr>,
    /// What the connection is called in the server's lists. Default `colony - pubsub.jetstream`.
    pub(super) name: String,
    /// As whom it appears: by a token, or a user and a password.
    pub(super) token: Option<String>,
    pub(super) user: Option<(String, String)>,
    pub(super) tls: ClientConfig,
    /// The stream that has all topics. Default: whichever has a topic, or one that is made for it.
    pub(super) stream: Option<String>,
    /// Where groups begin that come to be. Default: with the oldest message.
    pub(super) deliver: Option<DeliverPolicy>,
    /// How long the server lets a process be silent before others get what it has. Default 30 s.
    pub(super) ack_wait: Duration,
    /// How many messages a group may have that are not answered, all its processes together. Default: no bound.
    pub(super) pending_max: Option<u32>,
    /// On how many servers streams are kept that are made here. Default 1.
    pub(super) replicas: usize,
    /// Whether one message at a time is delivered.
    pub(super) single: bool,
    /// What the subjects of JetStream's own requests begin with.
    pub(super) api_prefix: String,
}

impl Settings {
    /// From what is set.
    ///
    /// # Errors
    ///
    /// Which setting is wrong, and how.
    pub fn new(set: &Properties) -> Result<Settings, Invalid> {
        refuse(set)?;
        let odd = || Invalid::of("natsURL", "is no URL such as `nats://localhost:4222`");
        let servers = set.needed("natsURL")?.split(',').map(|url| url.trim().parse().map_err(|_| odd()));
        let servers: Vec<ServerAddr> = servers.collect::<Result<_, _>>()?;
        let told = servers.iter().find_map(|server| Some((server.username()?, server.password())));
        let text = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        // As other clients have it, a user without a password is a token.
        let (user, token) = match told {
            Some((user, Some(password))) => (Some((text(user), text(password))), None),
            Some((token, None)) => (None, Some(text(token))),
            None => (None, None),
        };
        let own = set.text("tls_client_cert").zip(set.text("tls_client_key"));
        let tls = tls::client(tls::Set { roots: None, own })
            .map_err(|why| Invalid::of("tls_client_cert", format!("or its key cannot be used: {why}")))?;
        let api_prefix = match (set.text("apiPrefix"), set.text("domain")) {
            (Some(prefix), _) => prefix.to_owned(),
            (None, Some(domain)) => format!("$JS.{domain}.API"),
            (None, None) => "$JS.API".to_owned(),
        };
        let stream = set.text("streamName");
        if stream.is_some_and(|name| name.contains(|c: char| ".*> /\\".contains(c) || c.is_control())) {
            return Err(Invalid::of("streamName", "has a character that no name of a stream can have"));
        }
        Ok(Settings {
            servers,
            name: set.text("name").unwrap_or("colony - pubsub.jetstream").to_owned(),
            token: set.text("token").map(str::to_owned).or(token),
            user,
            tls,
            stream: stream.map(str::to_owned),
            deliver: deliver(set)?,
            ack_wait: set.time("ackWait")?.unwrap_or(ACK_WAIT).max(ACK_WAIT_MIN),
            pending_max: set.number("maxAckPending")?.filter(|most| *most > 0),
            replicas: set.number("replicas")?.unwrap_or(1).max(1),
            single: match set.text("concurrency") {
                None | Some("parallel") => false,
                Some("single") => true,
                Some(odd) => {
                    let why = format!("is {odd:?}: `parallel` and `single` can be set");
                    return Err(Invalid::of("concurrency", why));
                }
            },
            api_prefix,
        })
    }
}

/// Where it is, and nothing that is secret.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, server) in self.servers.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", server.host(), server.port())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("nats", &self.to_string()).finish_non_exhaustive()
    }
}

fn refuse(set: &Properties) -> Result<(), Invalid> {
    for name in ["jwt", "seedKey"] {
        if set.text(name).is_some() {
            return Err(Invalid::of(
                name,
                "cannot be had: give a `token`, a certificate, or a user and a password in `natsURL`",
            ));
        }
    }
    if set.text("tls_client_cert").is_some() != set.text("tls_client_key").is_some() {
        return Err(Invalid::of("tls_client_cert", "and `tls_client_key` need each other"));
    }
    if let Some(policy) = set.text("ackPolicy")
        && policy != "explicit"
    {
        let why = format!(
            "is {policy:?}: a message is acknowledged when the application is done with it, `explicit`"
        );
        return Err(Invalid::of("ackPolicy", why));
    }
    if let Some(most) = set.number::<i64>("maxDeliver")?.filter(|most| *most > 0) {
        let why = format!(
            "is {most}: a message is delivered until the application is done with it, or is a dead letter"
        );
        return Err(Invalid::of("maxDeliver", why));
    }
    if set.flag("memoryStorage")? {
        return Err(Invalid::of(
            "memoryStorage",
            "cannot be had: groups would begin anew when the server does",
        ));
    }
    Ok(())
}

fn deliver(set: &Properties) -> Result<Option<DeliverPolicy>, Invalid> {
    let sequence = set.number::<u64>("startSequence")?;
    let time = set.number::<u64>("startTime")?;
    let needs = |name: &str| Invalid::of("deliverPolicy", format!("needs `{name}`"));
    Ok(Some(match set.text("deliverPolicy") {
        None => return Ok(None),
        Some("all") => DeliverPolicy::All,
        Some("last") => DeliverPolicy::Last,
        Some("new") => DeliverPolicy::New,
        Some("sequence") => {
            DeliverPolicy::ByStartSequence { start_sequence: sequence.ok_or_else(|| needs("startSequence"))? }
        }
        Some("time") => {
            let seconds = time.ok_or_else(|| needs("startTime"))?;
            let start_time = from_nanos(i128::from(seconds) * 1_000_000_000).map_err(|_| {
                Invalid::of("startTime", format!("is {seconds}, which is no time in seconds since 1970"))
            })?;
            DeliverPolicy::ByStartTime { start_time }
        }
        Some(odd) => {
            let why = format!("is {odd:?}: `all`, `last`, `new`, `sequence` and `time` can be set");
            return Err(Invalid::of("deliverPolicy", why));
        }
    }))
}

const ACK_WAIT: Duration = Duration::from_secs(30);
/// Shorter ones would have the server and the processes talk of nothing else.
const ACK_WAIT_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(more: &[(&str, &str)]) -> Result<Settings, String> {
        let all = [("natsURL", "nats://ada:hidden@localhost:4222")].into_iter().chain(more.iter().copied());
        Settings::new(&Properties::from_iter(all)).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        for (name, text) in [
            ("jwt", "x"),
            ("tls_client_cert", "x"),
            ("ackPolicy", "none"),
            ("maxDeliver", "3"),
            ("memoryStorage", "true"),
            ("deliverPolicy", "some"),
            ("deliverPolicy", "time"),
            ("concurrency", "some"),
            ("streamName", "a.b"),
        ] {
            let refused = set(&[(name, text)]).expect_err("it means something else");
            assert!(refused.starts_with(&format!("`{name}` ")), "{refused}");
        }
        assert!(set(&[("ackPolicy", "explicit"), ("maxDeliver", "-1"), ("memoryStorage", "false")]).is_ok());
    }

    #[test]
    fn what_is_set_holds() {
        let settings = set(&[]).expect("an address is enough");
        assert_eq!((settings.ack_wait, settings.deliver), (ACK_WAIT, None));
        assert_eq!(
            (settings.to_string(), &settings.api_prefix[..]),
            ("localhost:4222".to_owned(), "$JS.API")
        );
        let all =
            [("deliverPolicy", "sequence"), ("startSequence", "7"), ("domain", "hub"), ("ackWait", "5s")];
        let settings = set(&all).expect("it is right");
        assert_eq!(settings.deliver, Some(DeliverPolicy::ByStartSequence { start_sequence: 7 }));
        assert_eq!((&settings.api_prefix[..], settings.ack_wait.as_secs()), ("$JS.hub.API", 5));
        let several = Settings::new(&Properties::from_iter([("natsURL", "nats://a, nats://b:1")]));
        assert_eq!(several.expect("it is right").to_string(), "a:4222,b:1");
    }

    #[test]
    fn a_password_is_not_printed() {
        let settings = set(&[("token", "hidden")]).expect("it is right");
        assert!(!format!("{settings:?} {settings}").contains("hidden"));
        let odd = set(&[("natsURL", "nats://ada:hidden@")]).map(|settings| settings.to_string());
        assert!(odd.as_ref().is_err_and(|why| !why.contains("hidden")), "{odd:?}");
    }
}
