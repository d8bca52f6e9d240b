//! Short stories with real processes: starting, failing, rolling, scaling, changing, ending.

mod world;

use std::time::{Duration, Instant};
use supervisor::{Change as Kind, CommandError, Event, Output, Service, Source, State};
use world::{Change, World, is_alive, kill, probe, server, service};

#[tokio::test]
async fn eight_services_in_order_are_ready_in_under_a_second() {
    let begun = Instant::now();
    let mut services: Vec<_> = (0..8).map(|n| server(&format!("s{n}"))).collect();
    services[6].after = vec!["s0".into(), "s1".into()];
    services[7].after = vec!["s6".into()];
    let world = World::ready(services).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    let ready: Vec<_> = world
        .events()
        .iter()
        .filter(|e| matches!(e, Event::Ready { .. }))
        .filter_map(|e| Some(e.service()?.to_owned()))
        .collect();
    assert_eq!(ready.last().unwrap(), "s7");
    let status = world.instance("s0");
    assert!(status.rss_kib.unwrap() > 0 && status.ready_after_ms.is_some() && status.address.is_some());
    world.supervisor.shutdown().await;
    let stopped: Vec<_> = world
        .events()
        .iter()
        .filter(|e| matches!(e, Event::Stopped { .. }))
        .filter_map(|e| Some(e.service()?.to_owned()))
        .collect();
    let place = |name: &str| stopped.iter().position(|s| s == name).unwrap();
    assert!(place("s7") < place("s6") && place("s6") < place("s0"));
    assert!(!is_alive(status.pid.unwrap() as i32));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_comes_line_by_line_with_the_environment() {
    let script =
        "sh -c 'echo $PORT $COLONY_SERVICE $COLONY_INSTANCE $X; echo oops >&2; printf end; exec sleep 60'";
    let world = World::ready(vec![service("a", script).env("X", "y")]).await;
    world.until("two lines", |world| world.lines().len() == 2).await;
    let port = world.instance("a").address.unwrap().port();
    kill(world.pid("a"));
    world.until("the line without an end", |world| world.lines().len() >= 3).await;
    let lines = world.lines();
    assert!(lines.contains(&("a-1".into(), Output::Stdout, format!("{port} a a-1 y"))), "{lines:?}");
    assert!(lines.contains(&("a-1".into(), Output::Stderr, "oops".into())));
    assert!(lines.contains(&("a-1".into(), Output::Stdout, "end".into())));
}

#[tokio::test]
async fn a_crash_loop_names_the_last_lines_and_holds_up_who_depends() {
    let mut dependent = service("b", "sleep 60");
    dependent.after = vec!["a".into()];
    let mut crashing = service("a", "sh -c 'echo no database; exit 3'");
    crashing.ready = probe(supervisor::Check::Tcp);
    let world = World::start(vec![crashing, dependent]);
    let not_ready = world.supervisor.wait_ready().await.unwrap_err();
    assert_eq!((not_ready[0].state, not_ready[0].why.as_str()), (State::CrashLoop, "exit code 3"));
    assert_eq!(not_ready[0].last_lines, ["no database"]);
    assert_eq!((not_ready[1].state, not_ready[1].why.as_str()), (State::Waiting, "waits for a"));
    assert!(world.events().iter().any(|e| matches!(e, Event::CrashLoop { restarts: 5, .. })));
    let added = world.supervisor.restart("b", None).await;
    assert!(matches!(added, Err(CommandError::Failed { .. })), "{added:?}");
}

#[tokio::test]
async fn a_rolling_restart_never_publishes_none_and_waits_for_requests_under_way() {
    let world = World::ready(vec![server("a").with(|run| run.instances = 2)]).await;
    world.forget_published();
    world.recorder.0.lock().unwrap().in_flight.insert("a-2".into(), 1);
    let before = world.pid("a");
    let (recorder, begun) = (world.recorder.clone(), Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        recorder.0.lock().unwrap().in_flight.clear();
    });
    let (progress, mut events) = tokio::sync::mpsc::unbounded_channel();
    let done = world.supervisor.restart("a", Some(progress)).await.unwrap();
    assert!(begun.elapsed() > Duration::from_millis(500), "did not wait for the request");
    assert_eq!(done.instances.len(), 2);
    assert!(world.published("a").iter().all(|set| set.len() >= 2), "{:?}", world.published("a"));
    assert!(!is_alive(before));
    assert!(std::iter::from_fn(|| events.try_recv().ok()).any(|e| matches!(e, Event::Stopped { .. })));
}

