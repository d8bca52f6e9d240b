//! Several sidecars over one data folder: what they share, and what becomes of it when one of them ends, is killed or hangs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::noting::Noting;
use crate::sidecar::Sidecar;
use crate::world::{binary, kill, request, wait};

#[test]
fn state_is_shared_whoever_serves_it() {
    let dir = world();
    let [first, mut second, third] = ["a", "b", "b"].map(|app_id| sidecar(&dir, app_id));
    assert_eq!(first.ask("POST", "/v1.0/state/shared", r#"[{"key":"k","value":1}]"#).status, 204);
    for one in [&first, &second, &third] {
        assert_eq!(one.ask("GET", "/v1.0/state/shared/k", "").body, "1");
    }
    assert_eq!(second.ask("POST", "/v1.0/state/own", r#"[{"key":"k","value":2}]"#).status, 204);
    assert_eq!(third.ask("GET", "/v1.0/state/own/k", "").body, "2", "two of one application");
    assert_eq!(first.ask("GET", "/v1.0/state/own/k", "").status, 204);
    assert!(second.said("state store \"own\" is declared in no file"), "each hears what is said of its own");
    second.kill();
    wait("nobody is served for one that is gone", || TcpStream::connect(&second.http).is_err());
    assert_eq!(third.ask("GET", "/v1.0/state/shared/k", "").body, "1");
    let mode = std::fs::metadata(dir.path().join(".colony/engine/host.sock")).expect("it is there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_guest_ends_as_any_sidecar_does() {
    let dir = world();
    let holder = sidecar(&dir, "a");
    let mut told = sidecar(&dir, "b");
    assert_eq!(told.end(), Some(0));
    assert!(told.said("ended") && TcpStream::connect(&told.http).is_err());
    let mut asked = sidecar(&dir, "b");
    assert_eq!(asked.ask("POST", "/v1.0/shutdown", "").status, 204);
    assert_eq!(asked.exit_code(), Some(0));
    assert_eq!(holder.ask("GET", "/v1.0/healthz", "").status, 204, "which is nobody else's matter");
}

#[test]
fn a_killed_holder_loses_nothing_that_was_acknowledged() {
    let dir = world();
    let mut holder = sidecar(&dir, "a");
    let guests = ["b", "c", "d"].map(|app_id| sidecar(&dir, app_id));
    let writers = guests.each_ref().map(|guest| Writer::start(&guest.http));
    wait("some writing", || writers.iter().all(|writer| writer.count() > 20));
    holder.kill();
    let so_far = writers.each_ref().map(Writer::count);
    wait("writing goes on at each", || (0..3).all(|at| writers[at].count() > so_far[at] + 20));
    let again = sidecar(&dir, "a");
    for writer in writers {
        for key in writer.stop() {
            assert_eq!(again.ask("GET", &format!("/v1.0/state/shared/{key}"), "").body, "1", "{key}");
        }
    }
    for guest in &guests {
        assert!(guest.said("served by"));
        assert_eq!(guest.ask("GET", "/v1.0/healthz", "").status, 204);
    }
}

#[test]
fn a_holder_that_ends_hands_its_guests_over() {
    let dir = world();
    let mut all = Vec::from(["a", "b", "c", "d"].map(|app_id| sidecar(&dir, app_id)));
    let (last, before) = all.split_last_mut().expect("four");
    let writer = Writer::start(&last.http);
    for one in before {
        let so_far = writer.count();
        wait("writing goes on", || writer.count() > so_far + 10);
        assert_eq!(one.end(), Some(0));
        assert!(one.said("ended"));
    }
    let so_far = writer.count();
    wait("the last serves itself", || writer.count() > so_far + 10);
    for key in writer.stop() {
        assert_eq!(last.ask("GET", &format!("/v1.0/state/shared/{key}"), "").body, "1", "{key}");
    }
    assert_eq!(last.end(), Some(0));
    assert!(!dir.path().join(".colony/engine/host.sock").exists());
}

#[test]
fn what_an_application_has_told_stands_when_another_process_serves_it() {
    for is_killed in [true, false] {
        let (dir, app) = (world(), Noting::start("[]"));
        let (mut holder, writer) = (sidecar(&dir, "a"), sidecar(&dir, "c"));
        let flags = ["--app-id", "b", "--app-port", &app.port.to_string()];
        let guest = Sidecar::start_in(Path::new(binary()), dir.path(), &flags, &[]);
        let set = |by: &Sidecar, key: &str, value: &str| {
            let body = format!(r#"{{"items":[{{"key":"{key}","value":"{value}"}}]}}"#);
            assert_eq!(by.ask("POST", "/v1.0/configuration/lim", &body).status, 200);
        };
        let is_told = |key: &str, value: &str| {
            let value = format!(r#""value":"{value}""#);
            let path = format!("/configuration/lim/{key}");
            app.wait_for(|had| had.path == path && had.body.contains(&value));
        };
        assert_eq!(guest.ask("PUT", "/v1.0/metadata/note", "kept").status, 204);
        let subscribed = guest.ask("GET", "/v1.0/configuration/lim/subscribe?key=x&key=y", "").json();
        let id = subscribed["id"].as_str().expect("an id").to_owned();
        set(&guest, "x", "1");
        is_told("x", "1");
        match is_killed {
            true => holder.kill(),
            false => assert_eq!(holder.end(), Some(0)),
        }
        // By whoever comes first: it may be that nobody serves `b` yet.
        set(&writer, "y", "2");
        is_told("y", "2");
        set(&guest, "x", "3");
        is_told("x", "3");
        let noted = guest.ask("GET", "/v1.0/metadata", "").json();
        assert_eq!(noted["extended"]["note"], "kept", "{noted}");
        assert!(
            app.had().iter().all(|had| !had.body.contains("items") || had.body.contains(&id)),
            "{:#?}",
            app.had()
        );
        let ended = guest.ask("GET", &format!("/v1.0/configuration/lim/{id}/unsubscribe"), "");
        assert_eq!(ended.json()["ok"], true, "{ended:?}");
    }
}

#[test]
fn a_guest_is_served_with_what_is_around_its_own_process() {
    let dir = world();
    let _holder = sidecar(&dir, "a");
    let other = dir.path().join("other/place");
    std::fs::create_dir_all(other.join("resources")).expect("made");
    let store = |kind: &str, more: &str| {
        format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{ name: {kind} }}\n\
             spec: {{ type: secretstores.local.{kind}, version: v1, metadata: [{more}] }}\n"
        )
    };
    let file = store("file", "{ name: secretsFile, value: secrets.json }");
    std::fs::write(other.join("resources/secrets.yaml"), format!("{file}---\n{}", store("env", "")))
        .expect("written");
    std::fs::write(other.join("secrets.json"), r#"{"word": "sesame"}"#).expect("written");
    let flags = ["--app-id", "b", "--resources-path", "resources"];
    let program = PathBuf::from(binary());
    let mut guest = Sidecar::start_in(&program, &other, &flags, &[("ONLY_HERE", "yes")]);
    assert!(!other.join(".colony").exists(), "the folder above is the one");
    assert_eq!(guest.ask("GET", "/v1.0/secrets/file/word", "").body.trim(), r#"{"word":"sesame"}"#);
    assert_eq!(guest.ask("GET", "/v1.0/secrets/env/ONLY_HERE", "").body.trim(), r#"{"ONLY_HERE":"yes"}"#);
    assert_eq!(guest.end(), Some(0));
    std::fs::write(other.join("resources/wrong.yaml"), "kind: Component\n").expect("written");
    let refused = start(&other, &flags);
    let text = format!("{}{}", refused.0, refused.1);
    assert!(text.contains("resources/wrong.yaml") && text.contains("nothing was started"), "{text}");
}

#[test]
fn sockets_take_the_place_of_ports() {
    let dir = world();
    let mut holder = sidecar(&dir, "a");
    let flags = ["--app-id", "b", "--resources-path", "resources", "--unix-domain-socket", "."];
    let start = || Sidecar::start_in(Path::new(binary()), dir.path(), &flags, &[]);
    let path = dir.path().join("dapr-b-http.socket");
    let is_healthy = || {
        let mut stream = UnixStream::connect(&path).expect("connected");
        stream
            .write_all(b"GET /v1.0/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer.starts_with("HTTP/1.1 204")
    };
    let healthy = || wait("an answer by the socket", is_healthy);
    let mut guest = start();
    healthy();
    guest.kill();
    let mut guest = start();
    healthy();
    holder.kill();
    healthy();
    assert_eq!(guest.end(), Some(0));
    assert!(!path.exists());
}

#[test]
fn another_version_is_refused_in_a_sentence() {
    let dir = world();
    let _holder = sidecar(&dir, "a");
    let socket = dir.path().join(".colony/engine/host.sock");
    for (said, wanted) in [
        (r#"{"version":"0.0.1-7","network":"","what":{"Dance":7}}"#, "is of another version"),
        ("[]", "does not understand this one"),
    ] {
        let mut stream = UnixStream::connect(&socket).expect("connected");
        stream.write_all(&(said.len() as u32).to_be_bytes()).expect("sent");
        stream.write_all(said.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        let answer = String::from_utf8_lossy(&answer[4..]).into_owned();
        assert!(answer.contains(wanted), "{answer}");
    }
    let mut stream = UnixStream::connect(&socket).expect("connected");
    stream.write_all(&[255; 64]).expect("sent");
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "what is too long is not heard");
}

#[test]
fn a_holder_that_hangs_is_told_of() {
    let dir = world();
    let holder = sidecar(&dir, "a");
    kill(holder.pid(), libc::SIGSTOP);
    let (_, said) = start(dir.path(), &["--app-id", "b"]);
    assert!(said.contains(&format!("pid {}, which serves the sidecars", holder.pid())), "{said}");
    assert!(said.contains("kill -9"), "{said}");
    kill(holder.pid(), libc::SIGCONT);
    assert_eq!(sidecar(&dir, "b").ask("GET", "/v1.0/healthz", "").status, 204);
}

/// A client that saves one item after the other, and remembers which were acknowledged.
struct Writer {
    over: Arc<AtomicBool>,
    acknowledged: Arc<std::sync::Mutex<Vec<String>>>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(address: &str) -> Writer {
        let over = Arc::new(AtomicBool::new(false));
        let acknowledged: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
        let thread = std::thread::spawn({
            let (address, over, acknowledged) = (address.to_owned(), over.clone(), acknowledged.clone());
            move || {
                for number in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("{address}-{number}");
                    let item = format!(r#"[{{"key":"{key}","value":1}}]"#);
                    // What was not answered may be there or not.
                    if request(&address, "POST", "/v1.0/state/shared", &[], Some(&item)).status == 204 {
                        acknowledged.lock().expect("lock").push(key);
                    }
                }
            }
        });
        Writer { over, acknowledged, thread }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("lock").len()
    }

    fn stop(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it has always been listened to");
        std::mem::take(&mut self.acknowledged.lock().expect("lock"))
    }
}

/// A folder with a store that all share.
fn world() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("resources")).expect("made");
    let store = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: shared }\n\
                 spec: { type: state.colony, version: v1, metadata: [{ name: keyPrefix, value: none }] }\n";
    std::fs::write(dir.path().join("resources/shared.yaml"), store).expect("written");
    dir
}

fn sidecar(dir: &TempDir, app_id: &str) -> Sidecar {
    let flags = ["--app-id", app_id, "--resources-path", "resources"];
    Sidecar::start_in(Path::new(binary()), dir.path(), &flags, &[])
}

/// One that does not come to run: what it has written, and its errors.
fn start(dir: &Path, flags: &[&str]) -> (String, String) {
    let mut command = Command::new(binary());
    command.arg("sidecar").args(flags).args(["--dapr-http-port", "0", "--dapr-grpc-port", "0"]);
    let output = command.current_dir(dir).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
