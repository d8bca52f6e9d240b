//! `colony sidecar`, started as a user starts it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Case, Plan, TASKS, grpc, http};
use crate::durable::tasks::{Load, closed_loop};
use crate::durable::{ITEMS, Measured, PAYLOAD_BYTES};
use crate::harness::usage::Usage;
use crate::harness::{Error, Process, Result, free_port, interrupt};
use crate::peers::{Front, Setup, Tuning};

/// A sidecar that runs.
struct Sidecar {
    process: Process,
    http: u16,
    grpc: u16,
}

/// One case.
pub fn measure(plan: &Plan, case: Case, folder: &Path) -> Result<Measured> {
    if case == Case::Start {
        return starts(plan, folder);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new("start a runtime", error))?;
    // An application that is called, with a sidecar of its own.
    let mut called = None;
    if case == Case::Invoke {
        let setup = Setup {
            front: Front::Http1,
            certificate: None,
            connections: TASKS,
            workers: 1,
            idle: false,
            tuning: Tuning::default(),
        };
        let app = plan.app.start_backend(folder, &setup)?;
        let sidecar = Sidecar::start(&plan.colony, folder, "called", Some(app.port))?;
        called = Some((app, sidecar));
    }
    let sidecar = Sidecar::start(&plan.colony, folder, "bench", None)?;
    let idle = sidecar.process.usage();
    let (load, before) = runtime.block_on(async {
        let asked = work(case, &sidecar, plan.seconds, || {
            let own = sidecar.process.usage();
            (own, called.as_ref().map(|(_, called)| called.process.usage()))
        });
        asked.await.map_err(|error| Error::new("ask the sidecar", error))
    })?;
    let after = (sidecar.process.usage(), called.as_ref().map(|(_, called)| called.process.usage()));
    let mut measured = load.measured();
    let mut cost = |before: &Usage, after: &Usage| {
        let (user, kernel) = after.cpu_since(before);
        measured.user_us += user.as_secs_f64() * 1e6;
        measured.kernel_us += kernel.as_secs_f64() * 1e6;
        measured.rss_kib += after.rss_kib;
    };
    cost(&before.0, &after.0);
    if let (Some(before), Some(after)) = (&before.1, &after.1) {
        cost(before, after);
    }
    measured.rss_idle_kib = idle.rss_kib;
    Ok(measured)
}

impl Sidecar {
    fn start(colony: &Path, folder: &Path, app_id: &str, app_port: Option<u16>) -> Result<Sidecar> {
        let (http, grpc) = (free_port()?, free_port()?);
        let mut command = Command::new(colony);
        command.args([
            "--data",
            "data",
            "sidecar",
            "--app-id",
            app_id,
            "--dapr-listen-addresses",
            "127.0.0.1",
        ]);
        command.args(["--dapr-http-port", &http.to_string(), "--dapr-grpc-port", &grpc.to_string()]);
        if let Some(port) = app_port {
            command.args(["--app-port", &port.to_string()]);
        }
        command.current_dir(folder);
        let mut process = Process::start(&format!("sidecar-{app_id}-{http}"), command, folder)?;
        process.wait_until(|| is_ready(http))?;
        Ok(Sidecar { process, http, grpc })
    }
}

