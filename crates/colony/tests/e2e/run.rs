//! `colony run`: a program with a sidecar beside it, and several of them from a file.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use crate::world::{binary, kill, lives, request, run_in, until, wait};

#[test]
fn a_program_finds_its_sidecar_and_both_end_together() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "echo app $APP_ID $APP_PORT; \
        curl -s -X POST localhost:$DAPR_HTTP_PORT/v1.0/state/s -d '[{\"key\":\"k\",\"value\":1}]'; \
        echo state $(curl -s localhost:$DAPR_HTTP_PORT/v1.0/state/s/k); exit 7";
    let mut run = Run::start(&dir, "colony", &["run", "-a", "shop", "-p", "8000", "--", "sh", "-c", script]);
    assert_eq!(run.exit_code(), Some(7), "{:#?}", run.lines());
    assert!(run.said("shop", "app shop 8000") && run.said("shop", "state 1"), "{:#?}", run.lines());
    assert!(run.said("shop.sidecar", "HTTP on"), "{:#?}", run.lines());
    assert!(std::fs::read_dir(dir.path().join(".colony/run")).expect("there").next().is_none());
}

#[test]
fn a_signal_ends_the_program_first_which_may_still_keep_something() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "trap 'curl -s -X POST localhost:$DAPR_HTTP_PORT/v1.0/state/s -d \"[{\\\"key\\\":\\\"last\\\",\\\"value\\\":2}]\"; \
        echo bye; exit 0' TERM; echo up; while true; do sleep 0.05; done";
    let mut run = Run::start(&dir, "colony", &["run", "--app-id", "shop", "sh", "-c", script]);
    run.wait_for("shop", "up");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), Some(0), "{:#?}", run.lines());
    assert!(run.said("shop", "bye"), "{:#?}", run.lines());
    let ask = "curl -s localhost:$DAPR_HTTP_PORT/v1.0/state/s/last; echo";
    let mut again = Run::start(&dir, "colony", &["run", "--app-id", "shop", "--", "sh", "-c", ask]);
    assert_eq!(again.exit_code(), Some(0));
    assert!(again.said("shop", "2"), "{:#?}", again.lines());
}

#[test]
fn what_dapr_tools_look_for_is_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "echo $DAPR_HTTP_PORT; sleep 1000";
    let mut run = Run::start(&dir, "dapr", &["run", "--app-id", "shop", "sh", "-c", script]);
    let port = run.wait_for("== APP ==", "").rsplit(' ').next().expect("a port").to_owned();
    assert!(run.said("== DAPR ==", "sidecar of shop"));
    let http = format!("127.0.0.1:{port}");
    let mut app = 0;
    wait("the notes", || {
        let notes = request(&http, "GET", "/v1.0/metadata", &[], None).json()["extended"].clone();
        app = notes["appPID"].as_str().and_then(|pid| pid.parse().ok()).unwrap_or(0);
        let note = |key: &str| notes[key].as_str().unwrap_or_default().to_owned();
        note("cliPID") == run.child.id().to_string() && note("appCommand") == format!("sh -c {script}")
    });
    assert!(lives(app));
    assert_eq!(request(&http, "POST", "/v1.0/shutdown", &[], None).status, 204);
    assert_eq!(run.exit_code(), Some(0));
    assert!(!lives(app), "the program ends with its sidecar");
}

