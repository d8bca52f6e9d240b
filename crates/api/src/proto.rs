//! The messages and services of `proto`, as they are generated: maintained there.

#![allow(
    missing_docs,
    clippy::all,
    clippy::missing_errors_doc,
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    reason = "generated; the files in `proto` say what they are"
)]

/// What Colony has beside them.
pub mod colony {
    pub mod v1 {
        tonic::include_proto!("colony.v1");
    }
}
/// Dapr's packages.
pub mod dapr {
    pub mod common {
        pub mod v1 {
            tonic::include_proto!("dapr.proto.common.v1");
        }
    }
    pub mod runtime {
        pub mod v1 {
            tonic::include_proto!("dapr.proto.runtime.v1");
        }
    }
}
/// What errors say.
pub mod rpc {
    tonic::include_proto!("google.rpc");
}
/// The health protocol.
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
