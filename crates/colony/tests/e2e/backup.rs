//! Backups, made while a process works on the folder, and restored; and `kill -9` in the middle of each.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::data::{Bench, Slow, text};
use crate::world::binary;

#[test]
fn what_was_acknowledged_before_a_backup_is_in_it_and_work_goes_on() {
    let bench = Bench::new();
    let working = working(&bench);
    for round in 0..3 {
        wait_for_lines(&bench, 300 * (round + 1));
        let before = lines(&bench);
        let file = format!("{round}.backup");
        let made = bench.json(&["backup", "try", &file, "--json"]);
        assert_eq!((&made["running"], &made["shards"]), (&Value::Bool(true), &Value::from(16)), "{made}");
        let length = fs::metadata(bench.path(&file)).expect("a backup").len();
        assert_eq!(made["bytes"], length, "{made}");
        wait_for_lines(&bench, before.lines().count() + 50);
        let folder = format!("restored-{round}");
        let restored = bench.json(&["restore", &file, &folder, "--json"]);
        assert_eq!((&restored["pairs"], &restored["bytes"]), (&made["pairs"], &made["bytes"]), "{restored}");
        assert_eq!(bench.json(&["verify", &folder, "--json"])["whole"], true);
        fs::write(bench.path("before"), before).expect("written");
        let checked = bench.run(&["exercise", &folder, "--check", "before"]);
        assert!(checked.status.success(), "{}", text(&checked.stdout));
        assert_eq!(bench.json(&["verify", &folder, "--json"])["whole"], true, "and after it was opened");
    }
    drop(working);
    let checked = bench.run(&["exercise", "try", "--check", "lines"]);
    assert!(checked.status.success(), "nothing of it was in the way: {}", text(&checked.stdout));
}

#[test]
fn a_folder_that_nobody_has_open_is_backed_up_through_a_pipe() {
    let bench = Bench::new();
    let working = working(&bench);
    wait_for_lines(&bench, 300);
    drop(working);
    let mut from = spawn(&bench, &["backup", "try", "-"], Stdio::null(), Stdio::piped());
    let pipe = from.0.stdout.take().expect("piped");
    let mut to = spawn(&bench, &["restore", "-", "copy", "--json"], pipe.into(), Stdio::piped());
    let mut said = String::new();
    to.0.stdout.take().expect("piped").read_to_string(&mut said).expect("read");
    assert!(from.0.wait().expect("it ends").success() && to.0.wait().expect("it ends").success(), "{said}");
    for folder in ["try", "copy"] {
        let checked = bench.run(&["exercise", folder, "--check", "lines"]);
        assert!(checked.status.success(), "{folder}: {}", text(&checked.stdout));
    }
    assert_eq!(bench.json(&["verify", "copy", "--json"])["whole"], true);
}

#[test]
fn a_restore_that_was_killed_is_not_opened_and_can_be_begun_anew() {
    let bench = Bench::new();
    bench.exercised(4);
    bench.json(&["backup", "try", "all", "--json"]);
    let backup = fs::read(bench.path("all")).expect("a backup");
    for share in [0, 1, 3, 4] {
        let mut restoring = spawn(&bench, &["restore", "-", "new"], Stdio::piped(), Stdio::null());
        let mut pipe = restoring.0.stdin.take().expect("piped");
        pipe.write_all(&backup[..backup.len() * share / 4]).expect("it reads");
        until("it has begun", || bench.path("new/store").exists());
        // Without an end it waits for more, whatever it was given.
        restoring.0.kill().expect("killed");
        restoring.0.wait().expect("it has ended");
        drop(pipe);
        for command in [&["inspect", "new"][..], &["verify", "new"], &["backup", "new", "other"]] {
            let refused = bench.run(command);
            let said = text(&refused.stderr);
            assert!(!refused.status.success() && said.contains("not all of it is there"), "{said}");
            assert!(said.contains("`colony data restore FILE") && said.contains("begins anew"), "{said}");
        }
    }
    bench.json(&["restore", "all", "new", "--json"]);
    let checked = bench.run(&["exercise", "new", "--check", "lines"]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    // At any moment: nothing is there, or all of it, or it is refused.
    let mut chance = Instant::now().elapsed().as_nanos() as u64 + u64::from(std::process::id());
    for round in 0..8 {
        let folder = format!("killed-{round}");
        let mut restoring = spawn(&bench, &["restore", "all", &folder], Stdio::null(), Stdio::null());
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_millis((chance >> 33) % 150));
        let _ = restoring.0.kill();
        let ended = restoring.0.wait().expect("it has ended");
        let verified = bench.run(&["verify", &folder, "--json"]);
        let said = text(&verified.stdout);
        match verified.status.success() {
            true => assert!(said.contains("\"whole\":true"), "{said}"),
            false => assert!(
                !ended.success()
                    && (said.contains("not all of it is there") || said.contains("there is no data in")),
                "{said}"
            ),
        }
        if !ended.success() && !verified.status.success() {
            bench.json(&["restore", "all", &folder, "--json"]);
        }
    }
}

