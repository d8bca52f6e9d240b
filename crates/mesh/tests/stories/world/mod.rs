//! The small world that the stories are told in: one data plane on two cores, servers behind it,
//! clients before it.

mod client;
mod dns;
pub mod frames;
mod server;
pub mod vectors;
mod wire;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use mesh::config::{Balance, Call, Config, Limits, Listener, Matcher, Pattern, Protocol, Role, Route};
use mesh::{CallStatus, Endpoint, Mesh, UpstreamStatus};

pub use client::{H2, Sending, sending, whole};
pub use dns::{Dns, Says};
pub use server::{Server, answer};
pub use wire::{Answer, Wire};

/// The listener that most stories need.
pub const EDGE: &str = "edge";

/// A data plane that ends with its story.
pub struct World {
    pub mesh: Mesh,
    pub config: Config,
}

impl Drop for World {
    fn drop(&mut self) {
        self.mesh.stop();
    }
}

impl World {
    /// A gateway without routes.
    pub fn new() -> World {
        let mut config = Config::default();
        config.listeners.insert(EDGE.to_owned(), gateway(Vec::new()));
        World { mesh: Mesh::start(2, 7).expect("threads start"), config }
    }

    /// A gateway that sends everything to this one server.
    pub async fn of(server: &Server) -> World {
        World::with(&[server], call("shop")).await
    }

    /// A gateway that sends everything through `call` to these servers.
    pub async fn with(servers: &[&Server], call: Call) -> World {
        let mut world = World::new();
        world.upstream(&call.upstream.clone(), Protocol::Http1, servers);
        world.route("/**", call);
        world.start(servers).await
    }

    /// The same with another shape of the edge.
    pub async fn limited(server: &Server, change: impl FnOnce(&mut Limits)) -> World {
        let mut world = World::new();
        world.upstream("shop", Protocol::Http1, &[]);
        world.route("/**", call("shop"));
        change(&mut world.edge().limits);
        world.start(&[server]).await
    }

    /// Applies the configuration, the servers being the instances of `shop`.
    pub async fn start(self, servers: &[&Server]) -> World {
        self.apply().await;
        self.publish("shop", servers);
        self
    }

    pub fn edge(&mut self) -> &mut Listener {
        self.config.listeners.get_mut(EDGE).expect("the edge is there")
    }

    pub fn route(&mut self, path: &str, call: Call) -> &mut Route {
        let route = Route { matcher: any(path), rewrite: None, call };
        self.routes().push(route);
        self.routes().last_mut().expect("just pushed")
    }

    pub fn routes(&mut self) -> &mut Vec<Route> {
        match &mut self.edge().role {
            Role::Gateway { routes } => routes,
            _ => panic!("the edge is a gateway"),
        }
    }

    pub fn upstream(&mut self, name: &str, protocol: Protocol, servers: &[&Server]) {
        let upstream = mesh::config::Upstream { protocol, external: None, concurrency: None, zones: None };
        self.config.upstreams.insert(name.to_owned(), upstream);
        self.publish(name, servers);
    }

    pub fn listener(&mut self, name: &str, role: Role) {
        self.config.listeners.insert(name.to_owned(), Listener { role, ..gateway(Vec::new()) });
    }

    pub async fn apply(&self) {
        self.mesh.apply(self.config.clone()).await.expect("the configuration is valid");
    }

    pub fn publish(&self, upstream: &str, servers: &[&Server]) {
        let endpoints: Vec<Endpoint> = servers.iter().map(|server| server.endpoint()).collect();
        self.mesh.publish(upstream, &endpoints);
    }

    pub fn address(&self) -> SocketAddr {
        self.mesh.address(EDGE).expect("the edge listens")
    }

    pub fn status(&self, call: &str) -> CallStatus {
        let mut calls = self.mesh.status().calls.into_iter();
        calls.find(|status| status.call == call).expect("the call is known")
    }

    pub fn upstream_status(&self, name: &str) -> UpstreamStatus {
        let mut upstreams = self.mesh.status().upstreams.into_iter();
        upstreams.find(|status| status.name == name).expect("the upstream is known")
    }

    /// A client's connection on which bytes are written as they are.
    pub async fn wire(&self) -> Wire {
        Wire::connect(self.address()).await
    }

    /// One request over a connection of its own.
    pub async fn ask(&self, request: &str) -> Answer {
        self.wire().await.ask(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n")).await
    }

    pub async fn post(&self, path: &str, extra: &str, body: &str) -> Answer {
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: shop\r\n{extra}Content-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    /// An HTTP/2 client by prior knowledge.
    pub async fn h2(&self) -> H2 {
        H2::connect(self.address()).await
    }
}

/// A gateway on a free port of the loopback.
pub fn gateway(routes: Vec<Route>) -> Listener {
    Listener {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        limits: Limits::default(),
        role: Role::Gateway { routes },
    }
}

/// A call to an upstream, of the same name and without policies.
pub fn call(upstream: &str) -> Call {
    Call {
        id: upstream.to_owned(),
        upstream: upstream.to_owned(),
        timeout: None,
        per_try: None,
        deadline_header: None,
        concurrency: None,
        priority: None,
        retries: None,
        hedge: None,
        breaker: None,
        ejection: None,
        balance: Balance::default(),
        fallback: None,
        limits: Vec::new(),
        split: None,
    }
}

/// Any request whose path matches.
pub fn any(path: &str) -> Matcher {
    Matcher { host: None, path: pattern(path), methods: Vec::new(), headers: Vec::new() }
}

pub fn pattern(text: &str) -> Pattern {
    let (text, rest) = match text.strip_suffix("/**") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let segments = text.split('/').filter(|segment| !segment.is_empty());
    Pattern { segments: segments.map(|segment| (segment != "*").then(|| segment.to_owned())).collect(), rest }
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits for what must come, and fails the story if it does not.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(10), future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen within ten seconds"),
    }
}

/// Waits until `check` holds, and fails the story if it never does.
pub async fn until(what: &str, check: impl Fn() -> bool) {
    soon(what, async {
        while !check() {
            tokio::time::sleep(ms(5)).await;
        }
    })
    .await
}
