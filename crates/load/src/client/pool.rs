//! Keep-alive connections, grown on demand up to a bound.
//!
//! Whoever finds all of them busy waits in line; a [`Slot`] that is dropped, however its request
//! ended, wakes the first in line, so no connection is ever lost to a request that was given up.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::Broken;

type Sender = SendRequest<Full<Bytes>>;

/// All connections to one target. Cloning it shares them.
#[derive(Clone)]
pub(crate) struct Pool(Rc<Shared>);

struct Shared {
    addresses: Vec<SocketAddr>,
    max: usize,
    open: Cell<usize>,
    opened: Cell<u64>,
    idle: RefCell<Vec<(Sender, Slot)>>,
    line: RefCell<VecDeque<oneshot::Sender<Grant>>>,
}

/// The right to one connection, and the connection.
pub(crate) struct Lease {
    pub sender: Sender,
    /// Whether it has carried a request before.
    pub reused: bool,
    slot: Slot,
}

struct Slot(Rc<Shared>);

/// A slot, with a connection if there is one that still stands.
struct Grant {
    slot: Slot,
    sender: Option<Sender>,
}

impl Pool {
    pub(crate) fn new(addresses: Vec<SocketAddr>, max: usize) -> Pool {
        Pool(Rc::new(Shared {
            addresses,
            max,
            open: Cell::new(0),
            opened: Cell::new(0),
            idle: RefCell::default(),
            line: RefCell::default(),
        }))
    }

    /// Connections opened since the start.
    pub(crate) fn opened(&self) -> u64 {
        self.0.opened.get()
    }

    /// An idle connection, the one used last; else a new one; else the first that is given back.
    pub(crate) async fn take(&self) -> Result<Lease, Broken> {
        let Grant { slot, sender } = self.grant().await;
        match sender {
            Some(sender) => Ok(Lease { sender, reused: true, slot }),
            None => Ok(Lease { sender: self.connect().await?, reused: false, slot }),
        }
    }

    /// Replaces the lease's connection with a fresh one.
    pub(crate) async fn reconnect(&self, lease: &mut Lease) -> Result<(), Broken> {
        lease.sender = self.connect().await?;
        lease.reused = false;
        Ok(())
    }

    /// Keeps the lease's connection for others, if it can carry another request.
    pub(crate) async fn give_back(&self, lease: Lease) {
        let Lease { mut sender, slot, .. } = lease;
        if sender.ready().await.is_err() {
            return;
        }
        match self.0.next_in_line() {
            Some(next) => drop(next.send(Grant { slot, sender: Some(sender) })),
            None => self.0.idle.borrow_mut().push((sender, slot)),
        }
    }

    /// Drops all idle connections. They hold the pool itself, so it must end with this.
    pub(crate) fn close(&self) {
        let idle = std::mem::take(&mut *self.0.idle.borrow_mut());
        drop(idle);
    }

    async fn grant(&self) -> Grant {
        loop {
            if let Some(grant) = self.grant_now() {
                return grant;
            }
            let (send, receive) = oneshot::channel();
            self.0.line.borrow_mut().push_back(send);
            if let Ok(grant) = receive.await {
                return grant;
            }
        }
    }

    fn grant_now(&self) -> Option<Grant> {
        loop {
            let idle = self.0.idle.borrow_mut().pop();
            match idle {
                Some((sender, slot)) if sender.is_ready() => {
                    return Some(Grant { slot, sender: Some(sender) });
                }
                Some(stale) => drop(stale),
                None => break,
            }
        }
        if self.0.open.get() == self.0.max {
            return None;
        }
        self.0.open.set(self.0.open.get() + 1);
        Some(Grant { slot: Slot(self.0.clone()), sender: None })
    }

    async fn connect(&self) -> Result<Sender, Broken> {
        let stream = TcpStream::connect(&self.0.addresses[..]).await.map_err(Broken::Connect)?;
        stream.set_nodelay(true).map_err(Broken::Connect)?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| Broken::Reset(error.to_string()))?;
        self.0.opened.set(self.0.opened.get() + 1);
        // What ends a connection is told to the request on it; an idle one may end unnoticed.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }
}

impl Shared {
    /// Whoever has waited longest and still does. On one thread nobody gives up between this and
    /// the grant that follows.
    fn next_in_line(&self) -> Option<oneshot::Sender<Grant>> {
        let mut line = self.line.borrow_mut();
        loop {
            match line.pop_front() {
                Some(gone) if gone.is_closed() => {}
                next => return next,
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        if let Some(next) = self.0.next_in_line() {
            self.0.open.set(self.0.open.get() + 1);
            drop(next.send(Grant { slot: Slot(self.0.clone()), sender: None }));
        }
    }
}
