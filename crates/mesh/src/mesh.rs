//! The handle on the data plane: starts its cores, changes what they serve, asks how they are,
//! ends them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::affinity;
use crate::call::guard::lock;
use crate::client::bind::{self, BindError};
use crate::clock;
use crate::config::{Config, Listener, Role};
use crate::core::{self, Command};
use crate::faults::Board;
use crate::forces::{self, LostForce};
use crate::neighbours::Neighbours;
use crate::spans::Recording;
use crate::status::{self, ListenerStatus, Status};
use crate::table::Table;
use crate::upstream::Endpoint;
use crate::upstream::resolve;

/// A running data plane. Clones are handles on the same one.
#[derive(Clone)]
pub struct Mesh {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    cores: Vec<Cored>,
    neighbours: Arc<Neighbours>,
    pub(crate) state: Mutex<State>,
    /// Taken before `state`, where both are.
    pub(crate) faults: Mutex<Board>,
    /// One change at a time.
    applying: tokio::sync::Mutex<()>,
}

struct Cored {
    commands: mpsc::UnboundedSender<Command>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) table: Arc<Table>,
    /// Address asked for and address bound, by listener.
    bound: BTreeMap<String, (SocketAddr, SocketAddr)>,
}

/// Why a configuration was not taken on. Nothing has changed then.
#[derive(Debug)]
pub enum ApplyError {
    /// An address cannot be listened on.
    Bind(BindError),
    /// The configuration contradicts itself; a bug of who made it.
    Config(String),
    /// A core's thread is gone.
    Stopped,
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ApplyError::Bind(error) => write!(f, "{error}"),
            ApplyError::Config(text) => write!(f, "the data plane cannot serve this: {text}"),
            ApplyError::Stopped => write!(f, "the data plane has stopped"),
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ApplyError::Bind(error) => Some(&error.source),
            _ => None,
        }
    }
}