/// Whether it may be asked, and its application has been reached.
fn is_ready(port: u16) -> std::result::Result<(), String> {
    use std::io::{Read, Write};
    let ask = || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /v1.0/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok::<_, std::io::Error>(head)
    };
    match ask() {
        Ok(head) if head.ends_with(b"204") => Ok(()),
        Ok(head) => Err(String::from_utf8_lossy(&head).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks for so long, with what it had cost before, as `usage` tells.
async fn work<U>(
    case: Case,
    sidecar: &Sidecar,
    seconds: u32,
    usage: impl Fn() -> U,
) -> std::io::Result<(Load, U)> {
    let time = Duration::from_secs(u64::from(seconds));
    let text = "x".repeat(PAYLOAD_BYTES - 2);
    let value = format!("\"{text}\"");
    if matches!(case, Case::PublishGrpc | Case::PublishBulk) {
        let mut clients = Vec::new();
        for _ in 0..GRPC_CONNECTIONS {
            clients.push(grpc::Client::connect(sidecar.grpc).await?);
        }
        let tasks = if case == Case::PublishBulk { BULK_TASKS } else { TASKS };
        let clients = (0..tasks as usize).map(|task| (task as u64, clients[task % GRPC_CONNECTIONS].clone()));
        let messages: Vec<Bytes> = (0..TOPICS)
            .map(|topic| match case {
                Case::PublishBulk => grpc::publish_bulk(&format!("orders-{topic}"), value.as_bytes(), BULK),
                _ => grpc::publish(&format!("orders-{topic}"), value.as_bytes()),
            })
            .collect();
        let (method, each) = match case {
            Case::PublishBulk => ("dapr.proto.runtime.v1.Dapr/BulkPublishEvent", BULK),
            _ => ("dapr.proto.runtime.v1.Dapr/PublishEvent", 1),
        };
        let before = usage();
        let load =
            closed_loop(clients.collect(), time, move |(task, mut client): (u64, grpc::Client), call| {
                let message = messages[((task + call) % TOPICS) as usize].clone();
                async move {
                    client.call(method, message).await.expect("the sidecar takes what it is sent");
                    ((task, client), each)
                }
            });
        return Ok((load.await, before));
    }
    let mut clients = Vec::new();
    for task in 0..u64::from(TASKS) {
        clients.push((task, http::Client::connect(sidecar.http).await?));
    }
    if case == Case::StateGet {
        fill(&mut clients, &value).await?;
    }
    let before = usage();
    let load = closed_loop(clients, time, move |(task, mut client): (u64, http::Client), call| {
        let key = (task * 7919 + call * 31) % ITEMS;
        let (method, path, body, good) = match case {
            Case::Invoke => ("GET", "/v1.0/invoke/called/method/".to_owned(), String::new(), 200),
            Case::PublishHttp => {
                let topic = (task + call) % TOPICS;
                ("POST", format!("/v1.0/publish/bench/orders-{topic}"), value.clone(), 204)
            }
            Case::StateGet => ("GET", format!("/v1.0/state/bench/key-{key}"), String::new(), 200),
            _ => {
                let body = format!("[{{\"key\":\"key-{key}\",\"value\":{value}}}]");
                ("POST", "/v1.0/state/bench".to_owned(), body, 204)
            }
        };
        async move {
            let answer = client.ask(method, &path, body.as_bytes()).await;
            let (status, length) = answer.expect("the sidecar answers what it is asked");
            assert_eq!(status, good, "to {method} {path}");
            assert!(status == 204 || length >= PAYLOAD_BYTES, "{length} bytes from {path}");
            ((task, client), 1)
        }
    });
    Ok((load.await, before))
}

/// Saves all items, many at a time.
async fn fill(clients: &mut [(u64, http::Client)], value: &str) -> std::io::Result<()> {
    let Some((_, client)) = clients.first_mut() else { return Ok(()) };
    for first in (0..ITEMS).step_by(FILLED_AT_ONCE) {
        let items = (first..(first + FILLED_AT_ONCE as u64).min(ITEMS))
            .map(|key| format!("{{\"key\":\"key-{key}\",\"value\":{value}}}"));
        let body = format!("[{}]", items.collect::<Vec<_>>().join(","));
        let (status, _) = client.ask("POST", "/v1.0/state/bench", body.as_bytes()).await?;
        assert_eq!(status, 204, "items are saved");
    }
    Ok(())
}

/// Starts of a sidecar in one folder, one after the other.
fn starts(plan: &Plan, folder: &Path) -> Result<Measured> {
    let (mut each_ns, mut cost, mut idle) = (Vec::new(), (0.0, 0.0), 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(u64::from(plan.seconds)) {
        interrupt::check()?;
        let (http, grpc) = (free_port()?, free_port()?);
        let mut command = Command::new(&plan.colony);
        command.args([
            "--data",
            "data",
            "sidecar",
            "--app-id",
            "bench",
            "--dapr-listen-addresses",
            "127.0.0.1",
        ]);
        command.args(["--dapr-http-port", &http.to_string(), "--dapr-grpc-port", &grpc.to_string()]);
        command.current_dir(folder);
        let asked = Instant::now();
        let mut process = Process::start("sidecar", command, folder)?;
        while is_ready(http).is_err() {
            process.expect_alive()?;
            std::thread::sleep(LOOK);
        }
        each_ns.push(asked.elapsed().as_nanos() as u64);
        let usage = process.usage();
        let (user, kernel) = usage.cpu_since(&Usage::default());
        cost = (cost.0 + user.as_secs_f64() * 1e6, cost.1 + kernel.as_secs_f64() * 1e6);
        idle = idle.max(usage.rss_kib);
    }
    let load = Load { count: each_ns.len() as u64, took: begun.elapsed(), each_ns };
    Ok(Measured { user_us: cost.0, kernel_us: cost.1, rss_idle_kib: idle, rss_kib: idle, ..load.measured() })
}

/// How many topics messages are spread over.
const TOPICS: u64 = 8;
const GRPC_CONNECTIONS: usize = 4;
/// Messages of a call.
const BULK: u64 = 100;
/// Calls at a time, of so many messages each.
const BULK_TASKS: u32 = 8;
const FILLED_AT_ONCE: usize = 500;
/// Between two looks at whether a sidecar is ready.
const LOOK: Duration = Duration::from_millis(1);
