//! No process is left: whoever is killed, and however.

mod world;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use supervisor::{Error, Event, Supervisor};
use world::{Change, PATIENCE, World, helper, is_alive, kill, service};

/// A shell with a child that ignores SIGTERM; both numbers are printed.
const FAMILY: &str = "sh -c 'trap \"\" TERM; sleep 62 & echo family $$ $!; wait; sleep 62'";

/// A process with a daemon: forked twice, and in a session and a group of its own.
const DAEMON: &str = "(setsid sh -c 'echo family $$; exec sleep 62' &); exec sleep 62";

/// The same with a daemon that ignores SIGTERM.
const STUBBORN_DAEMON: &str =
    "(setsid sh -c 'trap \"\" TERM; echo family $$; sleep 62; sleep 62' &); exec sleep 62";

/// Starts a supervisor as a process of its own; returns it with the numbers of the family it runs.
fn colony(data_dir: &Path) -> (Child, Vec<i32>) {
    colony_with(data_dir, FAMILY)
}

fn colony_with(data_dir: &Path, command: &str) -> (Child, Vec<i32>) {
    colony_of(&helper(), data_dir, command)
}

fn colony_of(program: &Path, data_dir: &Path, command: &str) -> (Child, Vec<i32>) {
    let mut colony = Command::new(program)
        .arg("colony")
        .arg(data_dir)
        .arg(command)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(colony.stdout.take().unwrap()).lines().map(Result::unwrap);
    let family = lines.find_map(|line| Some(line.split_once("family ")?.1.to_owned())).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    (colony, family.split(' ').map(|pid| pid.parse().unwrap()).collect())
}

fn guardian_of(pid: u32) -> i32 {
    guardians_of(pid)[0]
}

fn guardians_of(pid: u32) -> Vec<i32> {
    let children = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let children: String =
        children.map(|t| std::fs::read_to_string(t.path().join("children")).unwrap()).collect();
    let is_guardian = |pid: &i32| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains(supervisor::GUARDIAN_ARGUMENT)
    };
    children.split_whitespace().map(|pid| pid.parse().unwrap()).filter(is_guardian).collect()
}

fn until_dead(pids: &[i32]) {
    let begun = Instant::now();
    while pids.iter().any(|&pid| is_alive(pid)) {
        assert!(begun.elapsed() < PATIENCE, "still alive: {pids:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_supervisor_takes_everybody_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut colony, family) = colony(folder.path());
    let guardian = guardian_of(colony.id());
    assert!(family.iter().all(|&pid| is_alive(pid)));
    colony.kill().unwrap();
    colony.wait().unwrap();
    until_dead(&family);
    until_dead(&[guardian]);
}

#[tokio::test]
async fn what_a_run_without_guardian_left_behind_is_ended_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (mut colony, family) = colony(&folder.path().join("data"));
    let guardian = guardian_of(colony.id());
    // Stopped first, so that it cannot start another guardian.
    // SAFETY: `kill` touches no memory of this process.
    unsafe { libc::kill(colony.id() as i32, libc::SIGSTOP) };
    kill(guardian);
    colony.kill().unwrap();
    colony.wait().unwrap();
    assert!(is_alive(family[1]), "the grandchild had no reason to go");
    let world = World::start_in(folder, vec![service("a", "sleep 60")]);
    world.supervisor.wait_ready().await.unwrap();
    until_dead(&family);
    assert!(
        world.events().iter().any(|e| matches!(e, Event::Cleaned { instance, .. } if instance == "s0-1"))
    );
}

#[test]
fn a_dead_guardian_is_replaced_by_one_that_knows_everybody() {
    let folder = tempfile::tempdir().unwrap();
    replaced_guardian_ends(colony(folder.path()));
}

#[test]
fn a_guardian_is_replaced_by_its_like_although_another_program_is_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("helper");
    std::fs::copy(helper(), &program).unwrap();
    let colony = colony_of(&program, &folder.path().join("data"), FAMILY);
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, "of another version").unwrap();
    replaced_guardian_ends(colony);
}

/// Kills the guardian, then its supervisor; the new guardian must end the family.
fn replaced_guardian_ends((mut colony, family): (Child, Vec<i32>)) {
    let first = guardian_of(colony.id());
    std::thread::sleep(GUARDIAN_PAUSE);
    kill(first);
    let begun = Instant::now();
    let second = loop {
        match guardians_of(colony.id()).into_iter().find(|&pid| pid != first) {
            Some(second) => break second,
            None => assert!(begun.elapsed() < PATIENCE, "no new guardian"),
        }
    };
    std::thread::sleep(Duration::from_millis(50));
    colony.kill().unwrap();
    colony.wait().unwrap();
    until_dead(&family);
    until_dead(&[second]);
}