#[tokio::test]
async fn a_killed_instance_is_unpublished_at_once_and_comes_back_on_another_port() {
    let world = World::ready(vec![server("a").with(|run| run.instances = 2)]).await;
    let before = world.instance("a");
    kill(before.pid.unwrap() as i32);
    let begun = Instant::now();
    world.until("unpublished", |world| world.published("a").last().unwrap().len() == 1).await;
    assert!(begun.elapsed() < Duration::from_millis(250), "took {:?}", begun.elapsed());
    world.until("back", |world| world.published("a").last().unwrap().len() == 2).await;
    let after = world.instance("a");
    assert_eq!((after.restarts, after.last_exit.as_deref()), (1, Some("killed by SIGKILL")));
    assert!(after.address != before.address && after.pid != before.pid);
}

#[tokio::test]
async fn scaling_up_and_down_and_refusing_nonsense() {
    let world = World::ready(vec![server("a")]).await;
    assert_eq!(world.supervisor.scale("a", 3).await.unwrap().instances, ["a-1", "a-2", "a-3"]);
    assert_eq!(world.published("a").last().unwrap().len(), 3);
    assert_eq!(world.supervisor.scale("a", 1).await.unwrap().instances, ["a-1"]);
    assert_eq!(world.status("a").instances.len(), 1);
    assert!(matches!(world.supervisor.scale("a", 10).await, Err(CommandError::OutOfRange { max: 9, .. })));
    let unknown = world.supervisor.scale("c", 1).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no service `c`; there are a");
    world.supervisor.stop("a").await.unwrap();
    assert_eq!((world.status("a").state, world.published("a").last().unwrap().len()), (State::Stopped, 0));
    world.supervisor.restart("a", None).await.unwrap();
    assert_eq!(world.status("a").state, State::Ready);
    world.supervisor.stop("a").await.unwrap();
    assert_eq!(world.supervisor.scale("a", 2).await.unwrap().instances.len(), 2, "it is started by that");
    assert_eq!((world.status("a").state, world.published("a").last().unwrap().len()), (State::Ready, 2));
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed_after_the_grace_with_its_children() {
    let stubborn = "sh -c 'trap \"\" TERM; sleep 61 & echo $!; while :; do sleep 0.1; done'";
    let world =
        World::ready(vec![service("a", stubborn).with(|run| run.grace = Duration::from_millis(300))]).await;
    world.until("the child's number", |world| !world.lines().is_empty()).await;
    let (leader, child) = (world.pid("a"), world.lines()[0].2.parse::<i32>().unwrap());
    assert!(is_alive(child));
    let begun = Instant::now();
    world.supervisor.stop("a").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(2));
    assert!(!is_alive(leader) && !is_alive(child));
    assert!(world.events().iter().any(|e| matches!(e, Event::Killed { .. })));
}

#[tokio::test]
async fn a_port_in_use_is_named_with_who_holds_it() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let world = World::start(vec![server("a").with(|run| run.port = Some(port))]);
    let not_ready = world.supervisor.wait_ready().await.unwrap_err();
    let expected = format!("port {port} is in use by pid {} (`", std::process::id());
    assert!(not_ready[0].why.starts_with(&expected), "{}", not_ready[0].why);
    assert_eq!(not_ready[0].state, State::Failed);
}

#[tokio::test]
async fn a_fixed_port_is_restarted_on_the_same_port() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::ready(vec![server("a").with(|run| run.port = Some(port))]).await;
    world.supervisor.restart("a", None).await.unwrap();
    assert_eq!(world.instance("a").address.unwrap().port(), port);
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let world = World::start(vec![service("a", "./marketplace catalog"), service("b", "no-such-program")]);
    let not_ready = world.supervisor.wait_ready().await.unwrap_err();
    assert!(not_ready[0].why.contains("`./marketplace` does not exist"), "{}", not_ready[0].why);
    assert!(not_ready[1].why.contains("no program `no-such-program` in PATH"), "{}", not_ready[1].why);
}