impl Mesh {
    /// Starts `cores` threads that serve nothing yet, each on a CPU of its own if there are as many.
    /// `seed` feeds balancing, jitter and ids.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(cores: usize, seed: u64) -> std::io::Result<Mesh> {
        let (commands, receivers): (Vec<_>, Vec<_>) = (0..cores).map(|_| mpsc::unbounded_channel()).unzip();
        let neighbours = Neighbours::new(commands.clone());
        let mut started = Vec::new();
        for (index, (commands, receiver)) in commands.into_iter().zip(receivers).enumerate() {
            let neighbours = neighbours.clone();
            let thread = std::thread::Builder::new().name(format!("mesh-{index}")).spawn(move || {
                affinity::pin(index, cores);
                #[allow(clippy::disallowed_macros, reason = "a thread that ends has nobody else to tell")]
                if let Err(error) = core::run(index, seed, neighbours, receiver) {
                    eprintln!("colony: core {index} of the data plane ended: {error}");
                }
            })?;
            started.push(Cored { commands, thread: Mutex::new(Some(thread)) });
        }
        let inner = Inner {
            cores: started,
            neighbours,
            state: Mutex::default(),
            faults: Mutex::default(),
            applying: tokio::sync::Mutex::new(()),
        };
        Ok(Mesh { inner: Arc::new(inner) })
    }

    /// Hands the spans of the requests that come from now on over there, or to nobody; which is how it is at first.
    pub fn record(&self, to: Option<Recording>) {
        for core in &self.inner.cores {
            // One that has ended has nothing to record.
            let _ = core.commands.send(Command::Record(to.clone()));
        }
    }

    /// Serves `config` from now on. Connections and requests under way go on; state of calls and
    /// upstreams that are in both configurations is kept. Returns which breakers can be forced no more as they
    /// were. Must run within a tokio runtime.
    ///
    /// # Errors
    /// [`ApplyError`]; then nothing has changed.
    pub async fn apply(&self, config: Config) -> Result<Vec<LostForce>, ApplyError> {
        let _one = self.inner.applying.lock().await;
        let cores = self.inner.cores.len();
        let (old, bound_before) = {
            let state = lock(&self.inner.state);
            (state.table.clone(), state.bound.clone())
        };
        let table = Arc::new(Table::new(config, &old, cores).map_err(ApplyError::Config)?);
        let (bound, mut sockets) = listen(&table.config.listeners, &bound_before, cores)?;
        for (name, upstream) in &table.upstreams {
            let known = old.upstreams.get(name).is_some_and(|before| Arc::ptr_eq(before, upstream));
            if let (Some(external), false) = (&upstream.config.external, known) {
                resolve::keep_resolved(upstream, external);
            }
        }
        let (acks, lost) = self.hand_out(table, bound, &mut sockets)?;
        for ack in acks {
            ack.await.map_err(|_| ApplyError::Stopped)?;
        }
        Ok(lost)
    }

    /// Gives every core the table and its sockets; each answers when it serves by it.
    fn hand_out(
        &self,
        table: Arc<Table>,
        bound: Bound,
        sockets: &mut Sockets,
    ) -> Result<(Vec<oneshot::Receiver<()>>, Vec<LostForce>), ApplyError> {
        // Held until the table is the one in force, so that no fault or force comes or goes between the two.
        let board = lock(&self.inner.faults);
        let mut state = lock(&self.inner.state);
        board.put_on(&table);
        let lost = forces::carry_over(&state.table, &table, clock::now());
        let mut acks = Vec::new();
        for core in &self.inner.cores {
            let (done, ack) = oneshot::channel();
            let mine =
                sockets.iter_mut().filter_map(|(name, all)| Some((name.clone(), all.pop()?))).collect();
            let command = Command::Apply { table: table.clone(), sockets: mine, done };
            core.commands.send(command).map_err(|_| ApplyError::Stopped)?;
            acks.push(ack);
        }
        *state = State { table, bound };
        Ok((acks, lost))
    }

    /// These instances of an upstream, and no others, get requests from now on. Says nothing of an
    /// upstream that is not configured.
    pub fn publish(&self, upstream: &str, endpoints: &[Endpoint]) {
        let table = lock(&self.inner.state).table.clone();
        if let Some(upstream) = table.upstreams.get(upstream) {
            upstream.publish_if_changed(endpoints);
        }
    }

    /// No instance of an upstream is to be expected soon: requests for it fail at once instead of
    /// being held, until some are published.
    pub fn give_up(&self, upstream: &str) {
        let table = lock(&self.inner.state).table.clone();
        if let Some(upstream) = table.upstreams.get(upstream) {
            upstream.give_up();
        }
    }

    /// Requests under way on an instance, also one that is no longer published.
    pub fn in_flight(&self, upstream: &str, id: &str) -> usize {
        let table = lock(&self.inner.state).table.clone();
        table.upstreams.get(upstream).map_or(0, |upstream| upstream.in_flight(id))
    }

    /// Where a listener listens.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        lock(&self.inner.state).bound.get(listener).map(|(_, bound)| *bound)
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let (table, bound) = {
            let state = lock(&self.inner.state);
            (state.table.clone(), state.bound.clone())
        };
        let listeners = bound
            .into_iter()
            .map(|(name, (_, address))| ListenerStatus { name, address: address.to_string() })
            .collect();
        Status {
            listeners,
            connections: self.inner.neighbours.connections(),
            faults: self.faults(),
            ..status::of(&table)
        }
    }

    /// Stops accepting at the edge and waits until what came in has been answered, for `grace` at
    /// most. True: nothing was cut off.
    pub async fn drain_gateway(&self, grace: Duration) -> bool {
        self.drain(grace, |role| matches!(role, Role::Gateway { .. })).await
    }

    /// The same for the calls between services.
    pub async fn drain_calls(&self, grace: Duration) -> bool {
        self.drain(grace, |role| !matches!(role, Role::Gateway { .. })).await
    }

    async fn drain(&self, grace: Duration, which: impl Fn(&Role) -> bool) -> bool {
        let table = lock(&self.inner.state).table.clone();
        let chosen = table.config.listeners.iter().filter(|(_, listener)| which(&listener.role));
        let names: Vec<String> = chosen.map(|(name, _)| name.clone()).collect();
        self.inner.neighbours.settle();
        let mut waits = Vec::new();
        for core in &self.inner.cores {
            let (done, wait) = oneshot::channel();
            if core.commands.send(Command::Drain { listeners: names.clone(), done }).is_ok() {
                waits.push(wait);
            }
        }
        let all = async {
            for wait in waits {
                let _ = wait.await;
            }
        };
        tokio::time::timeout(grace, all).await.is_ok()
    }

    /// Ends all cores at once and waits for their threads.
    pub fn stop(&self) {
        for core in &self.inner.cores {
            let _ = core.commands.send(Command::Stop);
        }
        for core in &self.inner.cores {
            if let Some(thread) = lock(&core.thread).take() {
                let _ = thread.join();
            }
        }
    }
}

type Bound = BTreeMap<String, (SocketAddr, SocketAddr)>;
type Sockets = Vec<(String, Vec<std::net::TcpListener>)>;

/// Addresses of all listeners, and sockets for those that are new or have moved.
fn listen(
    listeners: &BTreeMap<String, Listener>,
    before: &Bound,
    cores: usize,
) -> Result<(Bound, Sockets), ApplyError> {
    let (mut bound, mut sockets) = (Bound::new(), Sockets::new());
    for (name, listener) in listeners {
        if let Some(same) = before.get(name).filter(|(asked, _)| *asked == listener.bind) {
            bound.insert(name.clone(), *same);
            continue;
        }
        let all = bind::bind(name, listener.bind, cores).map_err(ApplyError::Bind)?;
        let address = all.first().and_then(|socket| socket.local_addr().ok()).unwrap_or(listener.bind);
        bound.insert(name.clone(), (listener.bind, address));
        sockets.push((name.clone(), all));
    }
    Ok((bound, sockets))
}
