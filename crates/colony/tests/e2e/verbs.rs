//! The verbs of the application API, as one would use them at a terminal and in scripts.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::sidecar::Sidecar;
use crate::world::{binary, server, wait};

#[test]
fn what_verbs_say_is_what_is_written_down() {
    let dir = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(binary(), dir.path().join("dapr")).expect("linked");
    std::fs::write(dir.path().join("cart.json"), "{\"pears\":1.50}\n").expect("written");
    let mut text = said(&dir, "colony publish orders {\"apples\":3}");
    let port = server("welcome").port().to_string();
    let mut sidecar = Sidecar::start(&dir, &["--app-port", &port]);
    for line in TRANSCRIPT.lines().filter(|line| !line.is_empty()) {
        text.push_str(&said(&dir, line));
    }
    assert_eq!(sidecar.end(), Some(0));
    insta::assert_snapshot!(text);
}

/// Words are apart by one space; one in a word is a `~`.
const TRANSCRIPT: &str = r#"
colony publish orders {"apples":3}
colony publish orders @cart.json --pubsub messages --key ada --ttl 10s --metadata cloudevent.type=order --json
dapr publish --publish-app-id shop --pubsub messages --topic orders --data {"a":1} --metadata {"rawPayload":"true"}
dapr publish -i shop -p messages -t orders --data-file cart.json
colony publish reminders x --delay 1h --json
colony publish reminders x --delay soon
colony publish orders x --metadata nonsense
colony publish orders x --raw --metadata rawPayload=perhaps
colony send to-pack {"order":1.50} --priority 9 --key ada --dedup-id one
colony send to-pack {"order":1.50} --priority 9 --key ada --dedup-id one
colony send to-pack plain~text --json
colony send to-pack x --priority 12
colony send to-pack
colony receive to-pack --peek
colony receive to-pack --no-ack --lease 5m
colony receive to-pack --max 10
colony receive to-pack
colony receive to-pack --json
colony receive to-pack --peek --state leased --json
colony state set carts ada {"apples":3.0}
colony state get carts ada
colony state get carts ada --json
colony state set carts ada 7 --text --json
colony state get carts ada
colony state set carts ada x --new
colony state set carts ada @cart.json --etag 999 --json
colony state delete carts ada
colony state delete carts ada --json
colony state get carts ada
colony state get carts ada --json
colony stream append facts order-1 placed {"apples":3}
colony stream append facts order-1 placed {"apples":3} --create --id a --expected noStream
colony stream append facts order-1 paid --expected 1 --metadata by=ada --json
colony stream append facts order-1 noted plain~text
colony stream append facts order-1 paid --expected 1
colony stream read facts order-1
colony stream read facts order-1 --backwards --max 1 --json
colony stream read facts order-1 --type paid
colony stream projection facts totals --state views
colony stream projection facts totals --state views --set start --json
colony stream projection facts totals --state views --set soon
colony stream projection nothing totals --state views
colony jobs list
colony jobs schedule remind {"whom":"ada"} --due 10m
colony jobs schedule poll hey --schedule @every~30m --repeats 3 --json
colony jobs schedule poll --schedule @nonsense
colony jobs list
colony jobs get remind
colony jobs get poll --json
colony jobs delete remind
colony jobs delete poll --json
colony jobs get poll
colony invoke shop -m hello --verb GET
colony invoke shop --method hello {"a":1}
dapr invoke --app-id shop --method hello --verb GET --data {"a":1}
colony invoke nobody -m hello
colony invoke nobody -m hello --json
colony state get carts ada --app-id nobody
colony state get carts ada --address https://127.0.0.1:1
colony publish
"#;

