//! The command line, the environment and the resources of a sidecar, lowered into what the API wants.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use api::access::Origins;
use api::config::{Adapter, App, Block, Component, HealthCheck, Outbox, Place, Prefix};
use manifest::resources::{self, Keeper, KeyPrefix};

use crate::adapters::Adapters;
use crate::args::Sidecar;
use crate::failure::{Failure, NO_SENSE};
pub(crate) use crate::lower::configuration::{access, apis};
pub(crate) use crate::lower::subscriptions::subscriptions;

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// What a caller must know.
    pub(crate) token: Option<String>,
    /// What the application knows its sidecar's calls by.
    pub(crate) app_token: Option<String>,
    /// Whose application it is.
    pub(crate) namespace: Option<String>,
    /// The machine's address, if it is to be told otherwise, and its name.
    pub(crate) machine: (Option<IpAddr>, Option<String>),
    /// Whether HTTP/2 is not to be spoken on the port of HTTP.
    pub(crate) no_http2: bool,
}

/// Whether a command line makes sense.
pub(crate) fn check(args: &Sidecar) -> Result<(), Failure> {
    api::config::check_app_id(&args.app_id).map_err(no_sense)?;
    let (interval, limit) = (args.app_health_probe_interval, args.app_health_probe_timeout);
    if interval == 0 || limit == 0 || limit > interval * 1_000 {
        let wrong =
            format!("--app-health-probe-timeout is {limit} ms, --app-health-probe-interval {interval} s");
        return Err(no_sense(wrong)
            .hint("an answer may take as long as it is to the next question, and more than nothing"));
    }
    let app_port = args.app_port.flatten();
    for (flag, port) in [("--dapr-http-port", args.dapr_http_port), ("--dapr-grpc-port", args.dapr_grpc_port)]
    {
        if app_port == Some(port) {
            return Err(no_sense(format!("--app-port and {flag} are both {port}"))
                .hint("the program and its sidecar each need a port of their own"));
        }
    }
    addresses(args, false).map(drop)
}

/// Where HTTP and gRPC are served; whoever asks from elsewhere must know something, unless it is said otherwise.
pub(crate) fn addresses(
    args: &Sidecar,
    has_token: bool,
) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>), Failure> {
    let mut hosts = hosts(&args.dapr_listen_addresses).map_err(no_sense)?;
    if hosts.is_empty() {
        // The one for IPv6 takes both.
        hosts = vec![if has_token { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::LOCALHOST.into() }];
    }
    let at = |port: u16| hosts.iter().map(|host| SocketAddr::new(*host, port)).collect();
    Ok((at(args.dapr_http_port), at(args.dapr_grpc_port)))
}

/// How the API is served, wherever its listeners are.
pub(crate) fn config(
    args: &Sidecar,
    environment: Environment,
    components: &[resources::Component],
    adapters: &Adapters,
) -> Result<api::Config, Failure> {
    let (own, foreign): (Vec<_>, Vec<_>) = components.iter().partition(|one| one.is_for(&args.app_id));
    let foreign = foreign.into_iter().map(|one| &one.name).chain(&adapters.left_out);
    Ok(api::Config {
        namespace: environment.namespace.unwrap_or_default(),
        token: environment.token,
        machine: (
            environment.machine.0.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            environment.machine.1.unwrap_or_else(|| "localhost".to_owned()),
        ),
        body_bytes_max: args
            .dapr_http_max_request_size
            .map_or(args.max_body_size, |mebibytes| mebibytes << 20),
        head_bytes_max: args
            .dapr_http_read_buffer_size
            .map_or(args.read_buffer_size, |kibibytes| kibibytes << 10)
            + (4 << 10),
        http2: !environment.no_http2,
        origins: Origins::new(&args.allowed_origins),
        app: App {
            port: args.app_port.flatten(),
            protocol: args.app_protocol.clone(),
            host: args.app_channel_address.clone(),
            max_concurrency: args.app_max_concurrency,
            token: environment.app_token,
            health: args.enable_app_health_check.then(|| HealthCheck {
                path: args.app_health_check_path.clone(),
                interval: Duration::from_secs(args.app_health_probe_interval),
                timeout: Duration::from_millis(args.app_health_probe_timeout),
                threshold: args.app_health_threshold,
            }),
            gate: None,
        },
        block_shutdown: args.dapr_block_shutdown_duration,
        grace: Duration::from_secs(args.dapr_graceful_shutdown_seconds),
        binding_asked: args.app_binding_options_timeout,
        outboxes: own
            .iter()
            .filter_map(|one| Some((one.name.clone(), outbox(one.outbox.as_ref()?))))
            .collect(),
        endpoints: adapters.endpoints.clone(),
        components: own.into_iter().filter_map(|one| component(one, adapters)).collect(),
        foreign: foreign.cloned().collect(),
        ..api::Config::new(args.app_id.as_str())
    })
}