#[tokio::test]
async fn who_exits_with_0_is_started_again() {
    let world = World::start(vec![service("a", "true")]);
    let again = |event: &Event| matches!(event, Event::Restarting { why, .. } if why == "exit code 0");
    world.until("it is started again", |world| world.events().iter().any(again)).await;
}

#[tokio::test]
async fn equal_builds_run_once_and_a_failed_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let built = |name: &str, build: &str| {
        let dir = folder.path().to_owned();
        let build = Some(build.to_owned());
        service(name, "sleep 60").with(|run| (run.dir, run.build) = (dir, build))
    };
    let once = "echo building && echo x >> built";
    let services = vec![built("a", once), built("b", once), built("c", "echo no compiler; exit 7")];
    let world = World::start(services);
    let not_ready = world.supervisor.wait_ready().await.unwrap_err();
    assert_eq!(not_ready.len(), 1);
    assert_eq!((not_ready[0].service.as_str(), not_ready[0].state), ("c", State::Failed));
    assert!(not_ready[0].why.ends_with("failed: exit code 7"), "{}", not_ready[0].why);
    assert_eq!(not_ready[0].last_lines, ["no compiler"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("built")).unwrap(), "x\n");
    assert!(world.lines().contains(&("build".into(), Output::Stdout, "building".into())));
}

#[tokio::test]
async fn a_stopped_service_is_built_before_it_starts_and_a_failed_build_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, build) = (folder.path().to_owned(), Some("cat source && sleep 0.1".to_owned()));
    std::fs::write(dir.join("source"), "good").unwrap();
    let services = vec![service("a", "sleep 60").with(|run| (run.dir, run.build) = (dir.clone(), build))];
    let world = World::ready(services).await;
    world.supervisor.stop("a").await.unwrap();
    std::fs::remove_file(dir.join("source")).unwrap();
    let supervisor = world.supervisor.clone();
    let restart = tokio::spawn(async move { supervisor.restart("a", None).await });
    world.until("the second build", |world| builds(world) == 2).await;
    let Err(CommandError::Failed { why, last_lines, .. }) = restart.await.unwrap() else { panic!("built") };
    assert!(why.ends_with("failed: exit code 1"), "{why}");
    assert!(last_lines[0].contains("source"), "{last_lines:?}");
    world.until("the failure is posted", |world| world.status("a").state == State::Failed).await;
    assert_eq!(world.status("a").last_lines, last_lines);

    std::fs::write(dir.join("source"), "better").unwrap();
    let supervisor = world.supervisor.clone();
    let restart = tokio::spawn(async move { supervisor.restart("a", None).await });
    world.until("it is shown that it builds", |world| world.status("a").state == State::Building).await;
    restart.await.unwrap().unwrap();
    assert_eq!(world.status("a").state, State::Ready);

    world.supervisor.restart("a", None).await.unwrap();
    assert_eq!(builds(&world), 3, "what runs is replaced, not built");
}

#[tokio::test]
async fn what_fails_is_built_again_when_it_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, build) = (folder.path().to_owned(), Some("cp source program".to_owned()));
    std::fs::write(dir.join("source"), "exit 3").unwrap();
    let services = vec![service("a", "sh program").with(|run| (run.dir, run.build) = (dir.clone(), build))];
    let world = World::start(services);
    world.until("a crash loop", |world| world.status("a").state == State::CrashLoop).await;
    std::fs::write(dir.join("source"), "exec sleep 60").unwrap();
    world.supervisor.restart("a", None).await.unwrap();
    assert_eq!(world.status("a").state, State::Ready);
}