#[test]
fn groups_of_topics_are_looked_at_and_moved() {
    let dir = tempfile::tempdir().expect("a folder");
    let resources = dir.path().join("resources");
    std::fs::create_dir(&resources).expect("made");
    let subscription = "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: { name: orders }\n\
        spec: { pubsubname: pubsub, topic: orders, routes: { default: /orders } }\n";
    std::fs::write(resources.join("orders.yaml"), subscription).expect("written");
    let port = server("[]").port().to_string();
    let mut sidecar = Sidecar::start(&dir, &["--app-port", &port, "--resources-path", "resources"]);
    let mut text = String::new();
    let is_done = || {
        let output = run(dir.path(), "colony", &["topics", "lag", "orders", "--json"], &[]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        told["messages"] == 2 && told["groups"][0]["lag"] == 0
    };
    for order in ["1", "2"] {
        text.push_str(&said(&dir, &format!("colony publish orders {order} --key ada")));
    }
    wait("all to be delivered", is_done);
    for line in TOPICS.lines().filter(|line| !line.is_empty()) {
        text.push_str(&said(&dir, line));
        wait("all to be delivered", is_done);
    }
    assert_eq!(sidecar.end(), Some(0));
    insta::assert_snapshot!(text);
}

const TOPICS: &str = r#"
colony topics list
colony topics lag orders
colony topics seek orders shop --to start
colony topics seek orders shop --time 2020-01-31T10:00:00Z --json
colony topics seek orders shop --partition 1000 --offset 0
colony topics seek orders shop
colony topics seek orders nobody --to end
colony topics failed orders shop
colony topics failed orders shop --json
colony topics resolve orders shop retry
colony topics resolve orders shop skip --key ada --json
colony topics resolve orders shop dead-letter
colony topics lag nothing
"#;

#[test]
fn a_sidecar_is_found_by_its_name_its_address_or_the_environment() {
    let dir = tempfile::tempdir().expect("a folder");
    let one = Sidecar::start(&dir, &[]);
    let program = Path::new(binary());
    let token = [("DAPR_API_TOKEN", "secret")];
    let other = Sidecar::start_in(program, dir.path(), &["--app-id", "other"], &token);
    let set = |words: &[&str], env: &[(&str, &str)]| {
        let words = [&["state", "set", "s", "k", "1"], words].concat();
        let output = run(dir.path(), "colony", &words, env);
        let error = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), error)
    };
    let (code, error) = set(&[], &[]);
    assert!(code == Some(1) && error.contains("several applications are served: shop, other"), "{error}");
    assert!(error.contains("`--app-id shop`"), "{error}");
    assert_eq!(set(&["--app-id", "shop"], &[]).0, Some(0));
    assert_eq!(set(&["--address", &one.http], &[]).0, Some(0));
    assert_eq!(set(&["--address", &format!("http://{}", one.http)], &[]).0, Some(0));
    let port = one.http.rsplit(':').next().expect("a port");
    assert_eq!(set(&[], &[("DAPR_HTTP_PORT", port)]).0, Some(0));
    let (code, error) = set(&["--app-id", "other"], &[]);
    assert!(code == Some(1) && error.contains("put the sidecar's token into DAPR_API_TOKEN"), "{error}");
    assert_eq!(set(&["--app-id", "other"], &token).0, Some(0));
    // What belongs to the node is had from either.
    assert_eq!(run(dir.path(), "colony", &["send", "q", "x"], &token).status.code(), Some(0));
    drop((one, other));
    let (code, error) = set(&["--address", "127.0.0.1:1"], &[]);
    assert!(code == Some(1) && error.contains("127.0.0.1:1 cannot be reached"), "{error}");
    let sockets = dir.path().join("run");
    std::fs::create_dir(&sockets).expect("made");
    let folder = sockets.to_str().expect("text");
    let _socket = Sidecar::start(&dir, &["--unix-domain-socket", folder]);
    assert_eq!(set(&[], &[]), (Some(0), String::new()));
    assert_eq!(set(&["-u", folder, "-a", "shop"], &[]).0, Some(0));
    let socket = sockets.join("dapr-shop-http.socket");
    assert_eq!(set(&["--address", socket.to_str().expect("text")], &[]).0, Some(0));
}

#[test]
fn what_is_printed_to_nobody_is_not_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    let _sidecar = Sidecar::start(&dir, &[]);
    assert!(run(dir.path(), "colony", &["send", "q", "precious"], &[]).status.success());
    let mut receiving = start(dir.path(), &["receive", "q"]);
    drop(receiving.stdout.take());
    assert!(!receiving.wait().expect("it ends").success());
    let again = run(dir.path(), "colony", &["receive", "q", "--wait", "20s"], &[]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), "precious\n", "it was given back");
}

