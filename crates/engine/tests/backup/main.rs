//! Backups: what was acknowledged is in them, what shards send each other fits, and what is not whole is refused.

mod bytes;
mod fixtures;
mod folders;
mod moments;
mod property;
mod sockets;
mod world;
