//! Probes ask in the version of HTTP that the manifest names.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Response;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::world::{World, wait};

/// A server in this process that speaks HTTP/2 with prior knowledge and nothing else, as gRPC servers do.
fn only_http2() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("set");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let local = async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("registered");
            while let Ok((stream, _)) = listener.accept().await {
                let answer =
                    service_fn(|_| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
                let server = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
            }
        };
        #[allow(clippy::disallowed_methods, reason = "the whole of this thread")]
        runtime.block_on(local);
    });
    address
}

#[test]
fn a_service_that_speaks_only_http2_becomes_ready_once_the_manifest_says_so() {
    let manifest = format!(
        "name: grpc\ngateway: {{ listen: 127.0.0.1:0 }}\nservices:\n  app:\n    url: \"http://{}\"\n    \
         protocol: http1\n    ready: {{ http: /healthz, every: 100ms, within: 1s }}\n",
        only_http2()
    );
    let world = World::start(&manifest, &[]);
    let why = world.wait_for("not-ready")["services"][0]["why"].to_string();
    assert!(why.contains("speaks HTTP/2") && why.contains("`protocol: http2`"), "{why}");
    world.edit("protocol: http1", "protocol: http2");
    wait("readiness", || world.service("app")["state"] == "ready");
}
