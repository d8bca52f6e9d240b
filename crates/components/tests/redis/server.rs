//! A Redis of a test's own. Without `redis-server` there is no test: it fails, and says what to install.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port::free_port;

/// A process, and its folder, both gone when this is dropped.
pub struct Server {
    pub port: u16,
    folder: TempDir,
    process: Child,
}

impl Server {
    /// Starts one that syncs every write.
    pub fn start() -> Server {
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().expect("a folder");
            let port = free_port();
            let process = spawn(port, &folder);
            let mut server = Server { port, folder, process };
            // It ends where somebody else was quicker to take the port.
            if server.listens() {
                return server;
            }
        }
        panic!("no redis-server got a port");
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with what it had.
    pub fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder);
        assert!(self.listens(), "redis-server did not come back");
    }

    /// Has it stand still.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Has it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Asks it as any other program would: its answer as text, an end of line behind each part.
    pub fn ask(&self, words: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        let output =
            cli.args(["-p", &self.port.to_string()]).args(words).output().expect("redis-cli is installed");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && !text.starts_with("ERR"), "{words:?}: {text}");
        text.trim_end_matches('\n').to_owned()
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
        panic!("redis-server does not listen after {STARTED_WITHIN:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("redis-server: {error}; install it: `apt-get install redis-server`"))
}

/// How often a port may be taken meanwhile.
const TRIES: usize = 10;
/// On a busy machine.
const STARTED_WITHIN: Duration = Duration::from_secs(30);
