//! `colony sidecar`: started as `daprd` is, used over HTTP, killed and started again, and told nonsense.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::golden::without_numbers;
use crate::world::{Answer, binary, kill, request, wait};

#[test]
fn what_was_saved_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    assert_eq!(sidecar.ask("GET", "/v1.0/healthz", "").status, 204);
    for n in 0..20 {
        let item = format!(r#"[{{"key":"k{n}","value":{{"n": {n}}}}}]"#);
        assert_eq!(sidecar.ask("POST", "/v1.0/state/carts", &item).status, 204);
    }
    let etag = sidecar.ask("GET", "/v1.0/state/carts/k19", "").header("etag").map(str::to_owned);
    sidecar.kill();
    let mut sidecar = Sidecar::start(&dir, &[]);
    for n in 0..20 {
        assert_eq!(
            sidecar.ask("GET", &format!("/v1.0/state/carts/k{n}"), "").body,
            format!(r#"{{"n":{n}}}"#)
        );
    }
    let again = sidecar.ask("GET", "/v1.0/state/carts/k19", "");
    assert_eq!(again.header("etag").map(str::to_owned), etag, "an ETag outlives the process");
    assert!(sidecar.said("state store \"carts\" is declared in no file of the resources"));
    assert_eq!(sidecar.end(), Some(0));
}

#[test]
fn a_message_that_is_delayed_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &[]);
    let published = SystemTime::now();
    let late = "/v1.0/publish/messages/reminders?metadata.delay=2s&metadata.partitionKey=ada";
    assert_eq!(sidecar.ask("POST", late, "late").status, 204);
    sidecar.kill();
    let mut sidecar = Sidecar::start(&dir, &[]);
    let topic = || sidecar.ask("GET", "/v1.0/topics/messages/reminders", "").json();
    wait("the message that was delayed", || {
        let topic = topic();
        assert_eq!(topic["messages"].as_u64().unwrap_or(9) + topic["delayed"].as_u64().unwrap_or(9), 1);
        topic["messages"] == 1
    });
    assert!(published.elapsed().expect("time goes on") >= Duration::from_secs(2));
    let messages = format!(
        "/v1.0/topics/messages/reminders/messages?partition={}",
        topic()["partitions"][0]["partition"]
    );
    let messages = sidecar.ask("GET", &messages, "").json();
    assert!(messages["messages"][0].to_string().contains("late"), "{messages}");
    assert_eq!(sidecar.end(), Some(0));
}

#[test]
fn the_end_is_told_by_a_signal_or_a_request() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut sidecar = Sidecar::start(&dir, &["--dapr-graceful-shutdown-seconds", "1"]);
    let mut half = std::net::TcpStream::connect(&sidecar.http).expect("connected");
    std::io::Write::write_all(
        &mut half,
        b"POST /v1.0/state/s HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n[",
    )
    .expect("sent");
    assert_eq!(sidecar.end(), Some(0), "also with a request that never ends");
    let mut sidecar = Sidecar::start(&dir, &[]);
    assert_eq!(sidecar.ask("POST", "/v1.0/shutdown", "").status, 204);
    assert_eq!(sidecar.exit_code(), Some(0));
}

#[test]
fn the_flags_of_daprd_are_taken_under_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let daprd = dir.path().join("daprd");
    std::os::unix::fs::symlink(binary(), &daprd).expect("linked");
    let flags = ["-app-id", "shop", "-placement-host-address", "localhost:50005", "--enable-mtls", "--odd=1"];
    let mut sidecar = Sidecar::start_as(&daprd, &dir, &flags, &[]);
    assert!(sidecar.said("flags without effect here: --placement-host-address, --enable-mtls, --odd"));
    let told = sidecar.ask("GET", "/v1.0/metadata", "").json();
    assert_eq!(told["id"], "shop");
    assert!(dir.path().join(".colony/engine/log").is_dir(), "what lasts is beside where it was started");
    assert_eq!(sidecar.end(), Some(0));
}

