//! A RabbitMQ for the tests, one for all that run at a time, with a virtual host for each. Without one installed there is no
//! test: it fails, and says what to install.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port::free_port;

/// A process with the one by which such processes find each other, and its folder, all gone when this is dropped.
pub struct Server {
    pub port: u16,
    folder: TempDir,
    names: u16,
    process: Child,
    mapper: Child,
    hosts: AtomicUsize,
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
        for _ in 0..TRIES {
            let folder = tempfile::tempdir().expect("a folder");
            let (port, names) = (free_port(), free_port());
            write(folder.path(), port);
            let mapper = Command::new("epmd")
                .args(["-port", &names.to_string(), "-address", "127.0.0.1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| {
                    panic!("epmd: {error}; install it: `apt-get install rabbitmq-server`")
                });
            let process = spawn(folder.path(), names);
            let mut server = Server { port, folder, names, process, mapper, hosts: AtomicUsize::new(0) };
            // It ends where somebody else was quicker to take a port.
            if server.listens() {
                return server;
            }
        }
        panic!("no rabbitmq-server got its ports");
    }

    /// How a virtual host of one's own is connected to.
    pub fn url(&self) -> String {
        let host = self.hosts.fetch_add(1, Ordering::Relaxed);
        assert!(host < HOSTS, "there are only {HOSTS} virtual hosts");
        format!("amqp://guest:guest@127.0.0.1:{}/v{host}", self.port)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with what it had.
    pub fn restart(&mut self) {
        self.process = spawn(self.folder.path(), self.names);
        assert!(self.listens(), "rabbitmq-server did not come back");
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
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("rabbitmq-server does not listen after {STARTED_WITHIN:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in [&mut self.process, &mut self.mapper] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn write(folder: &Path, port: u16) {
    let definitions = folder.join("definitions.json");
    let conf = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {}\nlog.file = false\ndisk_free_limit.absolute = 1MB\n",
        definitions.display()
    );
    let (mut hosts, mut permissions) = (String::new(), String::new());
    for host in 0..HOSTS {
        let comma = if host == 0 { "" } else { "," };
        let _ = write!(hosts, r#"{comma}{{"name":"v{host}"}}"#);
        let may = r#""configure":".*","write":".*","read":".*""#;
        let _ = write!(permissions, r#"{comma}{{"user":"guest","vhost":"v{host}",{may}}}"#);
    }
    let all = format!(
        r#"{{"users":[{{"name":"guest","password":"guest","tags":[]}}],"vhosts":[{hosts}],"permissions":[{permissions}]}}"#
    );
    for (name, text) in [("rabbitmq.conf", conf), ("definitions.json", all), ("plugins", "[].".to_owned())] {
        std::fs::write(folder.join(name), text).expect("it is written");
    }
}

fn spawn(folder: &Path, names: u16) -> Child {
    let mut server = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
    for (name, file) in [
        ("HOME", ""),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
        ("RABBITMQ_MNESIA_BASE", "data"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
        ("RABBITMQ_PLUGINS_EXPAND_DIR", "expanded"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
        ("RABBITMQ_PID_FILE", "pid"),
    ] {
        server.env(name, folder.join(file));
    }
    server
        .env("ERL_EPMD_PORT", names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_DIST_PORT", free_port().to_string())
        .env("RABBITMQ_NODENAME", "test@localhost")
        // So that the process is the server itself, and not a shell that waits for it.
        .env("RUNNING_UNDER_SYSTEMD", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("rabbitmq-server: {error}; install it: `apt-get install rabbitmq-server`")
        })
}

/// How many virtual hosts there are.
const HOSTS: usize = 40;
/// How often a port may be taken meanwhile.
const TRIES: usize = 5;
/// On a busy machine.
const STARTED_WITHIN: Duration = Duration::from_secs(90);
