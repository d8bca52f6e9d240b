//! TLS from clients: what is agreed on, whom which certificate is shown, and who is turned away.

use std::net::SocketAddr;
use std::sync::Arc;

use certs::Certificate;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh::config::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, HandshakeKind, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

use super::websocket::parrot;
use super::world::{Server, Wire, World, ms, soon, until};

/// A certificate and what a client needs to trust it.
struct Issued {
    certificate: Certificate,
    root: CertificateDer<'static>,
}

fn issue(names: &[&str]) -> Issued {
    let key = rcgen::KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::CertificateParams::new(names).expect("names").self_signed(&key).expect("signs");
    let certificate = Certificate::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes());
    Issued { certificate: certificate.expect("fits"), root: made.der().clone() }
}

fn tls(issued: &[&Issued]) -> Option<Tls> {
    Some(Tls::new(issued.iter().map(|one| one.certificate.clone()).collect()).expect("there are some"))
}

/// A client that trusts these and offers these protocols.
fn trusting(issued: &[&Issued], protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for one in issued {
        roots.add(one.root.clone()).expect("a root");
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn connect(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("somebody listens");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    soon("a handshake", TlsConnector::from(config).connect(name, stream)).await.expect("is trusted")
}

/// One request in HTTP/1.1 that ends the connection, and the whole answer as text.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer)).await.expect("an answer and a clean end");
    answer
}

async fn world(server: &Server, issued: &[&Issued]) -> World {
    let mut world = World::of(server).await;
    world.edge().tls = tls(issued);
    world.apply().await;
    world
}

#[tokio::test]
async fn http1_over_tls_is_told_to_be_https() {
    let server = Server::echo().await;
    let cert = issue(&["localhost"]);
    let world = world(&server, &[&cert]).await;
    // Without ALPN, as the plainest of clients.
    let mut stream = connect(world.address(), Arc::new(trusting(&[&cert], &[])), "localhost").await;
    let answer = ask(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#"["x-forwarded-proto","https"]"#), "{answer}");
    assert!(answer.contains("proto=https"), "{answer}");
}

#[tokio::test]
async fn http2_is_agreed_on_by_alpn() {
    let server = Server::echo().await;
    let cert = issue(&["localhost"]);
    let world = world(&server, &[&cert]).await;
    let config = Arc::new(trusting(&[&cert], &["h2", "http/1.1"]));
    let stream = connect(world.address(), config, "localhost").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    let request = http::Request::get("https://shop/a").body(Empty::<bytes::Bytes>::new()).expect("a request");
    let answer = soon("an answer", sender.send_request(request)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains(r#"["x-forwarded-proto","https"]"#), "{body}");
}

#[tokio::test]
async fn a_websocket_talks_over_tls() {
    let server = parrot().await;
    let cert = issue(&["localhost"]);
    let world = world(&server, &[&cert]).await;
    let stream = connect(world.address(), Arc::new(trusting(&[&cert], &["http/1.1"])), "localhost").await;
    let upgraded = tokio_tungstenite::client_async("wss://localhost/chat", stream).await;
    let (mut socket, _) = upgraded.expect("an upgrade");
    let big = Message::binary(vec![7; 1 << 20]);
    socket.send(big.clone()).await.expect("sent");
    assert_eq!(soon("an echo", socket.next()).await.expect("one").expect("whole"), big);
    socket.close(None).await.expect("closed");
    assert!(soon("the close", socket.next()).await.expect("one").expect("whole").is_close());
    drop(socket);
    until("the count to fall", || world.mesh.in_flight("shop", &server.id) == 0).await;
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_no_older_one() {
    let server = Server::echo().await;
    let cert = issue(&["localhost"]);
    let world = world(&server, &[&cert]).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(cert.root.clone()).expect("a root");
        let config = ClientConfig::builder_with_protocol_versions(&[version]);
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let mut stream = connect(world.address(), Arc::new(config), "localhost").await;
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let server = Server::echo().await;
    let (first, second) = (issue(&["first.test"]), issue(&["*.second.test"]));
    let world = world(&server, &[&first, &second]).await;
    let config = Arc::new(trusting(&[&first, &second], &[]));
    for (name, cert) in [("first.test", &first), ("www.second.test", &second)] {
        let stream = connect(world.address(), config.clone(), name).await;
        let shown = stream.get_ref().1.peer_certificates().expect("one is shown");
        assert_eq!(shown[0], cert.root);
    }
}

#[tokio::test]
async fn cleartext_is_told_where_it_came() {
    let server = Server::echo().await;
    let world = world(&server, &[&issue(&["localhost"])]).await;
    let answer = world.get("/a").await;
    let problem = answer.problem(400, "bad-request");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("https://")), "{problem}");
    assert_eq!(server.requests(), 0);
    // So is who begins with HTTP/2.
    let mut wire = world.wire().await;
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let problem = wire.answer().await.problem(400, "bad-request");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("https://")), "{problem}");
    // What is not even HTTP is answered, too, and ends.
    let mut wire = world.wire().await;
    wire.send("\u{1}\u{2}\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 400);
    assert!(wire.ends().await);
}

#[tokio::test]
async fn a_slow_handshake_ends_in_time_and_holds_up_nobody() {
    let server = Server::echo().await;
    let cert = issue(&["localhost"]);
    let mut world = world(&server, &[&cert]).await;
    world.edge().limits.header_timeout = ms(300);
    world.apply().await;
    let mut slow = Vec::new();
    for beginning in [&b""[..], &[22], &[22, 3, 1, 2, 0, 1]] {
        for _ in 0..4 {
            let mut wire = world.wire().await;
            wire.send(beginning).await;
            slow.push(wire);
        }
    }
    let config = Arc::new(trusting(&[&cert], &[]));
    assert!(ask(&mut connect(world.address(), config, "localhost").await).await.starts_with("HTTP/1.1 200"));
    for mut wire in slow {
        assert!(wire.ends().await);
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_drops_no_old_one() {
    let server = Server::echo().await;
    let (old, new) = (issue(&["localhost"]), issue(&["localhost"]));
    let mut world = world(&server, &[&old]).await;
    let mut open = connect(world.address(), Arc::new(trusting(&[&old], &[])), "localhost").await;
    world.edge().tls = tls(&[&new]);
    world.apply().await;
    let config = Arc::new(trusting(&[&new], &[]));
    assert!(ask(&mut connect(world.address(), config, "localhost").await).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut open).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_session_is_resumed_on_any_core_and_after_a_reload() {
    let server = Server::echo().await;
    let (cert, more) = (issue(&["localhost"]), issue(&["more.test"]));
    let mut world = world(&server, &[&cert]).await;
    let config = Arc::new(trusting(&[&cert], &[]));
    let mut first = connect(world.address(), config.clone(), "localhost").await;
    assert_eq!(first.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    ask(&mut first).await;
    world.edge().tls = tls(&[&cert, &more]);
    world.apply().await;
    for _ in 0..8 {
        let mut again = connect(world.address(), config.clone(), "localhost").await;
        assert_eq!(again.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        ask(&mut again).await;
    }
}

#[tokio::test]
async fn a_listener_turns_to_tls_and_back_without_a_pause() {
    let server = Server::echo().await;
    let cert = issue(&["localhost"]);
    let mut world = World::of(&server).await;
    let address = world.address();
    let mut plain = world.wire().await;
    assert_eq!(plain.ask("GET /a HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    world.edge().tls = tls(&[&cert]);
    world.apply().await;
    assert_eq!(world.address(), address);
    assert_eq!(plain.ask("GET /a HTTP/1.1\r\nHost: shop\r\n\r\n").await.status, 200);
    assert_eq!(world.get("/a").await.status, 400);
    world.edge().tls = None;
    world.apply().await;
    assert_eq!(world.get("/a").await.status, 200);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_handshake_that_does_not_come() {
    let server = Server::echo().await;
    let world = world(&server, &[&issue(&["localhost"])]).await;
    let mut silent: Wire = world.wire().await;
    silent.send([22]).await;
    assert!(world.mesh.drain_gateway(ms(5_000)).await);
    assert!(silent.ends().await);
    until("nothing listens", || std::net::TcpStream::connect(world.address()).is_err()).await;
}