#[test]
fn a_backup_that_was_killed_leaves_none_and_its_holder_goes_on() {
    let bench = Bench::new();
    let working = working(&bench);
    wait_for_lines(&bench, 2_000);
    // Nobody reads what comes, so that it is in the middle of it when it is killed.
    for _ in 0..3 {
        let mut making = spawn(&bench, &["backup", "try", "-"], Stdio::null(), Stdio::piped());
        let mut first = [0; 1000];
        making.0.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it begins");
        making.0.kill().expect("killed");
        making.0.wait().expect("it has ended");
    }
    for millis in [5, 20, 40, 80] {
        let mut making = spawn(&bench, &["backup", "try", "all"], Stdio::null(), Stdio::null());
        std::thread::sleep(Duration::from_millis(millis));
        let _ = making.0.kill();
        making.0.wait().expect("it has ended");
        if bench.path("all").exists() {
            let folder = format!("after-{millis}");
            bench.json(&["restore", "all", &folder, "--json"]);
            fs::remove_file(bench.path("all")).expect("removed");
        }
    }
    // What it left is in nobody's way, nor is the holder of the folder still at it.
    bench.json(&["backup", "try", "all", "--json"]);
    assert!(!bench.path("all.partial").exists());
    let before = lines(&bench).lines().count();
    wait_for_lines(&bench, before + 50);
    drop(working);
    let checked = bench.run(&["exercise", "try", "--check", "lines"]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));
}

#[test]
fn the_end_of_the_process_that_is_asked_is_told() {
    let bench = Bench::new();
    let mut working = working(&bench);
    wait_for_lines(&bench, 2_000);
    let mut making = spawn(&bench, &["backup", "try", "-"], Stdio::null(), Stdio::piped());
    let mut pipe = making.0.stdout.take().expect("piped");
    let mut first = [0; 1000];
    pipe.read_exact(&mut first).expect("it begins");
    working.0.kill().expect("killed");
    working.0.wait().expect("it has ended");
    let mut rest = Vec::new();
    pipe.read_to_end(&mut rest).expect("it ends");
    fs::write(bench.path("half"), [first.as_slice(), &rest].concat()).expect("written");
    let mut said = String::new();
    making.0.stderr.take().expect("piped").read_to_string(&mut said).expect("read");
    assert!(!making.0.wait().expect("it ends").success());
    assert!(said.contains("has ended before the backup was finished"), "{said}");
    let refused = bench.run(&["restore", "half", "new"]);
    assert!(text(&refused.stderr).contains("the backup is cut off"), "{refused:?}");
    assert!(!bench.path("new").exists());
}

#[test]
fn what_is_in_the_way_is_said_with_what_to_do() {
    let bench = Bench::new();
    bench.exercised(1);
    bench.json(&["backup", "try", "all", "--json"]);
    let backup = fs::read(bench.path("all")).expect("a backup");
    fs::write(bench.path("half"), &backup[..backup.len() / 2]).expect("written");
    let mut newer = backup.clone();
    newer[8] = 2;
    fs::write(bench.path("newer"), newer).expect("written");
    let mut damaged = backup.clone();
    damaged[backup.len() / 2] ^= 1;
    fs::write(bench.path("damaged"), damaged).expect("written");
    let mut all = String::new();
    let mut say = |args: &[&str]| {
        let output = bench.run(args);
        assert!(!output.status.success(), "{args:?}");
        let said = text(&output.stderr).replace(&bench.path("").display().to_string(), "HERE/");
        all.push_str(&format!("$ colony data {}\n{said}\n", args.join(" ")));
    };
    say(&["backup", "nowhere", "file"]);
    say(&["backup", "try", "try"]);
    say(&["backup", "try", "no/where"]);
    say(&["restore", "all", "try"]);
    say(&["restore", "nothing", "new"]);
    say(&["restore", "lines", "new"]);
    say(&["restore", "half", "new"]);
    say(&["restore", "damaged", "new"]);
    say(&["restore", "newer", "new"]);
    // Whoever has it open has never heard of backups.
    let held = File::options().write(true).open(bench.path("try/log/lock")).expect("a lock");
    held.lock().expect("locked");
    say(&["backup", "try", "file"]);
    drop(held);
    let both = bench.run(&["backup", "try", "-", "--json"]);
    all.push_str(&format!("$ colony data backup try - --json\n{}", text(&both.stdout)));
    assert!(!bench.path("new").exists() && !bench.path("file").exists());
    insta::assert_snapshot!(masked(&all));
    let mut all = String::new();
    for args in [&["backup", "try", "all"], &["restore", "all", "new"]] {
        let output = bench.run(args);
        let said = text(&output.stdout).replace(&bench.path("").display().to_string(), "HERE/");
        all.push_str(&format!("$ colony data {}\n{said}", args.join(" ")));
    }
    insta::assert_snapshot!("what_is_told_of_one", masked(&all));
}

/// `colony data exercise` on the folder `try`, whose lines go to the file `lines`. Killed when it is dropped.
fn working(bench: &Bench) -> Slow {
    let lines = File::create(bench.path("lines")).expect("a file");
    spawn(bench, &["exercise", "try"], Stdio::null(), lines.into())
}

fn spawn(bench: &Bench, args: &[&str], stdin: Stdio, stdout: Stdio) -> Slow {
    let mut command = Command::new(binary());
    command.arg("data").args(args).current_dir(bench.path(""));
    command.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
    let child: Child = command.spawn().expect("colony starts");
    Slow(child)
}

/// What was acknowledged up to now.
fn lines(bench: &Bench) -> String {
    let mut lines = fs::read_to_string(bench.path("lines")).expect("the lines");
    lines.truncate(lines.rfind('\n').map_or(0, |end| end + 1));
    lines
}

fn wait_for_lines(bench: &Bench, count: usize) {
    until("more is acknowledged", || lines(bench).lines().count() >= count);
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not happen: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Numbers and sizes differ from run to run.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match (letter, out.ends_with('N')) {
            ('0'..='9', true) => {}
            ('0'..='9', false) => out.push('N'),
            _ => out.push(letter),
        }
    }
    let mut out = out.replace("N.N", "N");
    for unit in ["KiB", "MiB"] {
        out = out.replace(&format!("N {unit}"), "SIZE");
    }
    out
}
