//! Requests stay in their zone while enough of its instances are well, spill over as they fail, and come back.

use std::collections::{BTreeMap, BTreeSet};

use mesh::config::{Balance, Call, External, HashKey, Origin, Protocol, Upstream, Zones};
use mesh::{Endpoint, ZoneStatus};
use policy::{BalanceConfig, EjectionConfig, ZonePreference};

use crate::retries::retries;
use crate::world::{Server, World, call, until};

const ALL: [BalanceConfig; 6] = [
    BalanceConfig::PeakEwma,
    BalanceConfig::LeastRequest { choices: 2 },
    BalanceConfig::RoundRobin,
    BalanceConfig::Random,
    BalanceConfig::RingHash,
    BalanceConfig::Maglev,
];

/// Two instances in each of two zones, named for them, before which a gateway is in the zone `a`.
struct Town {
    world: World,
    servers: Vec<(&'static str, Server)>,
}

impl Town {
    async fn of(balance: BalanceConfig) -> Town {
        let mut servers = Vec::new();
        for name in ["a1", "a2", "b1", "b2"] {
            servers.push((name, Server::fixed("200 OK", name).await));
        }
        Town::with(servers, balance).await
    }

    async fn with(servers: Vec<(&'static str, Server)>, policy: BalanceConfig) -> Town {
        let mut world = World::new();
        let key = matches!(policy, BalanceConfig::RingHash | BalanceConfig::Maglev)
            .then(|| HashKey::Header("x-user".into()));
        let zone = Some(ZonePreference::default());
        let balance = Balance { policy, key, slow_start: None, zone };
        let ejection = Some(EjectionConfig { failures: 1, ..EjectionConfig::default() });
        world.upstream("shop", Protocol::Http1, &[]);
        world.route("/**", Call { balance, ejection, retries: Some(retries()), ..call("shop") });
        let mut town = Town { world, servers };
        town.from("a").await;
        town.publish(&["a1", "a2", "b1", "b2"]);
        town
    }

    /// Moves the gateway.
    async fn from(&mut self, own: &str) {
        let places = self.servers.iter().map(|(name, _)| (name.to_string(), Some(name[..1].to_owned())));
        let zones = Zones { own: Some(own.to_owned()), places: places.collect(), otherwise: None };
        self.world.config.upstreams.get_mut("shop").expect("the shop").zones = Some(zones);
        self.world.apply().await;
    }

    fn publish(&self, names: &[&str]) {
        let there = self.servers.iter().filter(|(name, _)| names.contains(name));
        let endpoint = |(name, server): &(&str, Server)| Endpoint {
            place: name.to_string(),
            ..Endpoint::new(*name, server.address)
        };
        self.world.mesh.publish("shop", &there.map(endpoint).collect::<Vec<_>>());
    }

    /// Where so many users come to, over both cores.
    async fn homes(&self, users: usize) -> BTreeMap<usize, String> {
        let mut homes = BTreeMap::new();
        for user in 0..users {
            let request = format!("GET / HTTP/1.1\r\nHost: shop\r\nX-User: {user}\r\n\r\n");
            let answer = self.world.ask(&request).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            homes.insert(user, answer.text());
        }
        homes
    }

    fn zone(&self) -> ZoneStatus {
        self.world.status("shop").zone.expect("a preference")
    }
}

fn seen(homes: &BTreeMap<usize, String>) -> BTreeSet<&str> {
    homes.values().map(String::as_str).collect()
}

/// The part that stays in the zone `a`.
fn stays(homes: &BTreeMap<usize, String>) -> f64 {
    homes.values().filter(|home| home.starts_with('a')).count() as f64 / homes.len() as f64
}

#[tokio::test]
async fn nobody_leaves_while_the_zone_is_well() {
    for balance in ALL {
        let mut town = Town::of(balance).await;
        assert_eq!(seen(&town.homes(40).await), BTreeSet::from(["a1", "a2"]), "{balance:?}");
        let zone = town.zone();
        assert_eq!((zone.own.as_str(), zone.well, zone.all), ("a", 2, 2));
        assert_eq!((zone.share, zone.elsewhere), (Some(1.0), 0));

        town.from("b").await;
        assert_eq!(seen(&town.homes(40).await), BTreeSet::from(["b1", "b2"]), "{balance:?}");
        town.from("c").await;
        assert_eq!(seen(&town.homes(60).await).len(), 4, "{balance:?}");
        assert!(town.world.status("shop").zone.is_none());
    }
}

#[tokio::test]
async fn what_is_not_ready_is_missed_and_its_part_spills() {
    for balance in ALL {
        let town = Town::of(balance).await;
        town.publish(&["a2", "b1", "b2"]);
        let homes = town.homes(400).await;
        assert!((stays(&homes) - 0.7).abs() < 0.1, "{balance:?}: {}", stays(&homes));
        assert_eq!(seen(&homes), BTreeSet::from(["a2", "b1", "b2"]), "{balance:?}");
        let zone = town.zone();
        assert_eq!((zone.well, zone.all), (1, 2));
        assert!((zone.share.expect("somebody is well") - 0.7).abs() < 1e-9);
        assert_eq!(zone.elsewhere, homes.values().filter(|home| home.starts_with('b')).count() as u64);

        town.publish(&["b1", "b2"]);
        assert_eq!(stays(&town.homes(40).await), 0.0, "{balance:?}");
        town.publish(&["a1", "a2", "b1", "b2"]);
        assert_eq!(stays(&town.homes(40).await), 1.0, "{balance:?}");
    }
}

#[tokio::test]
async fn what_is_ejected_counts_as_not_well() {
    let bad = ("a2", Server::fixed("503 Service Unavailable", "a2").await);
    let mut servers = vec![("a1", Server::fixed("200 OK", "a1").await), bad];
    for name in ["b1", "b2"] {
        servers.push((name, Server::fixed("200 OK", name).await));
    }
    let town = Town::with(servers, BalanceConfig::RoundRobin).await;
    // The first that comes to it is tried again, inside of the zone, where there still is somebody.
    assert_eq!(seen(&town.homes(4).await).first(), Some(&"a1"));
    until("its ejection", || !town.world.status("shop").ejected.is_empty()).await;
    let homes = town.homes(400).await;
    assert!((stays(&homes) - 0.7).abs() < 0.1, "{}", stays(&homes));
    assert_eq!((town.zone().well, town.zone().all), (1, 2));
}

#[tokio::test]
async fn a_retry_leaves_the_zone_when_it_has_nobody_else() {
    let servers = vec![
        ("a1", Server::fixed("503 Service Unavailable", "a1").await),
        ("b1", Server::fixed("200 OK", "b1").await),
    ];
    let mut town = Town::with(servers, BalanceConfig::PeakEwma).await;
    town.world.routes()[0].call.ejection = None;
    town.world.apply().await;
    assert_eq!(seen(&town.homes(10).await), BTreeSet::from(["b1"]));
    assert_eq!((town.world.status("shop").retries, town.zone().elsewhere), (10, 10));
}

#[tokio::test]
async fn a_key_that_spills_over_always_does_and_others_stay_where_they_are() {
    for balance in [BalanceConfig::RingHash, BalanceConfig::Maglev] {
        let town = Town::of(balance).await;
        let whole = town.homes(60).await;
        town.publish(&["a1", "b1", "b2"]);
        let less = town.homes(60).await;
        assert_eq!(town.homes(60).await, less, "{balance:?}");
        assert_eq!(seen(&less).len(), 3, "{balance:?}: {less:?}");
        let moved = |(user, home): &(&usize, &String)| whole[user] == "a1" && home.as_str() == "a2";
        assert_eq!(less.iter().filter(moved).count(), 0);
        town.publish(&["a1", "a2", "b1", "b2"]);
        assert_eq!(town.homes(60).await, whole, "{balance:?}");
    }
}

#[tokio::test]
async fn a_call_that_prefers_nothing_goes_everywhere() {
    let mut town = Town::of(BalanceConfig::RoundRobin).await;
    town.world.routes()[0].call.balance.zone = None;
    town.world.apply().await;
    assert_eq!(seen(&town.homes(40).await).len(), 4);
    assert!(town.world.status("shop").zone.is_none());
    let instances = town.world.upstream_status("shop").instances;
    assert!(instances.iter().all(|one| one.zone.as_deref() == Some(&one.id[..1])), "{instances:?}");
}

#[tokio::test]
async fn an_external_has_the_zones_of_its_origins() {
    let (near, far) = (Server::fixed("200 OK", "near").await, Server::fixed("200 OK", "far").await);
    let at = |server: &Server| Origin { host: "127.0.0.1".into(), port: server.address.port(), srv: None };
    let origins = vec![at(&far), at(&near)];
    let zones = origins.iter().map(Origin::place).zip([Some("far".to_owned()), Some("near".to_owned())]);
    let zones = Zones { own: Some("near".to_owned()), places: zones.collect(), otherwise: None };
    let external = External { tls: false, origins, prefix: String::new(), resolver: Vec::new() };
    let mut world = World::new();
    let upstream = Upstream {
        protocol: Protocol::Http1,
        external: Some(external),
        concurrency: None,
        zones: Some(zones),
    };
    world.config.upstreams.insert("shop".to_owned(), upstream);
    let balance = Balance { zone: Some(ZonePreference::default()), ..Balance::default() };
    world.route("/**", Call { balance, retries: Some(retries()), ..call("shop") });
    world.apply().await;
    until("both origins", || world.upstream_status("shop").instances.len() == 2).await;
    for _ in 0..20 {
        assert_eq!(world.get("/").await.text(), "near");
    }
    drop(near);
    assert_eq!(world.get("/").await.text(), "far");
}
