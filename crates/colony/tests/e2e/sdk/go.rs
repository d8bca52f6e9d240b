//! The SDK for Go beside a sidecar, in a program that serves over HTTP, and in one that does over gRPC.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{HOME, play, resources, run, target};
use crate::port::free_port;
use crate::sidecar::Sidecar;
use crate::world::root;

#[test]
fn an_application_with_the_go_sdk_works_over_http() {
    application("http");
}

#[test]
fn an_application_with_the_go_sdk_works_over_grpc() {
    application("grpc");
}

fn application(protocol: &str) {
    let dir = resources();
    let port = free_port().to_string();
    let flags = ["--app-port", &port, "--app-protocol", protocol, "--resources-path", "resources"];
    let mut sidecar = Sidecar::start(&dir, &flags);
    play(Command::new(program()).arg(protocol).env("APP_PORT", &port), &sidecar);
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

/// The program, built once a run.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = target().join("go-sdk");
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".");
        // What is installed has to do.
        go.current_dir(root().join(HOME).join("go")).env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
        run(&mut go, "Go 1.22.6 or newer is needed; the modules come from Go's proxy");
        program
    })
}
