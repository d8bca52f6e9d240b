//! What commands that run for long have in common as processes: how they are told to end, what they may open, and whose
//! a port is that they cannot have.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// SIGINT, SIGTERM and SIGHUP, which all mean the end.
pub(crate) struct Signals {
    all: [Signal; 3],
}

impl Signals {
    pub(crate) fn new() -> Result<Signals, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::new(format!("cannot listen to signals: {error}")));
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(listen);
        Ok(Signals { all: [interrupt?, terminate?, hangup?] })
    }

    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.all;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Thousands of connections need as many descriptors: the soft limit goes up to the hard one.
pub(crate) fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// A port cannot be listened on, for somebody does already.
pub(crate) fn port_in_use(port: u16) -> Failure {
    match supervisor::port_holder(port) {
        Some(holder) => {
            Failure::new(format!("port {port} is in use by pid {} ({})", holder.pid, holder.command))
        }
        None => Failure::new(format!("port {port} is in use")),
    }
}
