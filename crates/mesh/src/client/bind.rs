//! Listening sockets, one a core on the same address.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel queues for a socket before it refuses.
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The listener's name.
    pub listener: String,
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said; `AddrInUse` if somebody else has it.
    pub source: io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot listen on {} for {}", self.address, self.listener)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// `count` sockets on one address.
///
/// The kernel would let two programs of one user share the address by `SO_REUSEPORT`, so a first
/// bind without it makes sure that nobody else is there.
pub(crate) fn bind(listener: &str, address: SocketAddr, count: usize) -> Result<Vec<TcpListener>, BindError> {
    let error = |source| BindError { listener: listener.to_owned(), address, source };
    let alone = socket(address, false).map_err(error)?;
    let address = alone.local_addr().ok().and_then(|bound| bound.as_socket()).unwrap_or(address);
    drop(alone);
    (0..count).map(|_| socket(address, true).map(TcpListener::from)).collect::<Result<_, _>>().map_err(error)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_refused_although_it_is_shared() {
        let sockets = bind("a", SocketAddr::from(([127, 0, 0, 1], 0)), 2).expect("free");
        let address = sockets[0].local_addr().expect("bound");
        assert_eq!(address, sockets[1].local_addr().expect("bound"));
        let error = bind("b", address, 1).expect_err("taken");
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }
}
