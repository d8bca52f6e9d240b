//! Makes Rust of the messages and services in `proto`, without a `protoc` that would have to be installed.

#![allow(clippy::disallowed_macros, reason = "it is how a build script speaks to cargo")]

use std::error::Error;

/// What is compiled; what these import comes with them.
const FILES: [&str; 7] = [
    "colony/v1/queues.proto",
    "colony/v1/streams.proto",
    "colony/v1/topics.proto",
    "dapr/proto/runtime/v1/appcallback.proto",
    "dapr/proto/runtime/v1/dapr.proto",
    "google/rpc/error_details.proto",
    "grpc/health/v1/health.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    // Payloads are parts of what was received, not copies; maps are in order, and cost nothing while they are empty.
    tonic_prost_build::configure().build_transport(false).bytes(".").btree_map(".").compile_fds(files)?;
    Ok(())
}
