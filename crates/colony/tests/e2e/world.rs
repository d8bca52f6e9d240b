//! A small world: the binary running in a folder of its own, a client, and what goes wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything; far above what it takes, for machines are slow at times.
const PATIENCE: Duration = Duration::from_secs(60);

/// `colony up` on a manifest, ended when dropped.
pub struct World {
    pub dir: Arc<TempDir>,
    child: Child,
    more: Vec<String>,
    lines: Arc<Mutex<Vec<Value>>>,
    alone: Option<MutexGuard<'static, ()>>,
}

/// Eight services under load are enough for a small machine: no two marketplaces run at a time.
static MARKETPLACE: Mutex<()> = Mutex::new(());

impl World {
    /// Starts and waits until everything is ready.
    pub fn up(manifest: &str) -> World {
        let world = World::start(manifest, &[]);
        world.wait_for("all-ready");
        world
    }

    /// Starts `colony up --json` on a manifest.
    pub fn start(manifest: &str, env: &[(&str, &str)]) -> World {
        let dir = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        std::fs::write(dir.path().join("colony.yaml"), manifest).expect("written");
        World::start_in(dir, &[], env)
    }

    /// The marketplace on a free port, with the program that was built with these tests.
    pub fn marketplace() -> World {
        World::marketplace_but("", "")
    }

    /// The same, with another program for one service.
    pub fn marketplace_but(other: &str, program_of_other: &str) -> World {
        World::marketplace_with(other, program_of_other, &[])
    }

    /// The same with a console, to be looked at.
    #[cfg(feature = "conformance")]
    pub fn marketplace_with_console() -> World {
        World::marketplace_with("", "", &["--console", "127.0.0.1:0"])
    }

    fn marketplace_with(other: &str, program_of_other: &str, more: &[&str]) -> World {
        let program = marketplace_program();
        let mut overlay = String::new();
        for service in [
            "storefront",
            "catalog",
            "cart",
            "checkout",
            "payments",
            "delivery",
            "notifications",
            "recommendations",
        ] {
            overlay.push_str(&match service == other {
                true => format!("  {service}: {{ build: ~, {program_of_other} }}\n"),
                false => format!("  {service}: {{ build: ~, run: {} {service} }}\n", program.display()),
            });
        }
        World::shop("colony.yaml", &overlay, more)
    }

    /// The same shop as one process.
    pub fn monolith() -> World {
        let run = format!("  shop: {{ build: ~, run: {} monolith }}\n", marketplace_program().display());
        World::shop("monolith.yaml", &run, &[])
    }

    /// The shop that a manifest of the marketplace says, with `services` otherwise.
    fn shop(manifest: &str, services: &str, more: &[&str]) -> World {
        let alone = MARKETPLACE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let source = root().join("examples/marketplace");
        std::fs::create_dir(dir.path().join("resources")).expect("made");
        for file in ["shopping.yaml", "resources/shop.yaml"] {
            std::fs::copy(source.join(file), dir.path().join(file)).expect("copied");
        }
        std::fs::copy(source.join(manifest), dir.path().join("colony.yaml")).expect("copied");
        let overlay = format!("gateway: {{ listen: 127.0.0.1:0 }}\nservices:\n{services}");
        std::fs::write(dir.path().join("test.yaml"), overlay).expect("written");
        let mut world = World::start_in(dir, &[&["--overlay", "test.yaml"], more].concat(), &[]);
        world.alone = Some(alone);
        world.wait_for("all-ready");
        world
    }

    /// Another `colony up` in the same folder, with the same arguments.
    pub fn up_again(&self) -> World {
        let more: Vec<&str> = self.more.iter().map(String::as_str).collect();
        let world = World::start_in(self.dir.clone(), &more, &[]);
        world.wait_for("all-ready");
        world
    }

    /// `colony up` with further words, in a folder that is there.
    pub fn start_with(dir: &Arc<TempDir>, words: &[&str]) -> World {
        World::start_in(Arc::clone(dir), words, &[])
    }

    fn start_in(dir: Arc<TempDir>, more: &[&str], env: &[(&str, &str)]) -> World {
        // Where none is looked at, none is served.
        let console = if more.contains(&"--console") { &[][..] } else { &["--console", "off"] };
        let mut child = Command::new(binary())
            .args(["up", "--json"])
            .args(console)
            .args(more)
            .current_dir(dir.path())
            .env("XDG_RUNTIME_DIR", dir.path())
            .env("XDG_DATA_HOME", dir.path())
            .env_remove("SSL_CERT_FILE")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("colony starts");
        let stdout = child.stdout.take().expect("piped");
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let sink = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sink.lock().expect("lock").push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let more = more.iter().map(|&one| one.to_owned()).collect();
        let world = World { dir, child, more, lines, alone: None };
        world.wait_for("up");
        world
    }

    /// Everything `colony up` has printed.
    pub fn printed(&self) -> Vec<Value> {
        self.lines.lock().expect("lock").clone()
    }

    /// Waits for an event and returns it.
    pub fn wait_for(&self, event: &str) -> Value {
        let mut ended = false;
        until(
            &format!("the event {event}"),
            || {
                let found = self.printed().into_iter().find(|line| line["event"] == event);
                assert!(found.is_some() || !ended, "colony has ended: {:#?}", self.printed());
                ended = !lives(self.child.id() as i32);
                found
            },
            || format!("{:#?}", self.printed()),
        )
    }

