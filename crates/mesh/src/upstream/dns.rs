//! What the DNS says of a name: its addresses, or where its service is (RFC 2782), and for how long that
//! holds. `/etc/hosts` comes first, and the servers are those of `/etc/resolv.conf` unless others are given.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record};
use hickory_resolver::system_conf::read_system_conf;

/// How long one server has for an answer, and how often it is asked; `/etc/resolv.conf` may say otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// How long all of them have together: two families over two transports add up.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The server where `/etc/resolv.conf` names none.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// A way to ask. It keeps nothing: whoever asks knows best when to ask again.
pub(super) struct Dns {
    resolver: TokioResolver,
}

/// What was found, at least one, and for how long it holds.
pub(super) struct Answer<T> {
    pub(super) found: Vec<T>,
    pub(super) ttl: Duration,
}

/// Where a service is.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) priority: u16,
    pub(super) weight: u16,
}

impl Dns {
    /// Asks these servers; if there are none, those of the machine, and where it names none the one on it,
    /// as glibc does: `/etc/hosts` must be read on a machine without a network, too.
    pub(super) fn new(servers: &[SocketAddr]) -> Result<Dns, String> {
        let (config, mut options) = match servers {
            [] => read_system_conf().unwrap_or_else(|_| (given(&[LOCAL]), brisk())),
            servers => (given(servers), brisk()),
        };
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider).with_options(options);
        let resolver = builder.build().map_err(|error| format!("cannot ask the DNS: {error}"))?;
        Ok(Dns { resolver })
    }

    /// Every address of a host.
    pub(super) async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, String> {
        let found = in_time(self.resolver.lookup_ip(host)).await;
        let found = found.map_err(|why| format!("cannot resolve `{host}`: {why}"))?;
        let ttl = ttl(found.as_lookup().answers());
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        some(addresses, ttl).ok_or_else(|| format!("`{host}` has no address"))
    }

    /// Where the service of this name is.
    pub(super) async fn services(&self, name: &str) -> Result<Answer<Target>, String> {
        let found = in_time(self.resolver.srv_lookup(name)).await;
        let found = found.map_err(|why| format!("cannot resolve the service `{name}`: {why}"))?;
        let targets = found.answers().iter().filter_map(|record| match &record.data {
            // A service that is decidedly not there is said to be at the root.
            RData::SRV(srv) if !srv.target.is_root() => Some(Target {
                host: srv.target.to_utf8().trim_end_matches('.').to_ascii_lowercase(),
                port: srv.port,
                priority: srv.priority,
                weight: srv.weight,
            }),
            _ => None,
        });
        some(targets.collect(), ttl(found.answers()))
            .ok_or_else(|| format!("nobody offers the service `{name}`"))
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, NetError>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_MAX, asking).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) if error.is_nx_domain() => Err("there is no such name".to_owned()),
        Ok(Err(error)) if error.is_no_records_found() => Err("the name has no such record".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ANSWER_MAX.as_secs())),
    }
}

fn some<T>(found: Vec<T>, ttl: Duration) -> Option<Answer<T>> {
    (!found.is_empty()).then_some(Answer { found, ttl })
}

/// The shortest, since all of it was used.
fn ttl(records: &[Record]) -> Duration {
    Duration::from_secs(records.iter().map(|record| record.ttl).min().unwrap_or(0).into())
}

fn given(servers: &[SocketAddr]) -> ResolverConfig {
    let servers = servers.iter().map(|server| {
        let at = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
        NameServerConfig::new(server.ip(), true, connections)
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}

fn brisk() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options
}
