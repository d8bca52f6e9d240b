//! Folders of durable data: looked into, damaged and mended; and what is acknowledged survives `kill -9`.

mod beside;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::golden::without_numbers;
use crate::world::{binary, run_in};

#[test]
fn a_folder_is_looked_into_and_read_as_a_whole() {
    let bench = Bench::new();
    bench.exercised(2);
    let shown = text(&bench.run(&["inspect", "try"]).stdout);
    let read = bench.run(&["verify", "try"]);
    assert!(read.status.success(), "{read:?}");
    insta::assert_snapshot!(masked(&format!("{shown}\n=== verify\n\n{}", text(&read.stdout))));
    let shown = bench.json(&["inspect", "try", "--json"]);
    let shards = shown["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), 16);
    assert!(shards.iter().all(|shard| shard["applied"] == shard["last"]), "{shown}");
    assert_eq!(shown["stores"]["exercise"], 4, "two items of each producer: {shown}");
    assert_eq!(shown["outbox"], 0);
    assert_eq!(bench.json(&["verify", "try", "--json"])["whole"], true);
    let repaired = bench.json(&["repair", "try", "--apply", "--json"]);
    assert_eq!(repaired["repaired"], false, "nothing is damaged: {repaired}");
}

#[test]
fn a_folder_that_is_looked_at_stays_as_it_is_to_the_last_byte() {
    let bench = Bench::new();
    bench.unsealed();
    let torn = bench.last_group("try/log/000000000001.segment");
    bench.flip("try/log/000000000001.segment", torn + 30);
    for folder in ["try", "try/log", "try/store"] {
        bench.set_mode(folder, 0o500);
    }
    bench.set_mode("try/log/000000000001.segment", 0o400);
    let before = bench.listing("try");
    let shown = bench.json(&["inspect", "try", "--json"]);
    let cut = &shown["log"]["torn"][0];
    assert_eq!(cut["offset"], torn, "{shown}");
    let says = format!(
        "would be cut at start: {} bytes at offset {torn} of file try/log/000000000001.segment",
        cut["bytes"]
    );
    for command in ["inspect", "verify"] {
        let seen = bench.run(&[command, "try"]);
        assert!(seen.status.success(), "{seen:?}");
        assert!(text(&seen.stdout).contains(&says), "{seen:?}");
    }
    assert!(bench.run(&["export", "try"]).status.success());
    assert!(bench.run(&["repair", "try"]).status.success(), "nothing is damaged");
    assert_eq!(bench.listing("try"), before);
    for folder in ["try", "try/log", "try/store"] {
        bench.set_mode(folder, 0o700);
    }
    bench.set_mode("try/log/000000000001.segment", 0o600);
    // A start does cut it.
    assert!(bench.run(&["exercise", "try", "--seconds", "1"]).status.success());
    assert_eq!(bench.json(&["inspect", "try", "--json"])["log"]["torn"], serde_json::json!([]));
}

#[test]
fn where_nothing_is_or_somebody_else_works_that_is_said() {
    let bench = Bench::new();
    let nothing = bench.run(&["inspect", "nowhere"]);
    assert_eq!(text(&nothing.stderr).lines().next(), Some("error: there is no data in nowhere"));
    std::fs::create_dir(bench.path("mine")).expect("made");
    std::fs::write(bench.path("mine/file"), "mine").expect("written");
    let mine = bench.run(&["exercise", "mine"]);
    assert!(text(&mine.stderr).contains("mine is not empty, and was not made by this command"), "{mine:?}");
    let mut running = Running::start(&bench);
    running.wait_for_lines(1);
    let busy = bench.run(&["inspect", "try"]);
    let said = text(&busy.stderr);
    assert!(!busy.status.success() && said.contains("the log is open in"), "{said}");
    assert!(said.contains(&running.child.id().to_string()), "{said}");
    running.kill();
}

/// No checkpoint has been written, so that all that comes after the hole is needed.
#[test]
fn a_hole_in_the_log_is_found_cut_and_kept() {
    let bench = Bench::new();
    bench.unsealed();
    bench.flip("try/log/000000000001.segment", 20_000);
    let found = bench.run(&["verify", "try"]);
    assert_eq!(found.status.code(), Some(1));
    let said = masked(&text(&found.stdout));
    // What exactly is at that byte differs, too.
    let said: Vec<&str> =
        said.lines().map(|line| line.split_once("byte N: ").map_or(line, |(place, _)| place)).collect();
    insta::assert_snapshot!(said.join("\n"));
    let found = bench.failing(&["verify", "try", "--json"]);
    let damage = &found["log"]["damages"][0];
    assert!(damage["file"].as_str().is_some_and(|file| file.ends_with("000000000001.segment")), "{found}");
    assert!(damage["offset"].as_u64().is_some_and(|offset| (4096..=20_000).contains(&offset)), "{found}");
    let shut = bench.run(&["inspect", "try"]);
    assert!(text(&shut.stderr).contains("`colony data verify try` says what is damaged"), "{shut:?}");

    let before = bench.listing("try");
    let planned = bench.failing(&["repair", "try", "--json"]);
    assert_eq!(
        (&planned["repaired"], &planned["opens"]),
        (&Value::Bool(false), &Value::Bool(true)),
        "{planned}"
    );
    let given_up = planned["given_up_entries"].as_u64().expect("a number").max(1).to_string();
    let refused = bench.run(&["repair", "try", "--apply"]);
    assert!(text(&refused.stderr).contains(&format!("`--give-up {given_up}`")), "{refused:?}");
    assert_eq!(bench.listing("try"), before, "nothing was changed as yet");
    let repaired = bench.json(&["repair", "try", "--apply", "--give-up", &given_up, "--json"]);
    assert_eq!(
        (&repaired["opens"], &repaired["whole"]),
        (&Value::Bool(true), &Value::Bool(true)),
        "{repaired}"
    );
    assert_eq!((&repaired["given_up"], &repaired["kept"]), (&planned["given_up"], &planned["kept"]));
    let kept = repaired["kept"][0].as_str().expect("what was cut off is kept");
    assert!(bench.path(kept).exists(), "{repaired}");
    assert_eq!(bench.json(&["verify", "try", "--json"])["whole"], true);
    assert!(bench.run(&["exercise", "try", "--seconds", "1"]).status.success());
}

#[test]
fn a_damaged_entry_that_a_checkpoint_has_is_stepped_over() {
    let bench = Bench::new();
    bench.exercised(2);
    let all = bench.lines(&["export", "try"]);
    let payload = |line: &Value| {
        let text = line["payload"].as_str().map(|text| text.as_bytes().to_vec());
        text.unwrap_or_else(|| decode(line["payload_base64"].as_str().unwrap_or_default()))
    };
    // The last in the log with the same bytes may be of something that is no more.
    let mut tried = all.iter().filter(|line| payload(line).len() > INLINE_MAX).filter_map(|line| {
        let (segment, at) = bench.find_in_log(&payload(line));
        bench.flip(&segment, at + 100);
        let found = bench.failing(&["verify", "try", "--json"]);
        let is_pointed_to = found["lost"].as_array().is_some_and(|lost| !lost.is_empty());
        if !is_pointed_to {
            bench.flip(&segment, at + 100);
        }
        is_pointed_to.then_some((segment, found))
    });
    let (segment, found) = tried.next().expect("one that is pointed to");
    let place = found["lost"][0]["what"].clone();
    let is_named =
        |told: &Value| told["lost"].as_array().expect("a list").iter().any(|lost| lost["what"] == place);

    let before = bench.listing("try");
    let planned = bench.failing(&["repair", "try", "--json"]);
    assert_eq!(bench.listing("try"), before);
    assert_eq!(
        (&planned["given_up_entries"], &planned["may_be_more"]),
        (&0.into(), &false.into()),
        "{planned}"
    );
    assert_eq!(planned["stepped_over"].as_array().map(Vec::len), Some(1), "{planned}");
    assert!(is_named(&planned["after"]), "{planned}");
    let repaired = bench.json(&["repair", "try", "--apply", "--json"]);
    assert_eq!((&repaired["stepped_over"], &repaired["opens"]), (&planned["stepped_over"], &true.into()));
    assert!(bench.path(repaired["kept"][0].as_str().expect("a file")).exists(), "{repaired}");
    assert_eq!(repaired["rebuilt"][0], segment.as_str(), "{repaired}");

    let found = bench.failing(&["verify", "try", "--json"]);
    assert_eq!(found["log"]["damages"], serde_json::json!([]), "{found}");
    assert_eq!(found["log"]["given_up"], planned["stepped_over"]);
    assert!(is_named(&found), "{found}");
    let again = bench.run(&["repair", "try", "--apply"]);
    assert!(again.status.success() && text(&again.stdout).contains("nothing can be done"), "{again:?}");
    let exported = bench.run(&["export", "try"]);
    let lines = text(&exported.stdout);
    let errors: Vec<&str> = lines.lines().filter(|line| line.contains("\"error\":")).collect();
    let lost = found["lost"].as_array().map(Vec::len);
    assert_eq!((lines.lines().count(), Some(errors.len())), (all.len(), lost), "{errors:?}");
    assert!(errors[0].contains("a repair gave it up"), "{errors:?}");
    // What is known to be lost keeps nobody from a backup, and is lost in what comes of it.
    assert!(bench.run(&["backup", "try", "file"]).status.success());
    assert!(bench.run(&["restore", "file", "new"]).status.success());
    assert!(is_named(&bench.failing(&["verify", "new", "--json"])));
    assert!(bench.run(&["exercise", "try", "--seconds", "1"]).status.success(), "it goes on");
}

#[test]
fn where_the_log_ends_before_the_state_that_is_made_anew() {
    let bench = Bench::new();
    bench.exercised(2);
    let log = std::fs::read_dir(bench.path("try/log")).expect("the log");
    let names = log.map(|file| file.expect("a file").path());
    let last = names.filter(|path| path.extension().is_some_and(|end| end == "segment")).max();
    std::fs::remove_file(last.expect("a segment")).expect("removed");
    let found = bench.failing(&["verify", "try", "--json"]);
    assert!(
        found["wrong"][0].as_str().is_some_and(|wrong| wrong.contains("part of the log is missing")),
        "{found}"
    );
    let planned = bench.failing(&["repair", "try", "--json"]);
    assert_eq!((&planned["remakes_state"], &planned["opens"]), (&true.into(), &true.into()), "{planned}");
    let given_up = planned["given_up_entries"].to_string();
    assert_ne!(given_up, "0");
    let refused = bench.run(&["repair", "try", "--apply", "--give-up", "0"]);
    assert!(!refused.status.success() && bench.path("try/store").is_dir(), "{refused:?}");
    let repaired = bench.run(&["repair", "try", "--apply", "--give-up", &given_up]);
    assert!(repaired.status.success(), "{repaired:?}");
    assert!(bench.path("try/store.1.cut").is_dir(), "what the state was is kept: {repaired:?}");
    assert_eq!(bench.json(&["verify", "try", "--json"])["whole"], true);
}

#[test]
fn a_check_sees_what_is_missing_or_moved() {
    let bench = Bench::new();
    bench.exercised(1);
    let lines = std::fs::read_to_string(bench.path("lines")).expect("the lines");
    assert!(bench.run(&["exercise", "try", "--check", "lines"]).status.success());
    for kind in ["put", "publish", "send", "acknowledge", "append", "order"] {
        let (printed, last) = last_of(&lines, kind);
        let mut more = last.clone();
        more["number"] = (last["number"].as_u64().expect("a number") + 1).into();
        std::fs::write(bench.path("more"), format!("{lines}{more}\n")).expect("written");
        let wrong = bench.failing(&["exercise", "try", "--check", "more", "--json"]);
        assert_eq!(wrong["wrong"].as_array().map(Vec::len), Some(1), "{kind}, which never was: {wrong}");
        if kind == "acknowledge" {
            continue;
        }
        let mut moved = last.clone();
        moved["at"] = (last["at"].as_u64().expect("an answer") + 1).into();
        let moved = lines.replace(printed, &moved.to_string());
        std::fs::write(bench.path("moved"), moved).expect("written");
        let wrong = bench.failing(&["exercise", "try", "--check", "moved", "--json"]);
        let odd = wrong["wrong"].as_array().map(Vec::len);
        // That of an item that is done is not there to be looked at.
        assert!(odd == Some(1) || (kind == "send" && odd == Some(0)), "{kind} elsewhere: {wrong}");
    }
}

#[test]
fn what_a_folder_holds_is_printed_line_by_line() {
    let bench = Bench::new();
    bench.exercised(1);
    let all = bench.lines(&["export", "try"]);
    let acknowledged = std::fs::read_to_string(bench.path("lines")).expect("the lines");
    let of = |kind: &str| last_of(&acknowledged, kind).1["number"].as_u64().expect("a number") as usize;
    let count = |kind: &str| all.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!(count("item"), 2);
    assert_eq!(count("message"), of("publish") + of("order"));
    assert_eq!(count("work"), of("send") - of("acknowledge"));
    assert_eq!(count("event"), of("append"));
    assert_eq!(count("timer"), 1, "that of the queue");
    let rest = ["item", "message", "work", "event", "timer", "setting"].map(count);
    assert_eq!(rest.iter().sum::<usize>(), all.len());
    assert!(all.iter().all(|line| line["error"].is_null()), "all can be read");
    let one = bench.lines(&["export", "try", "--topic", "exercise"]);
    assert_eq!(one.len(), of("publish"));
    for (line, offset) in one.iter().zip(0..) {
        assert_eq!((&line["topic"], &line["offset"]), (&Value::from("exercise"), &Value::from(offset)));
        assert_eq!(line["key"], format!("{}-0", last_of(&acknowledged, "put").1["run"]));
    }
    // Those that are no text are in base64.
    assert!(
        one.iter().all(|line| line["payload"].is_string() != line["payload_base64"].is_string()),
        "{one:?}"
    );
    assert!(bench.lines(&["export", "try", "--store", "other"]).is_empty());
    let both = bench.run(&["export", "try", "--store", "a", "--topic", "b"]);
    assert_eq!(both.status.code(), Some(2), "one of them: {both:?}");
}

/// A line of each kind of what stands beside the data.
#[test]
fn jobs_locks_timers_and_settings_are_printed() {
    let bench = Bench::new();
    beside::fill(&bench.path("data"));
    let kinds = ["job", "lock", "timer", "setting"];
    let mut args = vec!["export", "data"];
    args.extend(kinds.iter().flat_map(|kind| ["--kind", kind]));
    let mut lines = bench.lines(&args);
    assert!(lines.iter().all(|line| kinds.contains(&line["kind"].as_str().unwrap_or_default())));
    lines.iter_mut().for_each(beside::without_times);
    let printed: Vec<String> = lines.iter().map(Value::to_string).collect();
    insta::assert_snapshot!(printed.join("\n"));
    assert_eq!(bench.lines(&["export", "data", "--kind", "lock"]).len(), 1);
    let wrong = bench.run(&["export", "data", "--kind", "nothing"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    assert!(text(&wrong.stderr).contains("possible values: item, message, work, event"), "{wrong:?}");
}

#[test]
fn a_payload_that_is_damaged_keeps_no_other_from_being_printed() {
    let bench = Bench::new();
    bench.exercised(1);
    let whole = bench.lines(&["export", "try"]).len();
    // Some of what is there belongs to nothing any more.
    let segment = "try/log/000000000001.segment";
    let length = std::fs::metadata(bench.path(segment)).expect("a segment").len() as usize;
    (6_000..length.min(80_000)).step_by(2_000).for_each(|at| bench.flip(segment, at));
    let damaged = bench.run(&["export", "try"]);
    assert_eq!(damaged.status.code(), Some(1), "{}", text(&damaged.stderr));
    let lines = text(&damaged.stdout);
    assert_eq!(lines.lines().count(), whole);
    let errors: Vec<&str> = lines.lines().filter(|line| line.contains("\"error\":")).collect();
    assert!(
        !errors.is_empty() && errors.iter().all(|line| line.contains("is damaged at byte")),
        "{errors:?}"
    );
}

/// `COLONY_KILL_ROUNDS=500` has it go on for so many rounds; else it ends after half a minute.
#[test]
fn what_is_acknowledged_survives_kill_9() {
    let rounds: Option<u64> =
        std::env::var("COLONY_KILL_ROUNDS").ok().map(|rounds| rounds.parse().expect("a number"));
    let begun = Instant::now();
    let mut chance = Chance::new();
    let mut bench = Bench::new();
    let mut acknowledged = String::new();
    for round in 0.. {
        if rounds.map_or(round >= ROUNDS_MIN && begun.elapsed() > LASTS, |rounds| round >= rounds) {
            break;
        }
        // What is there is read in each round: begin anew before that takes long.
        if round % ROUNDS_OF_A_FOLDER == 0 {
            bench = Bench::new();
            acknowledged.clear();
        }
        let mut running = Running::start(&bench);
        std::thread::sleep(Duration::from_millis(chance.next(600)));
        acknowledged.push_str(&running.kill());
        std::fs::write(bench.path("lines"), &acknowledged).expect("written");
        if round % 3 == 0 {
            // Also while it finds out what is there.
            let mut check = bench.spawn(&["exercise", "try", "--check", "lines"]);
            std::thread::sleep(Duration::from_millis(chance.next(60)));
            let _ = check.kill();
            check.wait().expect("it has ended");
        }
        if acknowledged.is_empty() {
            continue;
        }
        let found = bench.json(&["exercise", "try", "--check", "lines", "--json"]);
        let unseen = found["unseen_max"].as_u64().expect("a number");
        assert!(unseen <= 1, "no more than one was on its way: {found}; {chance:?}, round {round}");
        if round % 5 == 4 {
            assert_eq!(bench.json(&["verify", "try", "--json"])["whole"], true, "{chance:?}, round {round}");
        }
    }
}

/// What is larger lies in the log, and not in the state.
const INLINE_MAX: usize = 128;
const ROUNDS_OF_A_FOLDER: u64 = 10;
const ROUNDS_MIN: u64 = 5;
const LASTS: Duration = Duration::from_secs(25);

/// Where the commands are tried.
pub struct Bench {
    dir: TempDir,
}

impl Bench {
    pub fn new() -> Bench {
        Bench { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `colony data` with these arguments.
    pub fn run(&self, args: &[&str]) -> Output {
        run_in(self.dir.path(), &[&["data"], args].concat())
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn failing(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let mut command = Command::new(binary());
        command.arg("data").args(args).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("colony starts")
    }

    /// A folder `try` whose log has one segment, not sealed, and whose state is as old as the folder.
    fn unsealed(&self) {
        // One that writes slowly, and is killed at once: its first segment must not be full.
        let mut running = Slow(self.spawn(&["exercise", "try", "--producers", "1"]));
        let mut printed = BufReader::new(running.0.stdout.take().expect("piped")).lines();
        assert!((0..50).all(|_| printed.next().is_some()));
    }

    /// Where the last group of a segment begins.
    fn last_group(&self, segment: &str) -> usize {
        let content = std::fs::read(self.path(segment)).expect("read");
        content.windows(4).rposition(|window| window == b"GRP1").expect("a group")
    }

    /// In which segment `bytes` are, and where last in it.
    fn find_in_log(&self, bytes: &[u8]) -> (String, usize) {
        for file in std::fs::read_dir(self.path("try/log")).expect("the log") {
            let name = format!("try/log/{}", file.expect("a file").file_name().display());
            let content = std::fs::read(self.path(&name)).expect("read");
            if let Some(at) = content.windows(bytes.len()).rposition(|window| window == bytes) {
                return (name, at);
            }
        }
        panic!("it is nowhere in the log");
    }

    fn set_mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), permissions).expect("its mode is set");
    }

    /// All that is in a folder: names, when they were changed, and the bytes of files.
    fn listing(&self, folder: &str) -> Vec<(PathBuf, std::time::SystemTime, Vec<u8>)> {
        let mut listing = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            let changed =
                |path: &PathBuf| std::fs::metadata(path).and_then(|meta| meta.modified()).expect("a time");
            listing.push((folder.clone(), changed(&folder), Vec::new()));
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // A process that was killed has left its socket.
                let bytes = if path.is_file() { std::fs::read(&path).expect("read") } else { Vec::new() };
                listing.push((path.clone(), changed(&path), bytes));
            }
        }
        listing.sort();
        listing
    }

    /// Fills the folder `try` in a second, and puts what was acknowledged into `lines`. Nothing is on its way then.
    pub fn exercised(&self, producers: u32) {
        let output = self.run(&["exercise", "try", "--seconds", "1", "--producers", &producers.to_string()]);
        assert!(output.status.success(), "{output:?}");
        std::fs::write(self.path("lines"), &output.stdout).expect("written");
        let checked = self.json(&["exercise", "try", "--check", "lines", "--json"]);
        assert_eq!(checked["unseen_max"], 0, "{checked}");
    }

    fn flip(&self, file: &str, at: usize) {
        let mut bytes = std::fs::read(self.path(file)).expect("read");
        bytes[at] ^= 0xff;
        std::fs::write(self.path(file), bytes).expect("written");
    }
}

/// `colony data exercise` on the folder `try`.
struct Running {
    child: Child,
    lines: Option<JoinHandle<String>>,
    count: std::sync::mpsc::Receiver<()>,
}

impl Running {
    fn start(bench: &Bench) -> Running {
        let mut child = bench.spawn(&["exercise", "try"]);
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (line, count) = std::sync::mpsc::channel();
        let lines = std::thread::spawn(move || {
            let mut all = String::new();
            while stdout.read_line(&mut all).is_ok_and(|length| length > 0) {
                let _ = line.send(());
            }
            // The last one may have been cut off.
            all.truncate(all.rfind('\n').map_or(0, |end| end + 1));
            all
        });
        Running { child, lines: Some(lines), count }
    }

    fn wait_for_lines(&self, lines: usize) {
        for _ in 0..lines {
            self.count.recv_timeout(Duration::from_secs(60)).expect("a line");
        }
    }

    /// Kills it, and returns what it had printed.
    fn kill(&mut self) -> String {
        let _ = self.child.kill();
        self.child.wait().expect("it has ended");
        self.lines.take().map(|lines| lines.join().expect("it reads")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Killed when it is dropped.
pub struct Slow(pub Child);

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// When to kill, from a seed that a failure shows.
#[derive(Debug)]
struct Chance {
    #[expect(dead_code, reason = "shown by Debug")]
    seed: u64,
    state: u64,
}

impl Chance {
    fn new() -> Chance {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = since_epoch.expect("after 1970").as_nanos() as u64 | 1;
        Chance { seed, state: seed }
    }

    fn next(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % below
    }
}

fn decode(base64: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64).expect("base64")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As it was printed, and as JSON.
fn last_of<'a>(lines: &'a str, kind: &str) -> (&'a str, Value) {
    let all = lines.lines().map(|line| (line, serde_json::from_str::<Value>(line).expect("JSON")));
    all.rev().find(|(_, line)| line["kind"] == kind).expect("there is one")
}

/// Sizes and ages have other units from run to run, too.
fn masked(text: &str) -> String {
    let mut out = without_numbers(text);
    for unit in ["B", "KiB", "MiB"] {
        out = out.replace(&format!("N {unit}"), "SIZE");
    }
    for unit in ["ms", "s"] {
        out = out.replace(&format!("N {unit} ago"), "AGE");
    }
    out.replace("N segments", "N segment")
}