    pub fn status(&self) -> Value {
        self.json(&["status", "--json"])
    }

    pub fn gateway(&self) -> String {
        self.status()["gateway"].as_str().expect("a gateway").trim_start_matches("http://").to_owned()
    }

    pub fn service(&self, name: &str) -> Value {
        let status = self.status();
        let services = status["services"].as_array().expect("services");
        services
            .iter()
            .find(|service| service["name"] == name)
            .unwrap_or_else(|| panic!("no {name}: {status}"))
            .clone()
    }

    /// What status says of a call; null before it was ever made.
    pub fn call(&self, id: &str) -> Value {
        let status = self.status();
        let calls = status["calls"].as_array().expect("calls");
        calls.iter().find(|call| call["call"] == id).cloned().unwrap_or(Value::Null)
    }

    pub fn pids(&self, service: &str) -> Vec<i32> {
        let service = self.service(service);
        let instances = service["instances"].as_array().expect("instances");
        instances.iter().filter_map(|instance| instance["pid"].as_i64()).map(|pid| pid as i32).collect()
    }

    pub fn all_pids(&self) -> Vec<i32> {
        let status = self.status();
        let services = status["services"].as_array().expect("services");
        services.iter().flat_map(|service| self.pids(service["name"].as_str().expect("name"))).collect()
    }

    /// Runs a command in the world's folder.
    pub fn run(&self, args: &[&str]) -> Output {
        run_in(self.dir.path(), args)
    }

    /// Runs a command that must succeed and print JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{args:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// Sends load in the background; join to get the report.
    pub fn load(&self, args: &[&str]) -> std::thread::JoinHandle<Value> {
        let mut command = Command::new(binary());
        command.args(["load", "--json"]).args(args).current_dir(self.dir.path());
        std::thread::spawn(move || {
            let output = command.output().expect("colony load runs");
            let text = String::from_utf8_lossy(&output.stdout);
            serde_json::from_str(text.trim())
                .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
        })
    }

    /// Replaces a text in the manifest.
    pub fn edit(&self, from: &str, to: &str) {
        let path = self.dir.path().join("colony.yaml");
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.contains(from), "`{from}` is not in the manifest");
        std::fs::write(&path, text.replace(from, to)).expect("written");
    }

    pub fn signal(&self, signal: i32) {
        kill(self.child.id() as i32, signal);
    }

    /// Waits for `colony up` to exit and returns its code.
    pub fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("waited") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("colony does not exit: {:#?}", self.printed());
    }

    pub fn get(&self, path: &str) -> Answer {
        request(&self.gateway(), "GET", path, &[], None)
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        request(&self.gateway(), "POST", path, headers, Some(&body.to_string()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(libc::SIGTERM);
            self.exit_code();
        }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One request over a connection of its own.
pub fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answer {
    try_request(address, method, path, headers, body).expect("connected and sent")
}

/// The same where it may be that nobody listens. An answer that breaks off has the status 0, or is cut short.
pub fn try_request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> std::io::Result<Answer> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or(""));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

fn unchunk(mut text: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        out.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    out
}

/// An HTTP server in this process that answers every request alike, for `url:` services.
pub fn server(body: &'static str) -> SocketAddr {
    slow_server(body, Duration::ZERO)
}

/// The same, after a while.
pub fn slow_server(body: &'static str, after: Duration) -> SocketAddr {
    listening(move |stream| answer_all(stream, body, after))
}

/// A server in this process that does as `serve` says with every connection, with each beside the others.
pub fn listening(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || serve_all(&listener, serve));
    address
}

/// Answers every request of every connection alike.
pub fn serve(listener: &TcpListener, body: &'static str, after: Duration) {
    serve_all(listener, move |stream| answer_all(stream, body, after));
}

fn serve_all(listener: &TcpListener, serve: impl Fn(TcpStream) + Clone + Send + 'static) {
    for stream in listener.incoming().map_while(Result::ok) {
        let serve = serve.clone();
        std::thread::spawn(move || serve(stream));
    }
}

fn answer_all(mut stream: TcpStream, body: &str, after: Duration) {
    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
    loop {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
        }
        std::thread::sleep(after);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Asks until there is something, or gives up with what `why` says.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>, why: impl Fn() -> String) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "no sign of {what}: {}", why());
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Waits until something is true.
pub fn wait(what: &str, mut ask: impl FnMut() -> bool) {
    until(what, || ask().then_some(()), String::new);
}

pub fn run_in(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command
        .args(args)
        .current_dir(dir)
        .env("XDG_RUNTIME_DIR", dir)
        .env("XDG_DATA_HOME", dir)
        .env_remove("COLUMNS")
        .stdin(Stdio::null());
    command.output().expect("colony runs")
}

pub fn kill(pid: i32, signal: i32) {
    // SAFETY: sends a signal to a process of this test; touches no memory.
    unsafe { libc::kill(pid, signal) };
}

/// Whether a process is there and not a zombie.
pub fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_colony")
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The marketplace, built with the profile of this test.
fn marketplace_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(binary()).parent().expect("a folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "marketplace"]).current_dir(root());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the marketplace does not build");
        folder.join("marketplace")
    })
}