/// None if it was left out.
fn component(one: &resources::Component, adapters: &Adapters) -> Option<Component> {
    let block = match &one.block {
        resources::Block::State { keeper, prefix } => {
            Block::State { place: place(*keeper, adapters.states.get(&one.name))?, prefix: lowered(prefix) }
        }
        resources::Block::Configuration { keeper } => {
            Block::Configuration { place: place(*keeper, adapters.configurations.get(&one.name))? }
        }
        resources::Block::Locks { keeper, prefix } => {
            Block::Locks { place: place(*keeper, adapters.locks.get(&one.name))?, prefix: lowered(prefix) }
        }
        resources::Block::PubSub(_) => Block::PubSub(adapters.pubsubs.get(&one.name)?.clone()),
        resources::Block::Secrets(_) => {
            let store = adapters.secrets.get(&one.name)?.clone();
            let scope = adapters.scopes.get(&one.name).cloned().unwrap_or_default();
            Block::Secrets { store, scope }
        }
        resources::Block::Binding(_) => Block::Binding(adapters.bindings.get(&one.name)?.clone()),
    };
    Some(Component { name: one.name.clone(), kind: one.kind.clone(), version: one.version.clone(), block })
}

fn outbox(declared: &resources::Outbox) -> Outbox {
    Outbox { pubsub: declared.pubsub.clone(), topic: declared.topic.clone() }
}

/// None if it should be outside and was not opened.
fn place<T: ?Sized>(keeper: Keeper, opened: Option<&Adapter<T>>) -> Option<Place<Adapter<T>>> {
    Some(match keeper {
        Keeper::Disk => Place::Disk,
        Keeper::Memory => Place::Memory,
        Keeper::Redis | Keeper::Postgres | Keeper::RabbitMq | Keeper::JetStream => {
            Place::Outside(opened?.clone())
        }
    })
}

fn lowered(prefix: &KeyPrefix) -> Prefix {
    match prefix {
        KeyPrefix::AppId => Prefix::AppId,
        KeyPrefix::Namespace => Prefix::Namespace,
        KeyPrefix::Name => Prefix::Name,
        KeyPrefix::None => Prefix::None,
        KeyPrefix::Literal(text) => Prefix::Literal(text.clone()),
    }
}

fn no_sense(wrong: String) -> Failure {
    Failure { code: NO_SENSE, ..Failure::new(wrong) }
}

/// Those that are named.
fn hosts(text: &str) -> Result<Vec<IpAddr>, String> {
    let named = text.split(',').map(str::trim).filter(|address| !address.is_empty());
    let parsed = named.map(|address| match address.trim_start_matches('[').trim_end_matches(']') {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        plain => {
            plain.parse().map_err(|_| format!("{address:?} in --dapr-listen-addresses is no IP address"))
        }
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_beyond_this_machine_asks_for_a_token_or_was_told_to() {
        let at = |addresses: &str, has_token| {
            let flags = [
                "--app-id=a".into(),
                "--dapr-http-port=1".into(),
                format!("--dapr-listen-addresses={addresses}").into(),
            ];
            let args = Sidecar::of(flags.into()).unwrap();
            super::addresses(&args, has_token).unwrap().0.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(at("", false), ["127.0.0.1:1"]);
        assert_eq!(at("", true), ["[::]:1"]);
        assert_eq!(at("0.0.0.0, [::1]", false), ["0.0.0.0:1", "[::1]:1"]);
        assert_eq!(at("localhost", true), ["127.0.0.1:1"]);
    }
}
