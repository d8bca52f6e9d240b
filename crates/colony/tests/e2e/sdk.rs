//! Dapr's own SDK for Python, as it is published, against a sidecar.
//!
//! It is installed by pip in the version that `crates/colony/tests/sdk` names, which needs Python and the package index:
//! more than a contributor needs otherwise, so this is only there with the feature `conformance`, as in CI.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sidecar::Sidecar;
use crate::world::root;

const HOME: &str = "crates/colony/tests/sdk";

#[test]
fn a_program_with_the_python_sdk_works_as_it_is() {
    let python = python();
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
    let mut program = Command::new(python);
    program.arg(root().join(HOME).join("state.py"));
    program.env("DAPR_HTTP_PORT", port(&sidecar.http)).env("DAPR_GRPC_PORT", port(&sidecar.grpc));
    let output = program.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

#[test]
fn locks_configuration_and_jobs_are_used_with_the_python_sdk() {
    let python = python();
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
    let mut program = Command::new(python);
    program.arg(root().join(HOME).join("blocks.py"));
    program.env("DAPR_HTTP_PORT", port(&sidecar.http)).env("DAPR_GRPC_PORT", port(&sidecar.grpc));
    let output = program.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

#[test]
fn a_program_calls_others_with_the_python_sdk_and_grpcio() {
    let python = python();
    let dir = tempfile::tempdir().expect("a folder");
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        listener.local_addr().expect("an address").port().to_string()
    };
    let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
    let (http, grpc) = (free(), free());
    let binary = PathBuf::from(crate::world::binary());
    let start = |flags: &[&str]| Sidecar::start_in(&binary, dir.path(), flags, &[]);
    let mut shop = start(&["--app-id", "shop"]);
    let mut orders = start(&["--app-id", "orders", "--app-port", &http]);
    let mut talk = start(&["--app-id", "talk", "--app-port", &grpc, "--app-protocol", "grpc"]);
    let mut program = Command::new(python);
    program.arg(root().join(HOME).join("invoke.py")).env("HTTP_APP_PORT", http).env("GRPC_APP_PORT", grpc);
    program.env("DAPR_HTTP_PORT", port(&shop.http)).env("DAPR_GRPC_PORT", port(&shop.grpc));
    let output = program.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((talk.end(), orders.end(), shop.end()), (Some(0), Some(0), Some(0)));
}

#[test]
fn a_program_with_the_python_sdk_publishes_and_reads_back() {
    let python = python();
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
    let mut program = Command::new(python);
    program.arg(root().join(HOME).join("publish.py"));
    program.env("DAPR_HTTP_PORT", port(&sidecar.http)).env("DAPR_GRPC_PORT", port(&sidecar.grpc));
    let output = program.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

#[test]
fn a_program_with_the_python_sdk_subscribes_by_callbacks_and_by_streams() {
    let python = python();
    let dir = tempfile::tempdir().expect("a folder");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let app_port = holder.local_addr().expect("an address").port().to_string();
    drop(holder);
    let mut sidecar = Sidecar::start(&dir, &["--app-port", &app_port, "--app-protocol", "grpc"]);
    let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
    let mut program = Command::new(python);
    program.arg(root().join(HOME).join("subscribe.py")).env("APP_PORT", &app_port);
    program.env("DAPR_HTTP_PORT", port(&sidecar.http)).env("DAPR_GRPC_PORT", port(&sidecar.grpc));
    let output = program.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sidecar.exit_code(), Some(0), "the program has asked for the end");
}

/// A Python that has the SDK.
fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    run(
        Command::new("python3").args(["-m", "venv"]).arg(&home),
        "Debian's packages are `python3` and `python3-venv`",
    );
    let python = home.join("bin/python");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(pip.arg(root().join(HOME).join("requirements.txt")), "it comes from the Python package index");
    python
}

fn run(command: &mut Command, needs: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {needs}"));
    assert!(output.status.success(), "{command:?}: {}; {needs}", String::from_utf8_lossy(&output.stderr));
}
