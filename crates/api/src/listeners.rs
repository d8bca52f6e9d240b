//! Sockets on which nobody is answered yet: of TCP or, where a folder is named, of Unix.
//!
//! Who has bound them may hand them to another process, and keep duplicates: whoever connects while nobody accepts waits.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use tokio::net::{TcpStream, UnixStream};

/// The listeners of one application.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Where HTTP is served.
    pub http: Vec<Listener>,
    /// Where gRPC is served.
    pub grpc: Vec<Listener>,
}

/// A socket that listens, and does not block.
#[derive(Debug)]
pub enum Listener {
    /// Of an address and a port.
    Tcp(TcpListener),
    /// Of a path.
    Unix(UnixListener),
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// What should be served there: `HTTP` or `gRPC`.
    pub what: &'static str,
    /// Where.
    pub address: String,
    /// The port, if it has one.
    pub port: Option<u16>,
    /// Why not.
    pub source: io::Error,
}

/// A listener that connections are taken from.
#[derive(Debug)]
pub(crate) enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listeners {
    /// Listens on all addresses; a port of zero is picked by the kernel.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened on.
    pub async fn bind(http: &[SocketAddr], grpc: &[SocketAddr]) -> Result<Listeners, BindError> {
        Ok(Listeners { http: bound("HTTP", http).await?, grpc: bound("gRPC", grpc).await? })
    }

    /// Listens on two paths, whose files are new.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened on.
    pub fn bind_unix(http: &Path, grpc: &Path) -> Result<Listeners, BindError> {
        Ok(Listeners { http: vec![at_path("HTTP", http)?], grpc: vec![at_path("gRPC", grpc)?] })
    }

    /// The same sockets once more.
    ///
    /// # Errors
    ///
    /// If there are no more descriptors.
    pub fn try_clone(&self) -> io::Result<Listeners> {
        let clones = |all: &[Listener]| all.iter().map(Listener::try_clone).collect::<io::Result<_>>();
        Ok(Listeners { http: clones(&self.http)?, grpc: clones(&self.grpc)? })
    }
}

impl Listener {
    /// What was bound elsewhere.
    ///
    /// # Errors
    ///
    /// If it is no socket that listens, of TCP or Unix.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Listener> {
        let tcp = TcpListener::from(fd);
        if tcp.local_addr().is_ok() {
            tcp.set_nonblocking(true)?;
            return Ok(Listener::Tcp(tcp));
        }
        let unix = UnixListener::from(OwnedFd::from(tcp));
        unix.local_addr()?;
        unix.set_nonblocking(true)?;
        Ok(Listener::Unix(unix))
    }

    fn try_clone(&self) -> io::Result<Listener> {
        Ok(match self {
            Listener::Tcp(listener) => Listener::Tcp(listener.try_clone()?),
            Listener::Unix(listener) => Listener::Unix(listener.try_clone()?),
        })
    }

    /// Where it is, if that has an address.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    pub(crate) fn accepting(self) -> io::Result<Accepting> {
        Ok(match self {
            Listener::Tcp(listener) => Accepting::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Listener::Unix(listener) => Accepting::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }
}

impl Accepting {
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Accepting::Tcp(listener) => Accepted::Tcp(listener.accept().await?.0),
            Accepting::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
        })
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Accepting::Tcp(listener) => listener.local_addr().ok(),
            Accepting::Unix(_) => None,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("?"),
            },
            Listener::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.unwrap_or(Path::new("?")).display().fmt(f)
            }
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot serve {} on {}", self.what, self.address)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

async fn bound(what: &'static str, addresses: &[SocketAddr]) -> Result<Vec<Listener>, BindError> {
    let mut listeners = Vec::new();
    for address in addresses.iter().copied() {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.and_then(tokio::net::TcpListener::into_std);
        let failed =
            |source| BindError { what, address: address.to_string(), port: Some(address.port()), source };
        listeners.push(Listener::Tcp(listener.map_err(failed)?));
    }
    Ok(listeners)
}

fn at_path(what: &'static str, path: &Path) -> Result<Listener, BindError> {
    let bound = UnixListener::bind(path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(Listener::Unix(listener))
    });
    bound.map_err(|source| BindError { what, address: path.display().to_string(), port: None, source })
}