#[test]
fn no_program_outlives_a_kill_and_others_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let words = ["run", "--app-id", "a", "sh", "-c", "echo $$; sleep 1000"];
    let first = Run::start(&dir, "colony", &words);
    let pid: i32 = last(&first.wait_for("a", "")).parse().expect("a pid");
    let mut second =
        Run::start(&dir, "colony", &["run", "--app-id", "b", "sh", "-c", "echo $DAPR_HTTP_PORT; sleep 1000"]);
    let http = format!("127.0.0.1:{}", last(&second.wait_for("b", "")));
    first.signal(libc::SIGKILL);
    wait("the end of the program", || !lives(pid));
    assert_eq!(request(&http, "POST", "/v1.0/state/s", &[], Some(r#"[{"key":"k","value":1}]"#)).status, 204);
    second.signal(libc::SIGINT);
    assert_eq!(second.exit_code(), Some(0));
}

#[test]
fn what_runs_is_listed_and_stopped_by_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "echo up; sleep 1000";
    let mut one = Run::start(&dir, "dapr", &["run", "-a", "one", "-p", "8000", "sh", "-c", script]);
    one.wait_for("== APP ==", "up");
    let mut two = Run::start(&dir, "dapr", &["run", "-a", "two", "sh", "-c", script]);
    two.wait_for("== APP ==", "up");
    let dapr = |words: &[&str]| {
        let mut command = Command::new(dir.path().join("dapr"));
        let command = command.args(words).current_dir(dir.path()).env("XDG_RUNTIME_DIR", dir.path());
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let mut listed = Value::Null;
    wait("both on the list", || {
        listed = serde_json::from_str(&dapr(&["list", "-o", "json"])).expect("JSON");
        let ids: Vec<&str> =
            listed.as_array().expect("a list").iter().filter_map(|one| one["appId"].as_str()).collect();
        ids == ["one", "two"] && listed[1]["appPid"] != 0
    });
    assert_eq!((&listed[0]["appPort"], &listed[0]["cliPid"]), (&8000.into(), &one.child.id().into()));
    assert_eq!(listed[1]["servedBy"], one.child.id(), "whose process the other's sidecar is");
    assert_eq!(
        (&listed[1]["daprdPid"], &listed[1]["command"]),
        (&two.child.id().into(), &format!("sh -c {script}").into())
    );
    assert!(dapr(&["list"]).contains("two") && dapr(&["list", "-o", "yaml"]).contains("appId: \"two\""));
    assert!(dapr(&["init", "--slim"]).contains("Nothing has to be set up"));
    assert!(dapr(&["stop", "one"]).contains("one is being ended"));
    assert_eq!(one.exit_code(), Some(0));
    wait("the other is still there", || dapr(&["list"]).contains("two"));
    dapr(&["stop", "--app-id", "two"]);
    assert_eq!(two.exit_code(), Some(0));
    let nobody = run_in(dir.path(), &["stop", "--app-id", "two"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("`colony list` says which are"), "{nobody:?}");
}

#[test]
fn several_programs_come_from_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    for folder in ["one/.dapr/resources", "two"] {
        std::fs::create_dir_all(dir.path().join(folder)).expect("made");
    }
    let shared = |name: &str| {
        format!(
            "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{ name: {name} }}\n\
             spec: {{ type: state.colony, version: v1, metadata: [{{ name: keyPrefix, value: none }}] }}\n"
        )
    };
    write(&dir, "one/.dapr/resources/own.yaml", &format!("{}---\n{}", shared("own"), shared("shared")));
    write(&dir, "common/shared.yaml", &shared("shared"));
    write(
        &dir,
        "dapr.yaml",
        "version: 1\ncommon:\n  resourcesPath: ./common\n  env: { WORD: common, OTHER: also }\napps:\n\
         - appDirPath: ./one\n  appLogDestination: console\n  env: { WORD: own }\n  \
           command: [sh, -c, 'echo $WORD $OTHER $(basename $PWD) $DAPR_HTTP_PORT; sleep 1000']\n\
         - appID: second\n  appDirPath: ./two\n  daprdLogDestination: console\n  \
           command: [sh, -c, 'echo $WORD $DAPR_HTTP_PORT; sleep 1000']\n",
    );
    let mut run = Run::start(&dir, "colony", &["run", "-f", "."]);
    let one = format!("127.0.0.1:{}", last(&run.wait_for("one", "own also one")));
    let two = format!("127.0.0.1:{}", last(&run.wait_for("second", "common")));
    let item = Some(r#"[{"key":"k","value":1}]"#);
    assert_eq!(request(&one, "POST", "/v1.0/state/shared", &[], item).status, 204);
    assert_eq!(request(&two, "GET", "/v1.0/state/shared/k", &[], None).body, "1", "one engine for both");
    let names = |address: &str| -> Vec<Value> {
        let told = request(address, "GET", "/v1.0/metadata", &[], None).json();
        let components = told["components"].as_array().cloned().unwrap_or_default();
        components.iter().map(|component| component["name"].clone()).collect()
    };
    assert_eq!((names(&one), names(&two)), (vec!["own".into(), "shared".into()], vec!["shared".into()]));
    assert!(run.said("second.sidecar", "sidecar of second") && !run.said("one.sidecar", ""));
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), Some(0), "{:#?}", run.lines());
    let logs = |folder: &str| {
        let found = std::fs::read_dir(dir.path().join(folder).join(".dapr/logs")).expect("logs");
        let mut names: Vec<String> =
            found.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let (first, second) = (logs("one"), logs("two"));
    assert!(first.len() == 1 && first[0].starts_with("one_daprd_"), "{first:?}");
    assert!(second.len() == 1 && second[0].starts_with("second_app_"), "{second:?}");
    let kept = std::fs::read_to_string(dir.path().join("two/.dapr/logs").join(&second[0])).expect("read");
    assert!(kept.starts_with("common "), "{kept}");
}

#[test]
fn what_cannot_be_run_is_explained() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |words: &[&str], code: i32, sentence: &str| {
        let output = run_in(dir.path(), &[&["run"], words].concat());
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.code() == Some(code) && text.contains(sentence), "{words:?}: {text}");
    };
    refused(&["--app-id", "a", "--", "./nothing"], 1, "`./nothing` does not exist");
    refused(&["--app-id", "a", "no-such-program"], 1, "there is no program `no-such-program` in PATH");
    refused(&["-f", "nowhere.yaml"], 1, "cannot read nowhere.yaml");
    refused(&["-f", ".", "--", "true"], 2, "cannot be used with");
    write(&dir, "dapr.yaml", "version: 1\napps:\n- appDirPath: ./gone\n");
    refused(&["-f", "."], 1, "dapr.yaml:3:15: there is no folder");
    write(&dir, "dapr.yaml", "version: 1\napps:\n- appDirPath: .\n  apPort: 70000\n  appPort: 70000\n");
    refused(&["-f", "."], 1, "did you mean `appPort`?");
    refused(&["-f", "."], 1, "`70000` is no port");
    write(
        &dir,
        "dapr.yaml",
        "version: 1\napps:\n- appDirPath: .\n  appID: a\n  resourcesPath: odd\n  command: [sleep, '1000']\n",
    );
    write(
        &dir,
        "odd/odd.yaml",
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: odd }\nspec: { type: state.odd }\n",
    );
    refused(&["-f", "."], 1, "odd.yaml:4:15");
}

