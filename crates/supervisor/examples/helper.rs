//! What the tests start: the guardian, a small HTTP server, and a whole supervisor that can be killed.

#![allow(clippy::disallowed_macros, reason = "a program that the tests read")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use supervisor::{
    Check, Config, Endpoint, Event, Observer, Output, Probe, Routing, Run, Service, Source, Supervisor,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [supervisor::GUARDIAN_ARGUMENT] => supervisor::guardian_main(),
        ["serve"] => serve(),
        ["colony", data_dir, commands @ ..] => colony(Path::new(data_dir), commands),
        other => panic!("helper does not know {other:?}"),
    }
}

/// Answers every request on `PORT` with 200 and its instance's name, or with 503 as long as the file
/// `SICK_FILE` exists. `IGNORE_TERM` makes it ignore SIGTERM, `START_MS` is its time to start.
fn serve() {
    if std::env::var_os("IGNORE_TERM").is_some() {
        // SAFETY: no handler runs, the signal is ignored.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    }
    let variable = |name| std::env::var(name).unwrap_or_default();
    std::thread::sleep(Duration::from_millis(variable("START_MS").parse().unwrap_or(0)));
    let (instance, sick) = (variable("COLONY_INSTANCE"), std::env::var_os("SICK_FILE"));
    let socket = TcpListener::bind(("127.0.0.1", variable("PORT").parse().unwrap())).unwrap();
    println!("{instance} listens");
    for mut stream in socket.incoming().flatten() {
        let is_sick = sick.as_ref().is_some_and(|file| Path::new(file).exists());
        let status = if is_sick { "503 Service Unavailable" } else { "200 OK" };
        let _ = stream.read(&mut [0; 2048]);
        let length = instance.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{instance}"
        );
    }
}

struct Print;

impl Routing for Print {
    fn publish(&self, _: &str, _: &[Endpoint]) {}
    fn in_flight(&self, _: &str, _: &str) -> usize {
        0
    }
}

impl Observer for Print {
    fn line(&self, _: &str, instance: &str, _: Output, text: &str) {
        println!("{instance}: {text}");
    }
    fn event(&self, event: &Event) {
        println!("{event}");
    }
}

/// Runs each command as a service, says `READY`, and stays.
fn colony(data_dir: &Path, commands: &[&str]) {
    let service = |(number, command): (usize, &&str)| Service {
        name: format!("s{number}"),
        source: Source::Run(Run {
            command: (*command).to_owned(),
            build: None,
            dir: PathBuf::from("/"),
            env: Default::default(),
            port: None,
            instances: 1,
            max: 1,
            grace: Duration::from_secs(1),
            beside: String::new(),
        }),
        after: Vec::new(),
        ready: Probe {
            check: Check::None,
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures: 3,
            within: Duration::from_secs(5),
        },
        live: None,
    };
    let config = Config {
        services: commands.iter().enumerate().map(service).collect(),
        data_dir: data_dir.to_owned(),
        root: PathBuf::from("/"),
        executable: std::env::current_exe().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let supervisor = Supervisor::start(config, Arc::new(Print), Arc::new(Print), Arc::new(())).unwrap();
        supervisor.wait_ready().await.unwrap();
        println!("READY");
        std::future::pending::<()>().await;
    });
}
