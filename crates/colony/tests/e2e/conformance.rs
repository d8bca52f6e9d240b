//! The gateway against h2spec, which plays some 150 cases of HTTP/2 and HPACK, over cleartext and TLS.
//!
//! h2spec is a Go program. It is built here, from Go's module proxy, with the versions and checksums in
//! `crates/colony/tests/h2spec`; only a Go compiler must be there. That is more than a contributor needs
//! otherwise, so these tests are only there with the feature `conformance`, as in CI.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::world::{World, root, server};

const HOME: &str = "crates/colony/tests/h2spec";
/// How often a case may fail that passes.
const ROUNDS: usize = 4;

/// Builds h2spec, once a run.
fn h2spec() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let bin = Path::new(env!("CARGO_TARGET_TMPDIR")).join("h2spec");
        let mut go = Command::new("go");
        go.args(["install", "-mod=readonly", "github.com/summerwind/h2spec/cmd/h2spec"]);
        go.current_dir(root().join(HOME)).env("GOBIN", &bin);
        // What is installed has to do.
        go.env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
        let output = go.output().expect("these tests need Go: Debian's package is `golang-go`");
        assert!(output.status.success(), "h2spec was not built: {}", String::from_utf8_lossy(&output.stderr));
        bin.join("h2spec")
    })
}

/// The cases that this listener is known not to pass.
fn exceptions(listener: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(HOME).join("exceptions.txt")).expect("the list");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let split = lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    split
        .filter_map(|parts| match parts[..] {
            [known, section, case, reason] if !reason.is_empty() => {
                (known == listener).then(|| format!("{section} | {case}"))
            }
            _ => panic!("{parts:?}: an exception is `listener | section | case | reason`"),
        })
        .collect()
}

/// The cases that failed, from a report as JUnit has it; how many there were.
fn failures(report: &str) -> (BTreeSet<String>, usize) {
    let cases: Vec<&str> = report.split("<testcase ").skip(1).collect();
    let failed = cases.iter().filter(|case| case.contains("<failure") || case.contains("<error"));
    let names = failed.map(|case| {
        let (package, name) = (attribute(case, "package"), attribute(case, "classname"));
        format!("{} | {name}", package.rsplit('/').next().unwrap_or_default())
    });
    (names.collect(), cases.len())
}

fn attribute<'c>(case: &'c str, name: &str) -> &'c str {
    let (_, rest) = case.split_once(&format!("{name}=\"")).unwrap_or_default();
    rest.split('"').next().unwrap_or_default()
}

fn conforms(listener: &str, tls: &str, more: &[&str]) {
    let app = server("a body that is long enough for the cases about windows");
    let manifest = format!(
        "name: spec\ngateway: {{ listen: 127.0.0.1:0{tls} }}\nservices:\n  app: {{ url: http://{app} }}\n"
    );
    let world = World::up(&manifest);
    let gateway = world.status()["gateway"].as_str().expect("a gateway").to_owned();
    let port = gateway.rsplit(':').next().expect("a port");
    let known = exceptions(listener);
    let report = world.dir.path().join("report.xml");
    let mut failed = BTreeSet::new();
    let mut said = String::new();
    // In a few cases the answer may be out before what they send next is in, and is not what they look for: what is
    // wrong is so in each round.
    for round in 0..ROUNDS {
        let mut spec = Command::new(h2spec());
        spec.args(["--host", "127.0.0.1", "--port", port, "--timeout", "5", "--junit-report"]).arg(&report);
        let output = spec.args(more).output().expect("h2spec runs");
        said = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {said}"));
        let (now, cases) = failures(&text);
        assert!(cases > 140, "{cases} cases only: {said}");
        failed = if round == 0 { now } else { &failed & &now };
        if failed == known {
            break;
        }
    }
    let (new, gone) = (&failed - &known, &known - &failed);
    assert!(new.is_empty(), "{listener}: {new:#?} failed:\n{said}");
    assert!(gone.is_empty(), "{listener}: {gone:#?} passed; take them out of {HOME}/exceptions.txt");
}

#[test]
fn http2_in_cleartext_passes_h2spec() {
    conforms("cleartext", "", &[]);
}

#[test]
fn http2_over_tls_passes_h2spec() {
    conforms("tls", ", tls: dev", &["--tls", "--insecure"]);
}