/// `colony run`, under some name.
pub struct Run {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Run {
    fn start(dir: &TempDir, name: &str, words: &[&str]) -> Run {
        Run::start_in(dir, dir.path(), name, words, &[])
    }

    /// In a folder below, with more variables.
    pub fn start_in(dir: &TempDir, folder: &Path, name: &str, words: &[&str], env: &[(&str, &OsStr)]) -> Run {
        let program = dir.path().join(name);
        if !program.exists() {
            std::os::unix::fs::symlink(binary(), &program).expect("linked");
        }
        let mut child = Command::new(&program)
            .args(words)
            .current_dir(folder)
            .env_remove("DAPR_HTTP_PORT")
            .env("XDG_RUNTIME_DIR", dir.path())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let out: Box<dyn std::io::Read + Send> = Box::new(child.stdout.take().expect("piped"));
        let err: Box<dyn std::io::Read + Send> = Box::new(child.stderr.take().expect("piped"));
        let readers = [out, err].map(|stream| {
            let lines = lines.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    lines.lock().expect("lock").push(line);
                }
            })
        });
        Run { child, lines, readers: readers.into() }
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("lock").clone()
    }

    /// Whether somebody has written a line with this text.
    pub fn said(&self, who: &str, text: &str) -> bool {
        self.lines().iter().any(|line| is(line, who, text))
    }

    fn wait_for(&self, who: &str, text: &str) -> String {
        let found = || self.lines().into_iter().find(|line| is(line, who, text));
        until(&format!("{who}: {text}"), found, || format!("{:#?}", self.lines()))
    }

    pub fn signal(&self, signal: i32) {
        kill(self.child.id() as i32, signal);
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        let mut ended = None;
        wait("its end", || {
            ended = self.child.try_wait().expect("waited");
            ended.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("read");
        }
        ended.and_then(|status| status.code())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is(line: &str, who: &str, text: &str) -> bool {
    let named = match who.starts_with('=') {
        true => line.starts_with(who),
        false => line.split_whitespace().next() == Some(who),
    };
    named && line.contains(text)
}

fn last(line: &str) -> String {
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

fn write(dir: &TempDir, name: &str, text: &str) {
    let path: &Path = &dir.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}
