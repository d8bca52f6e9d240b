//! What an application's API is closed to: whole groups of endpoints (`apis`), other applications' calls (`calls`), and
//! browsers with pages of another origin (`origins`). All of it is open unless a configuration or a flag says otherwise, and
//! then costs a comparison a request.

mod apis;
mod calls;
mod origins;

pub(crate) use apis::of_grpc;
pub use apis::{Apis, Group, Open};
pub use calls::{Access, Calls, Operation, Policy};
pub(crate) use calls::{Asked, Denied};
pub use origins::Origins;