#[tokio::test]
async fn the_instances_before_a_failed_build_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let with = |build: &str| {
        let (dir, build) = (folder.path().to_owned(), Some(build.to_owned()));
        service("a", "sleep 60").with(|run| (run.dir, run.build) = (dir, build))
    };
    let world = World::ready(vec![with("true")]).await;
    let pid = world.pid("a");
    let applied = world.supervisor.apply(vec![with("echo no compiler; exit 7")]).await;
    let Some(CommandError::Failed { last_lines, old_stays, .. }) = &applied[0].error else { panic!("built") };
    assert_eq!((last_lines.as_slice(), *old_stays), (&["no compiler".to_owned()][..], true));
    assert_eq!((world.pid("a"), world.status("a").state), (pid, State::Ready));
}

#[tokio::test]
async fn a_build_holds_back_only_its_service_and_who_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let built = |name: &str, gate: &str| {
        let (dir, build) =
            (folder.path().to_owned(), Some(format!("until test -e {gate}; do sleep 0.01; done")));
        service(name, "sleep 60").with(|run| (run.dir, run.build) = (dir, build))
    };
    let after = |name: &str, after: &str| Service { after: vec![after.into()], ..service(name, "sleep 60") };
    let open = |gate: &str| std::fs::write(folder.path().join(gate), "").unwrap();
    let is = |world: &World, name: &str, state| world.status(name).state == state;
    let mut services = vec![built("slow", "first"), after("waits", "slow"), service("free", "sleep 60")];
    let world = World::start(services.clone());
    world.until("free is ready", |world| is(world, "free", State::Ready)).await;
    assert!(is(&world, "slow", State::Building) && is(&world, "waits", State::Waiting));
    open("first");
    world.supervisor.wait_ready().await.unwrap();

    services.extend([
        built("new-slow", "second"),
        after("new-waits", "new-slow"),
        service("new-free", "sleep 60"),
    ]);
    let supervisor = world.supervisor.clone();
    let applying = tokio::spawn(async move { supervisor.apply(services).await });
    let known = |world: &World| world.supervisor.status().len() == 6;
    world.until("new-free is ready", |world| known(world) && is(world, "new-free", State::Ready)).await;
    assert!(is(&world, "new-slow", State::Building) && is(&world, "new-waits", State::Waiting));
    open("second");
    let applied = applying.await.unwrap();
    assert!(applied.iter().all(|one| one.error.is_none()), "{applied:?}");
    let order: Vec<_> = world.supervisor.status().into_iter().map(|status| status.name).collect();
    assert_eq!(order, ["slow", "waits", "free", "new-slow", "new-waits", "new-free"]);
}

fn builds(world: &World) -> usize {
    world.events().iter().filter(|event| matches!(event, Event::Building { .. })).count()
}

#[tokio::test]
async fn apply_touches_only_what_has_changed() {
    let world = World::ready(vec![server("a"), server("b"), server("c"), server("d")]).await;
    let pids: Vec<i32> = ["a", "b", "c", "d"].map(|name| world.pid(name)).into();
    world.forget_published();
    let next = vec![
        server("a"),
        server("b").env("X", "new"),
        server("c").with(|run| run.instances = 2),
        server("e"),
    ];
    let applied = world.supervisor.apply(next).await;
    let changes: Vec<_> = applied.iter().map(|a| (a.service.as_str(), a.change, a.error.is_none())).collect();
    let scaled = Kind::Scaled { from: 1, to: 2 };
    for expected in
        [("a", Kind::Unchanged), ("b", Kind::Rolled), ("c", scaled), ("d", Kind::Removed), ("e", Kind::Added)]
    {
        assert!(changes.contains(&(expected.0, expected.1, true)), "{expected:?} not in {applied:?}");
    }
    assert_eq!((world.pid("a"), world.pid("c")), (pids[0], pids[2]));
    assert!(world.pid("b") != pids[1] && !is_alive(pids[1]) && !is_alive(pids[3]));
    assert!(world.published("b").iter().all(|set| !set.is_empty()));
    assert_eq!(world.supervisor.status().len(), 4);

    let broken = vec![server("a").with(|run| run.command = "sh -c 'echo broken; exit 1'".into())];
    let applied = world.supervisor.apply(broken).await;
    let Some(CommandError::Failed { old_stays: true, last_lines, .. }) = &applied[0].error else {
        panic!("{applied:?}")
    };
    assert_eq!(last_lines, &["broken"]);
    assert_eq!(world.pid("a"), pids[0]);
}

