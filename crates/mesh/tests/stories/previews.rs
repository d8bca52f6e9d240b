//! What a preview says of a request, and that the data plane then does it.

use std::time::Duration;

use mesh::config::{Matcher, Route};
use mesh::{Asked, Misfit, Part, Preview, Refusal, Tried, preview};
use proptest::prelude::*;

use crate::world::{Server, World, any, call, pattern};

fn route(path: &str) -> Route {
    Route { matcher: any(path), rewrite: None, call: call("shop") }
}

fn look(routes: &[Route], method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Preview, String> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    preview(routes, &Asked { method, target, host: "shop.example:8080", headers: &headers })
}

fn only_misfit(route: &Route, method: &str, target: &str, headers: &[(&str, &str)]) -> Misfit {
    match look(std::slice::from_ref(route), method, target, headers).expect("sound").routes.remove(0) {
        Tried::Misfit(misfit) => misfit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_that_fits_takes_it_and_the_others_say_why_not() {
    let mut rewritten = route("/api/catalog/**");
    rewritten.rewrite = Some(pattern("/**"));
    let routes = [route("/api/cart/**"), rewritten, route("/**")];
    let seen = look(&routes, "GET", "/api/catalog/products?q=mug", &[]).expect("sound");
    assert_eq!((seen.taken, seen.path.as_str(), seen.query.as_str()), (Some(1), "/products", "?q=mug"));
    let cart =
        Misfit { part: Part::Path(1), wanted: Some("cart".to_owned()), given: Some("catalog".to_owned()) };
    assert_eq!(seen.routes, [Tried::Misfit(cart), Tried::Taken, Tried::Later]);
    assert!(seen.idempotent && seen.left.is_none());
    let hurried = look(&routes, "GET", "/", &[("x-request-deadline", "200")]).expect("sound");
    assert_eq!(hurried.left, Some(Duration::from_millis(200)));
    for (key, idempotent) in [("7", true), ("", false), ("\"\"", false)] {
        let keyed = look(&routes, "POST", "/", &[("idempotency-key", key)]).expect("sound");
        assert_eq!(keyed.idempotent, idempotent, "{key:?}");
    }
}

#[test]
fn paths_that_are_too_short_or_too_long_say_so() {
    for (wanted, path, at, expected, given) in [
        ("/api/cart", "/api", 1, Some("cart"), None),
        ("/api/cart", "/api/cart/1", 2, None, Some("1")),
        ("/api/cart", "/api/cart/", 2, None, Some("")),
        ("/a/*/c", "/a//c", 1, Some("*"), None),
        ("/", "/x", 0, None, Some("x")),
        ("/x", "/", 0, Some("x"), None),
    ] {
        let misfit = only_misfit(&route(wanted), "GET", path, &[]);
        assert_eq!(misfit.part, Part::Path(at), "{wanted} {path}");
        assert_eq!((misfit.wanted.as_deref(), misfit.given.as_deref()), (expected, given), "{wanted} {path}");
    }
}

#[test]
fn hosts_headers_and_methods_are_named() {
    let mut picky = route("/**");
    picky.matcher.host = Some("*.shop.example".to_owned());
    assert_eq!(only_misfit(&picky, "GET", "/", &[]).given.as_deref(), Some("shop.example"));
    let host = ("Host", "a.shop.example");
    picky.matcher.headers = vec![("x-beta".to_owned(), "yes".to_owned())];
    picky.matcher.methods = vec!["GET".to_owned(), "HEAD".to_owned()];
    let header = only_misfit(&picky, "POST", "/", &[host]);
    assert_eq!((header.part, header.given), (Part::Header("x-beta".to_owned()), None));
    let beta = ("X-Beta", "yes");
    let method = only_misfit(&picky, "POST", "/", &[host, beta]);
    assert_eq!((method.part, method.wanted.as_deref()), (Part::Method, Some("GET, HEAD")));
    let misfit = only_misfit(&picky, "GET", "/", &[host, beta, ("connection", "x-beta")]);
    assert_eq!(misfit.part, Part::Header("x-beta".to_owned()), "a field for one hop only is none to match");
    assert_eq!(look(&[picky], "GET", "/", &[host, beta]).expect("sound").taken, Some(0));
}

#[tokio::test]
async fn what_a_preview_says_is_what_is_done() {
    let server = Server::fixed("200 OK", "hello").await;
    let mut world = World::new();
    world.upstream("shop", mesh::config::Protocol::Http1, &[]);
    let mut picky = call("shop");
    picky.id = "picky".to_owned();
    world.route("/api/*/items", picky).matcher =
        Matcher { methods: vec!["GET".to_owned()], ..any("/api/*/items") };
    let mut headed = call("shop");
    headed.id = "headed".to_owned();
    world.route("/api/**", headed).matcher.headers = vec![("x-beta".to_owned(), "yes".to_owned())];
    let routes = world.routes().clone();
    let world = world.start(&[&server]).await;
    for (method, target, headers) in [
        ("GET", "/api/cart/items", &[][..]),
        ("POST", "/api/cart/items", &[]),
        ("POST", "/api/cart/items", &[("x-beta", "yes")]),
        ("GET", "/api/cart", &[("x-beta", "no")]),
        ("GET", "/api//items", &[]),
        ("GET", "/api/../items", &[]),
        ("GET", "/x", &[("a b", "c")]),
        ("GET", "/api", &[("transfer-encoding", "chunked"), ("content-length", "1")]),
        ("CONNECT", "shop:443", &[]),
    ] {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text = format!("{method} {target} HTTP/1.1\r\nHost: shop.example:8080\r\n{lines}\r\n");
        let wanted = match look(&routes, method, target, headers) {
            Err(_) => Refusal::unsound().status,
            Ok(seen) => seen.refusal().map_or(200, |refusal| refusal.status),
        };
        assert_eq!(world.ask(&text).await.status, wanted, "{method} {target} {headers:?}");
    }
    assert!(look(&routes, "GET", "/api", &[("x", "1\r\nx-beta: yes")]).is_err(), "one line is one line");
}

fn segments() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("*")], 0..4)
        .prop_map(|all| all.iter().map(|one| format!("/{one}")).collect())
}

proptest! {
    #[test]
    fn a_misfit_names_something_that_differs(wanted in segments(), rest: bool, path in "(/[ab]?){1,5}") {
        let wanted = if rest { wanted + "/**" } else { wanted };
        if let Tried::Misfit(misfit) = &look(&[route(&wanted)], "GET", &path, &[]).expect("sound").routes[0] {
            prop_assert_ne!(&misfit.wanted, &misfit.given);
        }
    }
}
