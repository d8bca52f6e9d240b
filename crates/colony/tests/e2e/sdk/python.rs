//! The SDK for Python against a sidecar.

use std::process::Command;

use super::{HOME, play, python};
use crate::port::free_port;
use crate::sidecar::Sidecar;
use crate::world::{binary, root};

#[test]
fn a_program_with_the_python_sdk_works_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    play(&mut program("state.py"), &sidecar);
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

#[test]
fn locks_configuration_and_jobs_are_used_with_the_python_sdk() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    play(&mut program("blocks.py"), &sidecar);
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

#[test]
fn a_program_calls_others_with_the_python_sdk_and_grpcio() {
    let dir = tempfile::tempdir().expect("a folder");
    let (http, grpc) = (free_port().to_string(), free_port().to_string());
    let start = |flags: &[&str]| Sidecar::start_in(binary().as_ref(), dir.path(), flags, &[]);
    let mut shop = start(&["--app-id", "shop"]);
    let mut orders = start(&["--app-id", "orders", "--app-port", &http]);
    let mut talk = start(&["--app-id", "talk", "--app-port", &grpc, "--app-protocol", "grpc"]);
    play(program("invoke.py").env("HTTP_APP_PORT", http).env("GRPC_APP_PORT", grpc), &shop);
    assert_eq!((talk.end(), orders.end(), shop.end()), (Some(0), Some(0), Some(0)));
}

#[test]
fn a_program_with_the_python_sdk_publishes_and_reads_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    play(&mut program("publish.py"), &sidecar);
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

#[test]
fn a_program_with_the_python_sdk_subscribes_by_callbacks_and_by_streams() {
    let dir = tempfile::tempdir().expect("a folder");
    let port = free_port().to_string();
    let mut sidecar = Sidecar::start(&dir, &["--app-port", &port, "--app-protocol", "grpc"]);
    play(program("subscribe.py").env("APP_PORT", &port), &sidecar);
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

fn program(file: &str) -> Command {
    let mut program = Command::new(python().join("python"));
    program.arg(root().join(HOME).join(file));
    program
}
