//! The SDK for JavaScript beside a sidecar: what it does over HTTP, and the same over gRPC.

use std::process::Command;

use super::{HOME, node, play, resources};
use crate::port::free_port;
use crate::sidecar::Sidecar;
use crate::world::{binary, root};

#[test]
fn an_application_with_the_javascript_sdk_works_over_http() {
    application("HTTP", "http");
}

#[test]
fn an_application_with_the_javascript_sdk_works_over_grpc() {
    application("GRPC", "grpc");
}

#[test]
fn a_program_calls_others_with_grpc_js() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port().to_string();
    let start = |flags: &[&str]| Sidecar::start_in(binary().as_ref(), dir.path(), flags, &[]);
    let mut shop = start(&["--app-id", "shop"]);
    let mut talk = start(&["--app-id", "talk", "--app-port", &port, "--app-protocol", "grpc"]);
    play(program("proxy.js").env("GRPC_APP_PORT", port), &shop);
    assert_eq!((talk.end(), shop.end()), (Some(0), Some(0)));
}

fn application(protocol: &str, app_protocol: &str) {
    let dir = resources();
    let port = free_port().to_string();
    let flags = ["--app-port", &port, "--app-protocol", app_protocol, "--resources-path", "resources"];
    let mut sidecar = Sidecar::start(&dir, &flags);
    play(program("application.js").arg(protocol).env("APP_PORT", &port), &sidecar);
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

fn program(file: &str) -> Command {
    let mut program = Command::new("node");
    program.arg(root().join(HOME).join(file)).env("NODE_PATH", node());
    program
}
