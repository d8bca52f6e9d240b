//! A PostgreSQL for the tests, one for all that run at a time, with a database for each. Without one installed there is no
//! test: it fails, and says what to install.

use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port::free_port;

/// A process, and its folder, both gone when this is dropped.
pub struct Server {
    pub port: u16,
    folder: TempDir,
    process: Child,
    databases: AtomicUsize,
}

impl Server {
    /// The one that others use already, or else a new one.
    pub fn shared() -> Arc<Server> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// Starts one.
    pub fn start() -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        if is_root() {
            let id = |flag| {
                let output = Command::new("id").args([flag, USER]).output().expect("id runs");
                String::from_utf8_lossy(&output.stdout)
                    .trim()
                    .parse::<u32>()
                    .expect("there is a user postgres")
            };
            chown(folder.path(), Some(id("-u")), Some(id("-g"))).expect("it is given away");
        }
        let data = folder.path().join("data");
        let mut initdb = as_user("initdb");
        initdb.arg("-D").arg(data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.stdin(Stdio::null()).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let process = spawn(port, &folder);
        let mut server = Server { port, folder, process, databases: AtomicUsize::new(0) };
        for _ in 0..TRIES {
            if server.listens() {
                return server;
            }
            // It ends where somebody else was quicker to take the port.
            server.port = free_port();
            server.process = spawn(server.port, &server.folder);
        }
        panic!("no postgres got a port");
    }

    /// A database of one's own.
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.ask("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// How a database is connected to.
    pub fn string(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user={USER} database={database}", self.port)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.signal("QUIT");
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with what it had.
    pub fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder);
        assert!(self.listens(), "postgres did not come back");
    }

    /// Asks it as any other program would: a line for each row, with `|` between its columns.
    pub fn ask(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql).output().expect("psql is installed");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end_matches('\n').to_owned()
    }

    /// What asks it.
    pub fn psql(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            USER,
            "-d",
            database,
            "-qAtc",
            sql,
        ]);
        psql
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
            let answers = TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && self
                    .psql("postgres", "SELECT 1")
                    .stderr(Stdio::null())
                    .output()
                    .is_ok_and(|o| o.status.success());
            if answers {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("postgres does not answer after {STARTED_WITHIN:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            // Its own processes go with it, which they would not if it were killed.
            self.signal("QUIT");
            let _ = self.process.wait();
        }
    }
}

fn spawn(port: u16, folder: &TempDir) -> Child {
    as_user("postgres")
        .arg("-D")
        .arg(folder.path().join("data"))
        .arg("-k")
        .arg(folder.path())
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=200"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("postgres starts")
}

/// It refuses to be run by root.
fn as_user(name: &str) -> Command {
    let program = program(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups", "--"])
        .arg(program);
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id runs");
    output.stdout.trim_ascii() == b"0"
}

/// Debian has the programs of each version in a folder of its own.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("there is no {name}; install it: `apt-get install postgresql`"))
}

/// Whose it is.
const USER: &str = "postgres";
/// How often a port may be taken meanwhile.
const TRIES: usize = 10;
/// On a busy machine.
const STARTED_WITHIN: Duration = Duration::from_secs(60);
