//! One core of the data plane: a thread with a runtime of its own that shares nothing with the
//! others but what `upstream` and `guard` say.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use policy::deadline::header::Node;
use policy::{Rng, Time};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::client::serve;
use crate::clock;
use crate::neighbours::Neighbours;
use crate::spans::{self, Recording, Trace};
use crate::table::{LocalListener, LocalTable, Table};

/// How often idle connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What the handle asks of a core.
pub(crate) enum Command {
    /// Serve this from now on; `sockets` are new listeners by name.
    Apply { table: Arc<Table>, sockets: Vec<(String, std::net::TcpListener)>, done: oneshot::Sender<()> },
    /// Stop accepting on these listeners and let their connections end after what they are doing.
    Drain { listeners: Vec<String>, done: oneshot::Sender<()> },
    /// Serve this connection, which another core has accepted.
    Adopt { listener: String, stream: std::net::TcpStream, peer: SocketAddr },
    /// Hand spans over there, or nowhere.
    Record(Option<Recording>),
    /// End now.
    Stop,
}

/// What everything on a core shares.
pub(crate) struct Core {
    pub(crate) index: usize,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) neighbours: Arc<Neighbours>,
    /// Whose clock deadlines are told by.
    pub(crate) node: Node,
    table: RefCell<Rc<LocalTable>>,
    /// What was served until a moment ago, for connections that are handed over meanwhile.
    before: RefCell<Rc<LocalTable>>,
    acceptors: RefCell<HashMap<String, Acceptor>>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    next_connection: Cell<u64>,
    date: RefCell<(String, Time)>,
    recording: RefCell<Option<Rc<spans::Local>>>,
}

struct Acceptor {
    task: tokio::task::JoinHandle<()>,
    socket: Rc<tokio::net::TcpListener>,
}

/// A client's connection, as far as its core must know.
pub(crate) struct Connection {
    pub(crate) listener: String,
    /// Waiting for a head since then; None: a request is under way.
    waiting: Cell<Option<Time>>,
    requests: Cell<u32>,
    /// How many of the requests have become another protocol.
    tunnels: Cell<u32>,
    pub(crate) end: Cell<End>,
    waker: RefCell<Option<Waker>>,
}

/// How a connection is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Not at all.
    No,
    /// After what is under way.
    Graceful,
    /// At once: it has kept us waiting for too long.
    Now,
}

