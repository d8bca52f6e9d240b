//! Which request goes where, and what those are told that go nowhere.

use std::collections::BTreeMap;

use mesh::config::{Protocol, Role};

use crate::world::{Server, Wire, World, call, pattern};

/// A gateway with the upstreams `shop`, `cart` and `rest`, whose servers answer with these names.
struct Town {
    world: World,
    servers: Vec<Server>,
}

impl Town {
    async fn new(routes: impl FnOnce(&mut World)) -> Town {
        let mut world = World::new();
        for name in ["shop", "cart", "rest"] {
            world.upstream(name, Protocol::Http1, &[]);
        }
        routes(&mut world);
        world.apply().await;
        let mut servers = Vec::new();
        for name in ["shop", "cart", "rest"] {
            let server = Server::fixed("200 OK", name).await;
            world.publish(name, &[&server]);
            servers.push(server);
        }
        Town { world, servers }
    }

    async fn ask(&self, line: &str, host: &str, extra: &str) -> String {
        self.world.ask(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n")).await.text()
    }

    fn requests(&self) -> usize {
        self.servers.iter().map(Server::requests).sum()
    }
}

#[tokio::test]
async fn hosts_choose_the_route_exactly_or_by_wildcard() {
    let town = Town::new(|world| {
        world.route("/**", call("shop")).matcher.host = Some("shop.example".into());
        world.route("/**", call("cart")).matcher.host = Some("*.shop.example".into());
        world.route("/**", call("rest"));
    })
    .await;
    assert_eq!(town.ask("GET /", "shop.example", "").await, "shop");
    assert_eq!(town.ask("GET /", "SHOP.example:8080", "").await, "shop");
    assert_eq!(town.ask("GET /", "a.b.shop.example", "").await, "cart");
    assert_eq!(town.ask("GET /", "evilshop.example", "").await, "rest");
    assert_eq!(town.world.h2().await.get("http://a.shop.example/").await.text(), "cart");
}

#[tokio::test]
async fn the_first_route_whose_path_matches_wins() {
    let town = Town::new(|world| {
        world.route("/api/cart/*", call("cart"));
        world.route("/api/**", call("shop"));
        world.route("/**", call("rest"));
    })
    .await;
    for (path, wanted) in [
        ("/api/cart/7", "cart"),
        ("/api/cart/7/items", "shop"),
        ("/api/cart/", "shop"),
        ("/api", "shop"),
        ("/apis", "rest"),
        ("/", "rest"),
    ] {
        assert_eq!(town.ask(&format!("GET {path}"), "x", "").await, wanted, "{path}");
    }
    assert_eq!(town.ask("GET /api/cart/7?a=/x", "x", "").await, "cart", "a query is no path");
}

#[tokio::test]
async fn a_header_chooses_the_route() {
    let town = Town::new(|world| {
        world.route("/**", call("cart")).matcher.headers = vec![("x-canary".into(), "yes".into())];
        world.route("/**", call("shop"));
    })
    .await;
    assert_eq!(town.ask("GET /", "x", "X-Canary: yes\r\n").await, "cart");
    assert_eq!(town.ask("GET /", "x", "X-Canary: no\r\n").await, "shop");
    assert_eq!(town.ask("GET /", "x", "").await, "shop");
}

#[tokio::test]
async fn a_method_that_no_route_takes_is_told_which_are_taken() {
    let town = Town::new(|world| {
        world.route("/things", call("shop")).matcher.methods = vec!["PUT".into(), "GET".into()];
        world.route("/things", call("cart")).matcher.methods = vec!["POST".into()];
    })
    .await;
    assert_eq!(town.ask("POST /things", "x", "Content-Length: 0\r\n").await, "cart");
    let answer = town.world.ask("DELETE /things HTTP/1.1\r\nHost: x\r\n\r\n").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("GET, POST, PUT"));
    assert_eq!(town.requests(), 1);
}

#[tokio::test]
async fn a_path_without_a_route_is_told_what_to_add() {
    let town = Town::new(|world| {
        world.route("/api/**", call("shop"));
    })
    .await;
    let problem = town.world.get("/nowhere").await.problem(404, "no-route");
    assert!(problem["detail"].as_str().unwrap().contains("`/nowhere`"), "{problem}");
    assert!(problem["remedy"].as_str().unwrap().contains("gateway.routes"), "{problem}");
    assert_eq!(town.requests(), 0);
}