#[test]
fn dropping_everything_kills_everything() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = runtime.block_on(World::ready(vec![service("a", FAMILY)]));
    runtime.block_on(world.until("the family", |world| !world.lines().is_empty()));
    let line = world.lines()[0].2.clone();
    let family: Vec<i32> = line.split(' ').skip(1).map(|pid| pid.parse().unwrap()).collect();
    drop(world);
    drop(runtime);
    until_dead(&family);
}

#[test]
fn daemons_go_with_a_killed_supervisor_and_nobody_elses_do() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut colony, daemon) = colony_with(folder.path(), STUBBORN_DAEMON);
    let (mut bystander, untouched) = colony_with(other.path(), DAEMON);
    assert!(is_alive(daemon[0]));
    colony.kill().unwrap();
    colony.wait().unwrap();
    until_dead(&daemon);
    assert!(is_alive(untouched[0]));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    until_dead(&untouched);
}

#[tokio::test]
async fn a_daemon_that_a_run_without_guardian_left_behind_is_ended_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (mut colony, daemon) = colony_with(&folder.path().join("data"), DAEMON);
    let guardian = guardian_of(colony.id());
    // SAFETY: `kill` touches no memory of this process.
    unsafe { libc::kill(colony.id() as i32, libc::SIGSTOP) };
    kill(guardian);
    colony.kill().unwrap();
    colony.wait().unwrap();
    assert!(is_alive(daemon[0]), "the daemon had no reason to go");
    let world = World::start_in(folder, vec![service("a", "sleep 60")]);
    world.supervisor.wait_ready().await.unwrap();
    until_dead(&daemon);
    let cleaned = |e: &Event| matches!(e, Event::Cleaned { pid, .. } if *pid == daemon[0]);
    assert!(world.events().iter().any(cleaned), "{:#?}", world.events());
}

#[tokio::test]
async fn a_daemon_goes_with_its_instance_and_no_other() {
    let world =
        World::ready(vec![service("a", DAEMON).with(|run| run.instances = 2), service("b", DAEMON)]).await;
    let daemons = |world: &World, of: &str| -> Vec<i32> {
        let lines = world.lines().into_iter().filter(|(instance, ..)| instance.starts_with(of));
        lines.map(|(_, _, text)| text.trim_start_matches("family ").parse().unwrap()).collect()
    };
    world.until("three daemons", |world| world.lines().len() == 3).await;
    let (a, b) = (daemons(&world, "a"), daemons(&world, "b"));

    world.supervisor.restart("a", None).await.unwrap();
    assert!(a.iter().all(|&pid| !is_alive(pid)), "of the instances before");
    world.until("new daemons", |world| world.lines().len() == 5).await;
    let a = daemons(&world, "a")[2..].to_vec();
    assert!(a.iter().all(|&pid| is_alive(pid)));

    kill(world.pid("b"));
    world.until("b is started again", |world| world.lines().len() == 6).await;
    assert!(!is_alive(b[0]), "of an instance that has crashed");

    world.supervisor.stop("a").await.unwrap();
    assert!(a.iter().all(|&pid| !is_alive(pid)), "of a stopped service");
    let b = daemons(&world, "b")[1];
    assert!(is_alive(b));
    world.supervisor.shutdown().await;
    assert!(!is_alive(b), "after the end");
}

#[test]
fn dropping_everything_kills_daemons() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = runtime.block_on(World::ready(vec![service("a", DAEMON)]));
    runtime.block_on(world.until("the daemon", |world| !world.lines().is_empty()));
    let daemon = world.lines()[0].2.trim_start_matches("family ").parse().unwrap();
    drop(world);
    drop(runtime);
    until_dead(&[daemon]);
}

#[tokio::test]
async fn a_data_folder_has_one_supervisor_at_a_time() {
    let world = World::ready(vec![]).await;
    let config = supervisor::Config {
        services: vec![],
        data_dir: world.folder.path().join("data"),
        root: world.folder.path().to_owned(),
        executable: helper(),
    };
    let recorder = std::sync::Arc::new(world.recorder.clone());
    let second = Supervisor::start(config.clone(), recorder.clone(), recorder.clone(), Arc::new(()));
    assert!(matches!(second, Err(Error::InUse { .. })));
    world.supervisor.shutdown().await;
    let third = Supervisor::start(config, recorder.clone(), recorder, Arc::new(())).map(drop);
    assert!(third.is_ok(), "{third:?}");
}

/// A guardian that lived shorter is started again only after a pause.
const GUARDIAN_PAUSE: Duration = Duration::from_millis(1_100);
