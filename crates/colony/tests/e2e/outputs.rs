//! Standard output that nobody reads, or that has no room.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::world::{World, binary, lives, run_in, wait};

const ONE: &str = "name: one\ngateway: { listen: 127.0.0.1:0 }\nservices:\n  a: { run: \"sh -c 'echo first; echo second; exec sleep 1000'\", ready: none }\n";

/// Starts a command whose standard output is a pipe.
fn piped(world: &World, args: &[&str]) -> Child {
    let mut command = Command::new(binary());
    command.args(args).current_dir(world.dir.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().expect("starts")
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("a full device")
}

#[test]
fn following_logs_ends_when_its_reader_does() {
    let world = World::up(ONE);
    wait("the lines", || String::from_utf8_lossy(&world.run(&["logs"]).stdout).contains("second"));
    let mut logs = piped(&world, &["logs", "-f"]);
    let mut lines = BufReader::new(logs.stdout.take().expect("piped")).lines();
    assert!(lines.next().is_some_and(|line| line.is_ok()));
    drop(lines);
    let output = logs.wait_with_output().expect("ended, though no line came any more");
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_closed_pipe_ends_a_command_without_a_word() {
    let world = World::up(ONE);
    for args in [&["schema"][..], &["status"], &["--help"], &["check", "--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(binary());
        let output = command.args(args).current_dir(world.dir.path()).stdout(writer).output().expect("runs");
        assert_eq!(output.status.code(), Some(141), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn no_room_for_the_output_is_a_failure() {
    let world = World::up(ONE);
    for args in [&["schema"][..], &["status", "--json"], &["check"], &["logs"], &["--version"]] {
        let mut command = Command::new(binary());
        let output = command.args(args).current_dir(world.dir.path()).stdout(full()).output().expect("runs");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("cannot write to standard output"), "{args:?}: {said}");
    }
}

#[test]
fn a_node_goes_on_without_its_output() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("colony.yaml"), ONE).expect("written");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(binary());
    command.arg("up").current_dir(dir.path()).env("XDG_RUNTIME_DIR", dir.path());
    let mut node = command.stdin(Stdio::null()).stdout(writer).spawn().expect("starts");
    wait("the service", || {
        String::from_utf8_lossy(&run_in(dir.path(), &["status"]).stdout).contains("ready")
    });
    assert!(lives(node.id() as i32));
    crate::world::kill(node.id() as i32, libc::SIGTERM);
    assert_eq!(node.wait().expect("ended").code(), Some(0));
}