#[tokio::test]
async fn an_external_service_goes_down_and_comes_back() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut external = service("a", "");
    external.source = Source::Url { authorities: vec![format!("localhost:{}", address.port())] };
    external.ready = probe(supervisor::Check::Tcp);
    let world = World::ready(vec![external]).await;
    assert!(world.status("a").external);
    assert_eq!(world.published("a").last().unwrap()[0].address, address);
    drop(socket);
    world.until("down", |world| world.published("a").last().unwrap().is_empty()).await;
    assert_eq!(world.status("a").state, State::Degraded);
    let _socket = tokio::net::TcpListener::bind(address).await.unwrap();
    world.until("up again", |world| world.status("a").state == State::Ready).await;
    assert!(matches!(world.supervisor.restart("a", None).await, Err(CommandError::External { .. })));
}

#[tokio::test]
async fn readiness_is_lost_and_won_and_lost_liveness_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let sick = folder.path().join("sick");
    let world = World::ready(vec![server("a").env("SICK_FILE", &sick)]).await;
    let pid = world.pid("a");
    std::fs::write(&sick, "").unwrap();
    world.until("unready", |world| world.published("a").last().unwrap().is_empty()).await;
    std::fs::remove_file(&sick).unwrap();
    world.until("ready", |world| world.status("a").state == State::Ready).await;
    assert_eq!(world.pid("a"), pid);

    let mut live = server("a").env("SICK_FILE", &sick);
    live.ready = probe(supervisor::Check::Tcp);
    live.live = Some(supervisor::Probe { within: Duration::ZERO, ..probe(world::http("/")) });
    world.supervisor.apply(vec![live]).await;
    let pid = world.pid("a");
    std::fs::write(&sick, "").unwrap();
    world.until("restarted", |world| world.status("a").instances[0].restarts > 0).await;
    std::fs::remove_file(&sick).unwrap();
    world.until("ready", |world| world.status("a").state == State::Ready && world.pid("a") != pid).await;
    assert!(world.events().iter().any(|e| matches!(e, Event::Unhealthy { .. })));
}

#[tokio::test]
async fn what_ran_outside_becomes_a_process_of_ours_without_a_gap() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut external = server("a");
    external.source = Source::Url { authorities: vec![socket.local_addr().unwrap().to_string()] };
    external.ready = probe(supervisor::Check::Tcp);
    let world = World::ready(vec![external]).await;
    let applied = world.supervisor.apply(vec![server("a")]).await;
    assert!(applied[0].error.is_none(), "{applied:?}");
    assert!(world.published("a").iter().all(|set| !set.is_empty()));
    assert!(is_alive(world.pid("a")));
}

#[tokio::test]
async fn who_is_not_ready_in_time_is_restarted_and_told() {
    let mut slow = server("a").env("START_MS", "60000");
    slow.ready.within = Duration::from_millis(300);
    let world = World::start(vec![slow]);
    let not_ready = world.supervisor.wait_ready().await.unwrap_err();
    let why = &not_ready[0].why;
    assert!(why.starts_with("not ready within 300 ms: GET http://127.0.0.1:"), "{why}");
    assert!(why.ends_with("/healthz: connection refused"), "{why}");
    world.until("restarted", |world| world.instance("a").restarts > 0).await;
    let mended = world.supervisor.apply(vec![server("a")]).await;
    assert!(mended[0].error.is_none(), "{mended:?}");
    world.supervisor.wait_ready().await.unwrap();
}

#[tokio::test]
async fn a_build_is_ended_by_the_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_owned();
    let build = Some("echo $$; sleep 63; echo never".to_owned());
    let world = World::start(vec![service("a", "sleep 60").with(|run| (run.dir, run.build) = (dir, build))]);
    world.until("the build", |world| !world.lines().is_empty()).await;
    assert_eq!(world.status("a").state, State::Building);
    let pid: i32 = world.lines()[0].2.parse().unwrap();
    world.supervisor.shutdown().await;
    world.until("the build is gone", |_| !is_alive(pid)).await;
    assert!(world.supervisor.restart("a", None).await.is_err());
}
