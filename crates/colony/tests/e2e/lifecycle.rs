//! Starts and ends: in order, by signal, by force.

use std::net::TcpListener;

use crate::world::{World, kill, lives, run_in, server, wait};

const TWO: &str = "\
name: two
gateway: { listen: 127.0.0.1:0, routes: [{ to: front }] }
services:
  back:
    run: sh -c 'sleep 1000 & wait'
    ready: none
  front:
    run: sleep 1000
    ready: none
    calls: [back]
";

#[test]
fn ctrl_c_stops_everything_and_exits_with_0() {
    let mut world = World::up(TWO);
    let pids = world.all_pids();
    assert_eq!(pids.len(), 2);
    world.signal(libc::SIGINT);
    assert_eq!(world.exit_code(), Some(0));
    assert!(pids.iter().all(|pid| !lives(*pid)));
    assert!(world.printed().iter().any(|line| line["event"] == "ended"));
    assert!(!world.dir.path().join(".colony/control.sock").exists());
}

#[test]
fn nobody_outlives_a_killed_colony() {
    let mut world = World::up(TWO);
    let mut pids = world.all_pids();
    let children = |pid: &i32| {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    let grandchildren: Vec<i32> = pids.iter().flat_map(children).collect();
    assert!(!grandchildren.is_empty(), "the shell has a child");
    pids.extend(grandchildren);
    world.signal(libc::SIGKILL);
    assert_eq!(world.exit_code(), None);
    wait("an end of all", || pids.iter().all(|pid| !lives(*pid)));
}

#[test]
fn a_killed_colony_can_be_started_again() {
    let mut world = World::up(TWO);
    world.signal(libc::SIGKILL);
    world.exit_code();
    let output = run_in(world.dir.path(), &["status"]);
    assert!(!output.status.success());
    let again = world.up_again();
    assert_eq!(again.service("front")["state"], "ready");
}

#[test]
fn callees_start_before_their_callers() {
    let world = World::up(TWO);
    let order: Vec<String> = world
        .printed()
        .iter()
        .filter(|line| line["event"] == "ready")
        .map(|line| line["service"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(order, ["back", "front"]);
}

#[test]
fn a_second_colony_in_the_same_folder_is_refused() {
    let world = World::up(TWO);
    let output = world.run(&["up"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("is up already") && text.contains("colony stop"), "{text}");
}

#[test]
fn a_port_in_use_names_the_port_and_who_holds_it() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = holder.local_addr().expect("bound").port();
    let dir = tempfile::tempdir().expect("a folder");
    let address = server("x");
    let manifest = format!(
        "name: taken\ngateway: {{ listen: 127.0.0.1:{port} }}\nservices: {{ app: {{ url: \"http://{address}\" }} }}\n"
    );
    std::fs::write(dir.path().join("colony.yaml"), manifest).expect("written");
    let output = run_in(dir.path(), &["up"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&format!("port {port} is in use by pid {}", std::process::id())), "{text}");
    assert!(text.contains("gateway.listen"), "{text}");
}

#[test]
fn stop_ends_one_service_or_all() {
    let mut world = World::up(TWO);
    let back = world.pids("back");
    world.json(&["stop", "back", "--json"]);
    assert!(back.iter().all(|pid| !lives(*pid)));
    assert_eq!(world.service("back")["state"], "stopped");
    world.json(&["restart", "back", "--json"]);
    assert_eq!(world.service("back")["state"], "ready");
    world.json(&["stop", "--json"]);
    assert_eq!(world.exit_code(), Some(0));
}

#[test]
fn a_killed_instance_comes_back() {
    let world = World::up(TWO);
    let before = world.pids("back");
    kill(before[0], libc::SIGKILL);
    wait("a new process", || {
        let now = world.pids("back");
        world.service("back")["state"] == "ready" && !now.is_empty() && now != before
    });
    let instance = world.service("back")["instances"][0].clone();
    assert_eq!(instance["restarts"], 1, "{instance}");
}