#[tokio::test]
async fn a_rewrite_changes_the_path_and_keeps_the_query() {
    let echo = Server::echo().await;
    let mut world = World::new();
    world.upstream("shop", Protocol::Http1, &[]);
    world.route("/api/catalog/**", call("shop")).rewrite = Some(pattern("/**"));
    world.route("/u/*/orders/*", call("shop")).rewrite = Some(pattern("/v2/*/o/*"));
    let world = world.start(&[&echo]).await;
    for (path, wanted) in [
        ("/api/catalog/products/1?q=a%20b&c", "/products/1?q=a%20b&c"),
        ("/api/catalog", "/"),
        ("/u/7/orders/9", "/v2/7/o/9"),
        ("/api/catalog/a%2Fb", "/a%2Fb"),
    ] {
        assert_eq!(world.get(path).await.json()["target"], wanted);
    }
}

/// `checkout` may call payments; catalog is there, but not declared.
async fn sidecar() -> (World, Server) {
    let echo = Server::echo().await;
    let mut world = World::new();
    world.upstream("payments", Protocol::Http1, &[]);
    let known = ["payments", "catalog", "checkout"].map(str::to_owned).to_vec();
    let calls = BTreeMap::from([("payments".to_owned(), call("payments"))]);
    world.listener("checkout", Role::Sidecar { caller: "checkout".into(), calls, known });
    world.apply().await;
    world.publish("payments", &[&echo]);
    (world, echo)
}

#[tokio::test]
async fn a_sidecar_refuses_what_is_not_declared_and_says_the_line_to_add() {
    let (world, echo) = sidecar().await;
    let mut wire = Wire::connect(world.mesh.address("checkout").unwrap()).await;
    let problem = wire.ask("GET / HTTP/1.1\r\nHost: catalog\r\n\r\n").await.problem(403, "undeclared-call");
    assert!(problem["remedy"].as_str().unwrap().contains("services.checkout.calls.catalog"), "{problem}");
    let problem = wire.ask("GET / HTTP/1.1\r\nHost: katalog\r\n\r\n").await.problem(404, "unknown-service");
    assert!(problem["remedy"].as_str().unwrap().contains("payments"), "{problem}");
    assert_eq!(echo.requests(), 0);
}

#[tokio::test]
async fn a_sidecar_takes_the_name_from_host_or_from_a_proxy_request() {
    let (world, _echo) = sidecar().await;
    let mut wire = Wire::connect(world.mesh.address("checkout").unwrap()).await;
    let answer = wire.ask("GET /pay?a=1 HTTP/1.1\r\nHost: payments:80\r\n\r\n").await;
    assert_eq!(answer.json()["target"], "/pay?a=1");
    let answer = wire.ask("GET http://payments/pay HTTP/1.1\r\nHost: other\r\n\r\n").await;
    assert_eq!(answer.json()["target"], "/pay");
    assert_eq!(answer.echoed("host"), ["payments"]);
    assert!(answer.echoed("x-forwarded-for").is_empty(), "only the edge says for whom");
}

#[tokio::test]
async fn a_declared_call_has_a_listener_of_its_own() {
    let echo = Server::echo().await;
    let mut world = World::new();
    world.upstream("payments", Protocol::Http1, &[]);
    let to = call("payments");
    world.listener("checkout-payments", Role::Call { caller: "checkout".into(), call: to });
    world.apply().await;
    world.publish("payments", &[&echo]);
    let address = world.mesh.address("checkout-payments").unwrap();
    let answer =
        Wire::connect(address).await.ask(&format!("GET /any/path HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    assert_eq!(answer.json()["target"], "/any/path");
    assert_eq!(world.status("payments").status_2xx, 1);
}

#[tokio::test]
async fn an_address_with_a_user_in_it_is_refused() {
    let town = Town::new(|world| {
        world.route("/**", call("shop"));
    })
    .await;
    let answer = town.world.ask("GET http://me@shop.example/ HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer.problem(400, "bad-request")["detail"], "the address has a user in it");
}