#[test]
fn bytes_go_through_as_they_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let _sidecar = Sidecar::start(&dir, &[]);
    let bytes: Vec<u8> = (0..=255).collect();
    let mut sending = start(dir.path(), &["send", "q", "-"]);
    sending.stdin.take().expect("piped").write_all(&bytes).expect("sent");
    assert!(sending.wait().expect("it ends").success());
    let had = run(dir.path(), "colony", &["receive", "q"], &[]);
    assert_eq!(had.stdout, [&bytes[..], b"\n"].concat());
    let refused = run(dir.path(), "colony", &["send", "q", "@nowhere"], &[]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot read nowhere"), "{refused:?}");
}

#[test]
fn who_follows_goes_on_behind_what_it_had() {
    let dir = tempfile::tempdir().expect("a folder");
    let _sidecar = Sidecar::start(&dir, &[]);
    let append = |kind: &str| {
        let words = ["stream", "append", "facts", "order-1", kind, "7", "--create"];
        assert!(run(dir.path(), "colony", &words, &[]).status.success());
    };
    append("placed");
    append("paid");
    let mut following = start(dir.path(), &["stream", "read", "facts", "--follow", "--json"]);
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    let mut next =
        || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    let first = next();
    assert_eq!((&first["type"], &first["data"]), (&json!("placed"), &json!(7)));
    assert_eq!(next()["type"], "paid");
    append("shipped");
    assert_eq!(next()["type"], "shipped");
    following.kill().expect("killed");
    following.wait().expect("it ends");
    let cursor = first["cursor"].as_str().expect("a cursor");
    let mut following = start(dir.path(), &["stream", "read", "facts", "--follow", "--from", cursor]);
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "order-1@2  paid  7");
    following.kill().expect("killed");
    following.wait().expect("it ends");
}

#[test]
fn nobody_to_be_asked_is_told_in_json_as_well() {
    let dir = tempfile::tempdir().expect("a folder");
    let nobody = run(dir.path(), "colony", &["receive", "q", "--json"], &[]);
    assert_eq!(nobody.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&nobody.stdout).expect("JSON");
    assert_eq!(told["error"], "no application is served on this machine");
    let sidecar = Sidecar::start(&dir, &[]);
    drop(sidecar);
    wait("nobody to be listed", || run(dir.path(), "colony", &["list", "--json"], &[]).stdout == b"[]\n");
    assert_eq!(run(dir.path(), "colony", &["receive", "q"], &[]).status.code(), Some(1));
}

/// A command, and all that it says.
fn said(dir: &TempDir, line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(|word| word.replace('~', " ")).collect();
    let given: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let output = run(dir.path(), &words[0], &given, &[]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = match output.status.code() {
        Some(0) => String::new(),
        code => format!("exit code {}\n", code.unwrap_or(-1)),
    };
    without_times(&format!("$ {line}\n{}{}{code}\n", text(&output.stdout), text(&output.stderr)))
}

fn run(dir: &Path, name: &str, words: &[&str], env: &[(&str, &str)]) -> Output {
    command(dir, name, words).envs(env.iter().copied()).stdin(Stdio::null()).output().expect("it runs")
}

fn start(dir: &Path, words: &[&str]) -> Child {
    let mut command = command(dir, "colony", words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn command(dir: &Path, name: &str, words: &[&str]) -> Command {
    let mut command = match name {
        "colony" => Command::new(binary()),
        name => Command::new(dir.join(name)),
    };
    command.args(words).current_dir(dir).env("XDG_RUNTIME_DIR", dir).env("COLUMNS", "100");
    for name in ["DAPR_HTTP_PORT", "DAPR_HTTP_ENDPOINT", "DAPR_API_TOKEN", "COLONY_DATA"] {
        command.env_remove(name);
    }
    command
}

/// Points in time are other ones each time: what looks like one is `TIME`.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("T") {
        let begin = at.checked_sub("2026-01-31".len());
        let end = rest[at..].find('Z').map(|end| at + end);
        let is_time = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || b"-T:.".contains(&byte));
        match (begin, end) {
            (Some(begin), Some(end)) if end - at < 20 && rest.get(begin..end).is_some_and(is_time) => {
                out.push_str(&rest[..begin]);
                out.push_str("TIME");
                rest = &rest[end + 1..];
            }
            _ => {
                out.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}
