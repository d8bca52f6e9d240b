//! Processes that leave the group and the session they were started in: they go with their service all the same.

use crate::world::{World, lives, until, wait};

const DAEMON: &str = "\
name: daemons
gateway: { listen: 127.0.0.1:0 }
services:
  host:
    run: setsid sh -c 'echo daemon $$; sleep 1000; :' & sleep 1000
    ready: none
";

/// The daemon's shell and its `sleep`, of the newest instance.
fn daemon(world: &World, number: usize) -> [i32; 2] {
    let printed = |world: &World| -> Vec<i32> {
        let lines = world.printed();
        let lines = lines.iter().filter_map(|line| line["text"].as_str()?.strip_prefix("daemon "));
        lines.map(|pid| pid.parse().expect("a number")).collect()
    };
    let shell =
        until("a daemon", || printed(world).get(number).copied(), || format!("{:#?}", world.printed()));
    let children = || std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok();
    let sleep = until("its child", || children()?.split_whitespace().next()?.parse().ok(), String::new);
    [shell, sleep]
}

#[test]
fn a_daemon_ends_with_ctrl_c() {
    let mut world = World::up(DAEMON);
    let daemon = daemon(&world, 0);
    world.signal(libc::SIGINT);
    assert_eq!(world.exit_code(), Some(0));
    assert!(daemon.iter().all(|pid| !lives(*pid)));
}

#[test]
fn a_daemon_ends_with_a_killed_colony() {
    let mut world = World::up(DAEMON);
    let daemon = daemon(&world, 0);
    world.signal(libc::SIGKILL);
    assert_eq!(world.exit_code(), None);
    wait("an end of the daemon", || daemon.iter().all(|pid| !lives(*pid)));
}

#[test]
fn a_daemon_ends_with_its_service() {
    let world = World::up(DAEMON);
    let first = daemon(&world, 0);
    world.json(&["restart", "host", "--json"]);
    assert!(first.iter().all(|pid| !lives(*pid)));
    let second = daemon(&world, 1);
    world.json(&["stop", "host", "--json"]);
    assert!(second.iter().all(|pid| !lives(*pid)));
}
