//! A NATS server of a test's own, with JetStream. Without `nats-server` there is no test: it fails, and says what to install.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port::free_port;

/// A process, and its folder, both gone when this is dropped.
pub struct Server {
    port: u16,
    folder: TempDir,
    more: Vec<String>,
    process: Child,
}

impl Server {
    /// Starts one, with more arguments.
    pub fn start(more: &[&str]) -> Server {
        let more: Vec<String> = more.iter().map(|&text| text.to_owned()).collect();
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().expect("a folder");
            let port = free_port();
            let process = spawn(port, &folder, &more);
            let mut server = Server { port, folder, more: more.clone(), process };
            // It ends where somebody else was quicker to take the port.
            if server.listens() {
                return server;
            }
        }
        panic!("no nats-server got a port");
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with what it had.
    pub fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.more);
        assert!(self.listens(), "nats-server did not come back");
    }

    /// Has it stand still.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Has it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name}");
    }

    fn listens(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < STARTED_WITHIN {
            if self.process.try_wait().expect("it is ours").is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("nats-server does not listen after {STARTED_WITHIN:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, folder: &TempDir, more: &[String]) -> Child {
    Command::new("nats-server")
        .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"])
        .arg(folder.path())
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("nats-server: {error}; install it: `apt-get install nats-server`"))
}

/// How often a port may be taken meanwhile.
const TRIES: usize = 10;
/// On a busy machine.
const STARTED_WITHIN: Duration = Duration::from_secs(30);