#[test]
fn resources_say_where_state_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let component = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: gone\nspec:\n  type: state.in-memory\n  version: v1\n";
    write(&dir, "resources/gone.yaml", &format!("{component}---\nkind: MCPServer\n"));
    let flags = ["--resources-path", "resources"];
    let mut sidecar = Sidecar::start(&dir, &flags);
    assert!(sidecar.said("resources/gone.yaml:9:7: a resource of kind `MCPServer` has no effect here"));
    for store in ["gone", "kept"] {
        let path = format!("/v1.0/state/{store}");
        assert_eq!(sidecar.ask("POST", &path, r#"[{"key":"k","value":1}]"#).status, 204);
    }
    assert_eq!(sidecar.end(), Some(0));
    let mut sidecar = Sidecar::start(&dir, &flags);
    let status = |store: &str| sidecar.ask("GET", &format!("/v1.0/state/{store}/k"), "").status;
    assert_eq!((status("gone"), status("kept")), (204, 200));
    sidecar.kill();
    let wrong = component.replace("state.in-memory", "state.redis").replace("name: gone", "nmae: gone");
    write(&dir, "resources/wrong.yaml", &wrong);
    write(&dir, "resources/gone.yaml", &component.replace("in-memory", "in-memroy"));
    let refused = run(dir.path(), &["--app-id", "shop", "--resources-path", "resources"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = without_numbers(&String::from_utf8_lossy(&refused.stdout));
    assert!(
        said.contains("resources/gone.yaml") && said.contains("did you mean `state.in-memory`?"),
        "{said}"
    );
    assert!(said.contains("resources/wrong.yaml") && said.contains("did you mean `name`?"), "{said}");
    let refused = run(dir.path(), &["--app-id", "shop", "--resources-path", "nowhere"]);
    assert!(text(&refused.stderr).starts_with("error: cannot read the folder nowhere: "), "{refused:?}");
}

#[test]
fn nonsense_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = holder.local_addr().expect("an address").port().to_string();
    let local = ["--dapr-listen-addresses", "127.0.0.1", "--dapr-grpc-port", "0"];
    for (flags, code, sentence) in [
        (&[][..], 2, "--app-id <ID>"),
        (&["--app-id", "a/b"], 2, "is no app id"),
        (&["--app-id", "a", "--app-port", "3500"], 2, "--app-port and --dapr-http-port are both 3500"),
        (&["--app-id", "a", "--app-port", "70000"], 2, "it is from 1 to 65535"),
        (&["--app-id", "a", "--max-body-size", "4MB"], 2, "no size; write for example 4Mi"),
        (&["--app-id", "a", "--dapr-http-port", "odd"], 2, "--dapr-http-port"),
        (&["--app-id", "a", "--app-protocol", "smtp"], 2, "--app-protocol"),
        (&["--app-id", "a", "--dapr-listen-addresses", "here"], 2, "is no IP address"),
        (&["--app-id", "a", "--dapr-http-port", &taken], 1, "is in use by pid"),
    ] {
        let refused =
            run(dir.path(), &[&local[if flags.contains(&"here") { 2 } else { 0 }..], flags].concat());
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{flags:?}: {said}");
        assert!(said.contains(sentence), "{flags:?}: {said}");
    }
}

#[test]
fn bodies_and_tokens_are_as_they_were_set() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = PathBuf::from(binary());
    let flags = ["--app-id", "shop", "--max-body-size", "1Ki"];
    let mut sidecar = Sidecar::start_as(&program, &dir, &flags, &[("DAPR_API_TOKEN", "secret")]);
    assert_eq!(sidecar.ask("GET", "/v1.0/healthz", "").status, 204);
    let refused = sidecar.ask("GET", "/v1.0/metadata", "");
    assert_eq!((refused.status, refused.body.as_str()), (401, "invalid api token\n"));
    let save = |bytes: usize| {
        let body = format!(r#"[{{"key":"k","value":"{}"}}]"#, "x".repeat(bytes));
        request(&sidecar.http, "POST", "/v1.0/state/s", &[("dapr-api-token", "secret")], Some(&body))
    };
    assert_eq!(save(900).status, 204);
    let refused = save(2_000);
    assert_eq!((refused.status, &refused.json()["errorCode"]), (400, &Value::from("ERR_MALFORMED_REQUEST")));
    assert_eq!(sidecar.end(), Some(0));
}

/// A sidecar that runs.
pub struct Sidecar {
    child: Child,
    pub http: String,
    #[cfg(feature = "conformance")]
    pub grpc: String,
    lines: std::sync::Arc<std::sync::Mutex<Vec<Value>>>,
}

impl Sidecar {
    /// One of the application `shop`.
    pub fn start(dir: &TempDir, flags: &[&str]) -> Sidecar {
        let program = PathBuf::from(binary());
        Sidecar::start_as(&program, dir, &[&["--app-id", "shop"], flags].concat(), &[])
    }

    fn start_as(program: &Path, dir: &TempDir, flags: &[&str], env: &[(&str, &str)]) -> Sidecar {
        Sidecar::start_in(program, dir.path(), flags, env)
    }

    pub fn start_in(program: &Path, dir: &Path, flags: &[&str], env: &[(&str, &str)]) -> Sidecar {
        let mut command = Command::new(program);
        if !program.ends_with("daprd") {
            command.arg("sidecar");
        }
        let mut child = command
            .args(flags)
            .args(["--log-as-json", "--dapr-http-port", "0", "--dapr-grpc-port", "0"])
            .args(["--dapr-listen-addresses", "127.0.0.1"])
            .envs(env.iter().copied())
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("piped");
        let lines: std::sync::Arc<std::sync::Mutex<Vec<Value>>> = std::sync::Arc::default();
        let sink = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                sink.lock().expect("lock").push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let mut sidecar = Sidecar {
            child,
            http: String::new(),
            #[cfg(feature = "conformance")]
            grpc: String::new(),
            lines,
        };
        let ready = sidecar.wait_for(|line| line["event"] == "ready");
        sidecar.http = address(&ready, "http");
        #[cfg(feature = "conformance")]
        {
            sidecar.grpc = address(&ready, "grpc");
        }
        sidecar
    }

    pub fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let lines = self.lines.lock().expect("lock").clone();
            if let Some(line) = lines.iter().find(|line| wanted(line)) {
                return line.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{lines:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it says so, by and by.
    pub fn said(&self, text: &str) -> bool {
        self.wait_for(|line| line["msg"].as_str().is_some_and(|said| said.contains(text)));
        true
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        request(&self.http, method, path, &[], Some(body).filter(|body| !body.is_empty()))
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }

    /// Asks for the end by a signal; the exit code.
    pub fn end(&mut self) -> Option<i32> {
        kill(self.child.id() as i32, libc::SIGTERM);
        self.exit_code()
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("waited") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end: {:#?}", self.lines.lock().expect("lock"))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where it is served, by what it says when it is.
fn address(ready: &Value, what: &str) -> String {
    ready[what][0].as_str().unwrap_or_default().to_owned()
}

/// One that is refused.
fn run(dir: &Path, flags: &[&str]) -> Output {
    Command::new(binary()).arg("sidecar").args(flags).current_dir(dir).output().expect("it runs")
}

fn write(dir: &TempDir, name: &str, text: &str) {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How long something may take that comes at once.
const PATIENCE: Duration = Duration::from_secs(30);
