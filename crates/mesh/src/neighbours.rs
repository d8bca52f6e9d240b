//! The cores as they see each other: who has how many connections, and a way to hand one over.
//!
//! `SO_REUSEPORT` lets the kernel spread connections over the cores by a hash of their addresses, which
//! is even only for many of them: of two, as two services have that speak HTTP/2, both are on one core of
//! two every other time, and stay there for as long as they live. So a core that has accepted a
//! connection while another has fewer gives it to that one, as `HAProxy` does. It costs a message a
//! connection, never one a request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;

use crate::core::Command;

/// All cores of a data plane.
pub(crate) struct Neighbours {
    cores: Vec<Neighbour>,
    /// Connections stay where they are accepted, for a core may have ended its work already.
    settled: AtomicBool,
}

struct Neighbour {
    commands: UnboundedSender<Command>,
    load: Load,
}

/// How many connections a core has, on a cache line of its own.
#[repr(align(64))]
struct Load(AtomicUsize);

impl Neighbours {
    pub(crate) fn new(commands: Vec<UnboundedSender<Command>>) -> Arc<Neighbours> {
        let with_load = |commands| Neighbour { commands, load: Load(AtomicUsize::new(0)) };
        let cores = commands.into_iter().map(with_load).collect();
        Arc::new(Neighbours { cores, settled: AtomicBool::new(false) })
    }

    /// So many connections are on `core` now.
    pub(crate) fn tell(&self, core: usize, connections: usize) {
        self.cores[core].load.0.store(connections, Ordering::Relaxed);
    }

    /// How many connections each core has.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.cores.iter().map(|core| core.load.0.load(Ordering::Relaxed)).collect()
    }

    /// From now on connections stay where they are accepted.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::SeqCst);
    }

    /// Gives a connection that `core` has accepted to the one with the fewest, or back if that is itself.
    pub(crate) fn offer(
        &self,
        core: usize,
        listener: &str,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<TcpStream> {
        let Some(other) = self.lighter(core) else { return Some(stream) };
        // Without a runtime in between: the other registers it with its own.
        let stream = stream.into_std().ok()?;
        let listener = listener.to_owned();
        let _ = self.cores[other].commands.send(Command::Adopt { listener, stream, peer });
        None
    }

    /// Whoever has fewer connections than `core`, and the fewest.
    fn lighter(&self, core: usize) -> Option<usize> {
        if self.cores.len() < 2 || self.settled.load(Ordering::SeqCst) {
            return None;
        }
        let load = |at: usize| self.cores[at].load.0.load(Ordering::Relaxed);
        let lightest = (0..self.cores.len()).min_by_key(|at| load(*at))?;
        (load(lightest) < load(core)).then_some(lightest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_more_gives_to_who_has_fewest() {
        let commands = (0..3).map(|_| tokio::sync::mpsc::unbounded_channel().0).collect();
        let cores = Neighbours::new(commands);
        assert_eq!(cores.lighter(0), None, "all have none");
        cores.tell(0, 3);
        cores.tell(1, 2);
        cores.tell(2, 1);
        assert_eq!(cores.lighter(0), Some(2));
        assert_eq!(cores.lighter(1), Some(2));
        assert_eq!(cores.lighter(2), None);
        cores.settle();
        assert_eq!(cores.lighter(0), None);
    }
}