impl Connection {
    /// Resolves when the connection shall end; `seen` is how it was asked before.
    pub(crate) fn poll_end(&self, seen: End, cx: &mut std::task::Context<'_>) -> std::task::Poll<End> {
        if self.end.get() != seen {
            return std::task::Poll::Ready(self.end.get());
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        std::task::Poll::Pending
    }

    fn ask(&self, end: End) {
        self.end.set(end);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// A request has come. HTTP/2 has several at a time.
    pub(crate) fn begin(self: &Rc<Self>) -> Exchange {
        self.requests.set(self.requests.get() + 1);
        self.waiting.set(None);
        Exchange { connection: self.clone(), tunnel: false, trace: Trace::default() }
    }

    /// Whether only other protocols are under way. Nobody knows how to end these: a drain does not wait
    /// for them.
    fn is_tunnel(&self) -> bool {
        self.tunnels.get() > 0 && self.tunnels.get() == self.requests.get()
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.get().is_some()
    }
}

/// A request under way, until its answer's last byte is handed over or nobody wants it any more.
pub(crate) struct Exchange {
    connection: Rc<Connection>,
    tunnel: bool,
    /// What is recorded of it.
    pub(crate) trace: Trace,
}

impl Exchange {
    /// It carries another protocol from now on.
    pub(crate) fn becomes_tunnel(&mut self) {
        self.tunnel = true;
        self.connection.tunnels.set(self.connection.tunnels.get() + 1);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let left = self.connection.requests.get().saturating_sub(1);
        self.connection.requests.set(left);
        if self.tunnel {
            self.connection.tunnels.set(self.connection.tunnels.get().saturating_sub(1));
        }
        if left > 0 && !self.trace.is_on() {
            return;
        }
        let now = clock::now();
        self.trace.end(now);
        if left == 0 {
            self.connection.waiting.set(Some(now));
        }
    }
}

impl Core {
    fn new(index: usize, seed: u64, neighbours: Arc<Neighbours>) -> Rc<Core> {
        Rc::new(Core {
            index,
            rng: RefCell::new(Rng::new(seed.wrapping_add(index as u64))),
            node: Node::of(seed),
            neighbours,
            table: RefCell::default(),
            before: RefCell::default(),
            acceptors: RefCell::default(),
            connections: RefCell::default(),
            next_connection: Cell::new(0),
            date: RefCell::default(),
            recording: RefCell::default(),
        })
    }

    pub(crate) fn table(&self) -> Rc<LocalTable> {
        self.table.borrow().clone()
    }

    /// Where spans go. None: nothing is recorded.
    #[inline]
    pub(crate) fn recording(&self) -> Option<Rc<spans::Local>> {
        self.recording.borrow().clone()
    }

    /// Counts a connection in. None: the listener has as many as it may have.
    pub(crate) fn admit(self: &Rc<Self>, name: &str, listener: &LocalListener) -> Option<Admitted> {
        let place = Place::take(&listener.open, listener.limits.connections)?;
        let mut connections = self.connections.borrow_mut();
        let id = self.next_connection.get();
        self.next_connection.set(id + 1);
        let connection = Rc::new(Connection {
            listener: name.to_owned(),
            waiting: Cell::new(Some(clock::now())),
            requests: Cell::new(0),
            tunnels: Cell::new(0),
            end: Cell::new(End::No),
            waker: RefCell::new(None),
        });
        connections.insert(id, connection.clone());
        self.neighbours.tell(self.index, connections.len());
        Some(Admitted { core: self.clone(), id, connection, _place: place })
    }

    /// Shows the value of a `Date` field, made once a second.
    pub(crate) fn date(&self, show: impl FnOnce(&[u8])) {
        let now = clock::now();
        let mut date = self.date.borrow_mut();
        if date.0.is_empty() || now.since(date.1) >= Duration::from_secs(1) {
            *date = (clock::http_date(), now);
        }
        show(date.0.as_bytes());
    }

    fn apply(
        self: &Rc<Self>,
        table: Arc<Table>,
        sockets: Vec<(String, std::net::TcpListener)>,
    ) -> io::Result<()> {
        let local = LocalTable::new(table, &self.table.borrow(), self.index);
        let gone: Vec<String> = self
            .acceptors
            .borrow()
            .keys()
            .filter(|name| !local.listeners.contains_key(*name))
            .cloned()
            .collect();
        let replaced = sockets.iter().map(|(name, _)| name.clone());
        // By the old table: what the kernel has queued for a listener that goes is still served.
        self.stop_accepting(gone.into_iter().chain(replaced).collect::<Vec<_>>().iter());
        *self.before.borrow_mut() = self.table.replace(Rc::new(local));
        for (name, socket) in sockets {
            let socket = Rc::new(tokio::net::TcpListener::from_std(socket)?);
            let task = tokio::task::spawn_local(serve::accept(self.clone(), name.clone(), socket.clone()));
            self.acceptors.borrow_mut().insert(name, Acceptor { task, socket });
        }
        Ok(())
    }

    /// Closes listeners. Connections the kernel has accepted already are served, then all of these
    /// listeners' connections are asked to end.
    fn stop_accepting<'n>(self: &Rc<Self>, names: impl Iterator<Item = &'n String>) {
        for name in names {
            let Some(acceptor) = self.acceptors.borrow_mut().remove(name) else { continue };
            acceptor.task.abort();
            serve::accept_pending(self, name, &acceptor.socket);
            for connection in self.connections.borrow().values().filter(|c| c.listener == *name) {
                connection.ask(End::Graceful);
            }
        }
    }

    /// Serves a connection that another core has accepted. If its listener went meanwhile, it is served
    /// as those are that were accepted here before.
    fn adopt(self: &Rc<Self>, name: &str, stream: std::net::TcpStream, peer: SocketAddr) {
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
        if self.table().listeners.contains_key(name) {
            return serve::start(self, &self.table(), name, stream, peer);
        }
        let before = self.before.borrow().clone();
        serve::start(self, &before, name, stream, peer);
        for connection in self.connections.borrow().values().filter(|c| c.listener == *name) {
            connection.ask(End::Graceful);
        }
    }

    /// Ends connections that send no request, forgets idle ones upstream.
    fn sweep(&self, now: Time) {
        // Whatever was under way between two cores at the last change has arrived.
        self.before.take();
        if let Some(recording) = self.recording() {
            recording.tick();
        }
        let table = self.table();
        for connection in self.connections.borrow().values() {
            let Some(listener) = table.listeners.get(&connection.listener) else { continue };
            let waited = connection
                .waiting
                .get()
                .is_some_and(|since| now.since(since) > listener.limits.header_timeout);
            if waited {
                connection.ask(End::Now);
            }
        }
        for upstream in table.upstreams.values() {
            upstream.sweep(now);
        }
    }

    fn has_connections(&self, listeners: &[String]) -> bool {
        let connections = self.connections.borrow();
        connections.values().any(|open| listeners.contains(&open.listener) && !open.is_tunnel())
    }
}

/// A connection's place among those of its core, given up when dropped.
pub(crate) struct Admitted {
    core: Rc<Core>,
    id: u64,
    pub(crate) connection: Rc<Connection>,
    /// Given up with it.
    _place: Place,
}

/// One of the connections that a listener may have over all cores.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Place> {
        let place = Place(open.clone());
        (open.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut connections = self.core.connections.borrow_mut();
        connections.remove(&self.id);
        self.core.neighbours.tell(self.core.index, connections.len());
    }
}

/// The life of a core's thread.
pub(crate) fn run(
    index: usize,
    seed: u64,
    neighbours: Arc<Neighbours>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let core = Core::new(index, seed, neighbours);
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                _ = sweep.tick() => {
                    core.sweep(clock::now());
                    continue;
                }
            };
            match command {
                Some(Command::Apply { table, sockets, done }) => {
                    core.apply(table, sockets)?;
                    let _ = done.send(());
                }
                Some(Command::Drain { listeners, done }) => {
                    core.stop_accepting(listeners.iter());
                    tokio::task::spawn_local(drained(core.clone(), listeners, done));
                }
                Some(Command::Adopt { listener, stream, peer }) => core.adopt(&listener, stream, peer),
                Some(Command::Record(to)) => {
                    core.recording.replace(to.map(|to| Rc::new(spans::Local::new(to))));
                }
                Some(Command::Stop) | None => return Ok(()),
            }
        }
    })
}

async fn drained(core: Rc<Core>, listeners: Vec<String>, done: oneshot::Sender<()>) {
    // At least once: a connection may be on its way here from another core.
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if !core.has_connections(&listeners) || done.is_closed() {
            break;
        }
    }
    let _ = done.send(());
}
