//! Spans of sidecars that belong to no node: made, sent to a collector, and told to applications.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::metrics::asked;
use crate::noting::Noting;
use crate::otlp::{address, shop};
use crate::run::Run;
use crate::sidecar::Sidecar;
use crate::world::{Answer, World, binary, run_in, until, wait};

const SUBSCRIBES: &str = r#"[{"pubsubname":"pubsub","topic":"orders","route":"/orders"}]"#;

/// A node that takes spans.
fn collector() -> World {
    World::up(&shop(""))
}

fn start(dir: &TempDir, app_id: &str, flags: &[&str], env: &[(&str, &str)]) -> Sidecar {
    let flags = [&["--app-id", app_id], flags].concat();
    Sidecar::start_in(Path::new(binary()), dir.path(), &flags, env)
}

fn configured(dir: &TempDir, tracing: &str) {
    let text = format!("kind: Configuration\nspec:\n  tracing: {{ {tracing} }}\n");
    std::fs::write(dir.path().join("config.yaml"), text).expect("written");
}

/// The trace that a header tells of, and whether it is sampled.
fn told(header: &str) -> (String, bool) {
    let parts: Vec<&str> = header.split('-').collect();
    let is_valid = parts.len() == 4 && parts[1].len() == 32 && parts[1].bytes().any(|digit| digit != b'0');
    assert!(is_valid && parts[2].bytes().any(|digit| digit != b'0'), "{header:?} is no trace");
    (parts[1].to_owned(), parts[3].ends_with(['1', '3']))
}

fn trace_of(answer: &Answer) -> (String, bool) {
    told(answer.header("traceparent").unwrap_or_else(|| panic!("no trace: {answer:?}")))
}

/// Waits until the collector has these spans of a trace, all of one service.
fn arrives(collector: &World, trace: &str, service: &str, names: &[&str]) {
    let found = || asked(collector, &format!("/api/traces/{trace}"));
    let has = |spans: &Value| {
        let spans = spans["spans"].as_array().cloned().unwrap_or_default();
        names.iter().all(|name| spans.iter().any(|span| span["name"] == *name && span["service"] == service))
    };
    until("the trace", || has(&found()).then_some(()), || format!("{names:?} in {:#}", found()));
}

#[test]
fn what_a_configuration_names_gets_spans_and_the_application_hears_of_the_trace() {
    let (collector, app, dir) =
        (collector(), Noting::start(SUBSCRIBES), tempfile::tempdir().expect("a folder"));
    let otel = |at: &str| {
        format!("samplingRate: '1', otel: {{ endpointAddress: '{at}', isSecure: false, protocol: grpc }}")
    };
    configured(&dir, &otel(&address(&collector, "grpc")));
    let flags = ["--config", "config.yaml", "--app-port", &app.port.to_string()];
    let mut sidecar = start(&dir, "shop", &flags, &[]);
    assert!(sidecar.said("spans are sent to http://"));
    let published = sidecar.ask("POST", "/v1.0/publish/pubsub/orders", "{}");
    let (trace, is_sampled) = trace_of(&published);
    assert!(published.status == 204 && is_sampled, "{published:?}");
    let had = app.wait_for(|request| request.path == "/orders");
    assert_eq!(told(had.header("traceparent").expect("told")), (trace.clone(), true));
    arrives(&collector, &trace, "shop", &["publish orders", "process orders"]);
    // Nothing is recorded, and a trace is told all the same.
    configured(&dir, &otel(&address(&collector, "grpc")).replace("'1'", "'0'"));
    wait("the share", || !trace_of(&sidecar.ask("GET", "/v1.0/state/s/k", "")).1);
    sidecar.ask("GET", "/v1.0/invoke/shop/method/called", "");
    let had = app.wait_for(|request| request.path == "/called");
    assert!(!told(had.header("traceparent").expect("told")).1);
    // Another collector from now on; at the end nothing is left behind.
    let other = self::collector();
    configured(&dir, &otel(&address(&other, "grpc")));
    wait("the other share", || trace_of(&sidecar.ask("GET", "/v1.0/state/s/k", "")).1);
    let (trace, _) = trace_of(&sidecar.ask("GET", "/v1.0/state/last/k", ""));
    assert_eq!(sidecar.end(), Some(0));
    arrives(&other, &trace, "shop", &["get last"]);
}

#[test]
fn a_guests_spans_go_where_its_own_process_says_whoever_serves_it() {
    let (collector, dir) = (collector(), tempfile::tempdir().expect("a folder"));
    let mut holder = start(&dir, "a", &[], &[]);
    assert_eq!(holder.ask("GET", "/v1.0/state/s/k", "").header("traceparent"), None, "it belongs to none");
    let to = format!("http://{}/v1/traces", address(&collector, "http"));
    let env = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", to.as_str()), ("OTEL_SERVICE_NAME", "till")];
    let guest = start(&dir, "b", &[], &env);
    let (trace, _) = trace_of(&guest.ask("GET", "/v1.0/state/s/k", ""));
    arrives(&collector, &trace, "till", &["get s"]);
    let (last, _) = trace_of(&guest.ask("GET", "/v1.0/state/last/k", ""));
    assert_eq!(holder.end(), Some(0));
    arrives(&collector, &last, "till", &["get last"]);
    let mut later = None;
    wait("an answer", || {
        later = Some(trace_of(&guest.ask("GET", "/v1.0/state/later/k", "")).0);
        true
    });
    arrives(&collector, &later.expect("answered"), "till", &["get later"]);
}

#[test]
fn programs_that_are_run_from_a_file_have_their_spans_sent_and_a_silent_collector_is_told_of() {
    let (collector, dir) = (collector(), tempfile::tempdir().expect("a folder"));
    for folder in ["one", "two"] {
        std::fs::create_dir_all(dir.path().join(folder)).expect("made");
    }
    let ask = "command: [sh, -c, 'curl -s localhost:$DAPR_HTTP_PORT/v1.0/state/s/k; sleep 0.2']";
    let file = format!("version: 1\napps:\n- appDirPath: ./one\n  {ask}\n- appDirPath: ./two\n  {ask}\n");
    std::fs::write(dir.path().join("dapr.yaml"), file).expect("written");
    let to = format!("http://{}", address(&collector, "http"));
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", OsStr::new(&to))];
    let mut run = Run::start_in(&dir, dir.path(), "colony", &["run", "-f", "."], &env);
    assert_eq!(run.exit_code(), Some(0), "{:#?}", run.lines());
    for service in ["one", "two"] {
        wait("a trace", || {
            let found = asked(&collector, &format!("/api/traces?service={service}"));
            found["traces"].as_array().is_some_and(|traces| !traces.is_empty())
        });
    }
    let nobody = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")];
    let sidecar = start(&dir, "three", &[], &nobody);
    sidecar.ask("GET", "/v1.0/state/s/k", "");
    assert!(sidecar.said("spans do not arrive: the collector cannot be reached"));
    let odd = [nobody[0], ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    assert!(start(&dir, "four", &[], &odd).said("spans are not sent: OTEL_EXPORTER_OTLP_PROTOCOL"));
}

#[test]
fn a_configuration_of_a_node_that_speaks_of_tracing_is_told_where_that_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    configured(&dir, "samplingRate: '1'");
    let manifest = "name: shop\nconfiguration: config.yaml\nservices: { app: { run: 'true' } }\n";
    std::fs::write(dir.path().join("colony.yaml"), manifest).expect("written");
    let output = run_in(dir.path(), &["check"]);
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("C0037") && text.contains("`telemetry` in the manifest"), "{text}");
}
