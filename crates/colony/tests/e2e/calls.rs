//! Sidecars of one folder whose applications call each other, through policies that a resource declares.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sidecar::Sidecar;
use crate::world::binary;

/// An application that fails twice on `/flaky` and always on `/broken`, and otherwise says what it was asked. It is not well
/// while it has been asked for its end.
fn application() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port().to_string();
    let (failed, ill) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let is_ill = Arc::clone(&ill);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (failed, ill) = (Arc::clone(&failed), Arc::clone(&ill));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut head, mut length) = (String::new(), 0);
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        let lower = line.to_ascii_lowercase();
                        if let Some(value) = lower.strip_prefix("content-length:") {
                            length = value.trim().parse().expect("a length");
                        }
                        if line == "\r\n" {
                            break;
                        }
                        head.push_str(&line);
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).expect("a body");
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let fails = match path.as_str() {
                        "/broken" => true,
                        "/flaky" => failed.fetch_add(1, Ordering::Relaxed) < 2,
                        "/alive" => ill.load(Ordering::Relaxed) > 0,
                        _ => false,
                    };
                    let status = if fails { "500 Internal Server Error" } else { "200 OK" };
                    let said = format!(
                        "{}{}",
                        head.lines().next().unwrap_or_default(),
                        String::from_utf8_lossy(&body)
                    );
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{said}", said.len());
                    if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, is_ill)
}

const POLICIES: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: calls
scopes: [shop]
spec:
  policies:
    retries:
      thrice: { duration: 10ms, maxRetries: 3 }
    circuitBreakers:
      pause: { trip: consecutiveFailures >= 4 }
  targets:
    apps:
      orders: { retry: thrice, circuitBreaker: pause }
";

#[test]
fn applications_call_each_other_through_their_sidecars() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("resources")).expect("made");
    std::fs::write(dir.path().join("resources/calls.yaml"), POLICIES).expect("written");
    let (port, ill) = application();
    let endpoint = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: HTTPEndpoint\nmetadata:\n  name: partner\nspec:\n  baseUrl: http://127.0.0.1:{port}/base\n"
    );
    std::fs::write(dir.path().join("resources/partner.yaml"), endpoint).expect("written");
    let mut shop = Sidecar::start(&dir, &["--resources-path", "resources"]);
    let health = [
        "--enable-app-health-check",
        "--app-health-check-path",
        "/alive",
        "--app-health-probe-interval",
        "1",
        "--app-health-threshold",
        "1",
    ];
    let flags = [&["--app-id", "orders", "--app-port", &port][..], &health].concat();
    let mut orders = Sidecar::start_in(&PathBuf::from(binary()), dir.path(), &flags, &[]);
    assert!(orders.said("the application is well"));
    let answer = shop.ask("POST", "/v1.0/invoke/orders/method/place?fast=1", "3 apples");
    assert_eq!((answer.status, answer.body.as_str()), (200, "POST /place?fast=1 HTTP/1.13 apples"));
    let answer = orders.ask("GET", "/v1.0/invoke/orders/method/own", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "GET /own HTTP/1.1"));
    let answer = shop.ask("POST", "/v1.0/invoke/orders/method/flaky", "again");
    assert_eq!((answer.status, answer.body.as_str()), (200, "POST /flaky HTTP/1.1again"));
    let answer = orders.ask("GET", "/v1.0/invoke/orders/method/broken", "");
    assert_eq!((answer.status, answer.body.as_str()), (500, "GET /broken HTTP/1.1"), "without policies");
    assert_eq!(shop.ask("GET", "/v1.0/invoke/orders/method/broken", "").status, 500);
    let open = shop.ask("GET", "/v1.0/invoke/orders/method/broken", "");
    assert!(open.status == 500 && open.body.contains("circuit breaker is open"), "{open:?}");
    let outside = shop.ask("GET", "/v1.0/invoke/partner/method/x", "");
    assert_eq!((outside.status, outside.body.as_str()), (200, "GET /base/x HTTP/1.1"));
    let told = orders.ask("GET", "/v1.0/metadata", "").json();
    assert_eq!(told["appConnectionProperties"]["health"]["healthProbeInterval"], "1s");
    ill.store(1, Ordering::Relaxed);
    assert!(orders.said("the application is not well"));
    let refused = shop.ask("POST", "/v1.0/invoke/orders/method/place", "");
    assert!(refused.status == 500 && refused.body.contains("app is not in a healthy state"), "{refused:?}");
    assert_eq!(shop.ask("POST", "/v1.0/invoke/nobody/method/x", "").json()["errorCode"], "ERR_DIRECT_INVOKE");
    assert_eq!((shop.end(), orders.end()), (Some(0), Some(0)));
}

#[test]
fn a_condition_that_is_none_is_drawn_with_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("resources")).expect("made");
    let wrong = POLICIES.replace("consecutiveFailures >= 4", "failures in a row");
    std::fs::write(dir.path().join("resources/calls.yaml"), wrong).expect("written");
    let mut command = std::process::Command::new(binary());
    command.args(["sidecar", "--app-id", "shop", "--resources-path", "resources"]).current_dir(dir.path());
    let refused = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("resources/calls.yaml:11:") && said.contains("an expression in CEL over requests"),
        "{said}"
    );
}
