//! The API as it is against the API as its OpenAPI document says: schemathesis makes requests of the document, such as fit it and such as
//! do not, and looks at what is answered.
//!
//! It is installed by pip, which needs Python and the package index: this is only there with the feature `conformance`. Which checks are
//! its own and which are ours, and why, is said in `crates/colony/tests/schemathesis`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sidecar::Sidecar;
use crate::world::{binary, root};

const HOME: &str = "crates/colony/tests/schemathesis";

#[test]
fn what_is_answered_is_what_the_document_says() {
    let schemathesis = installed();
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "resources/all.yaml", RESOURCES);
    write(dir.path(), "secrets.json", r#"{"password":"x","other":{"a":"b"}}"#);
    std::fs::create_dir(dir.path().join("files")).expect("made");
    let flags = ["--app-id", "shop", "--resources-path", "resources"];
    let env = [("DAPR_API_TOKEN", "secret")];
    let mut sidecar = Sidecar::start_in(&PathBuf::from(binary()), dir.path(), &flags, &env);
    let home = root().join(HOME);
    let mut program = Command::new(schemathesis);
    program.arg("--config-file").arg(home.join("schemathesis.toml")).arg("run");
    program.arg(format!("http://{}/v1.0/openapi.json", sidecar.http));
    // Who waits for items waits no longer than this, and the end would be one.
    program.args(["--header", "dapr-api-token: secret", "--header", "X-Request-Deadline: 1000"]);
    program.args(["--exclude-path", "/v1.0/shutdown", "--continue-on-failure"]);
    let examples = std::env::var("COLONY_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let seed = std::env::var("COLONY_SCHEMATHESIS_SEED").unwrap_or_else(|_| SEED.to_owned());
    program.args(["--max-examples", &examples, "--seed", &seed]);
    program.args(["--generation-database", "none", "--no-color"]);
    let output = program.env("PYTHONPATH", &home).current_dir(dir.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sidecar.end(), Some(0));
}

/// In an environment of its own, for what it needs is not what the SDK needs.
fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(pip.arg(root().join(HOME).join("requirements.txt")));
    folder.join("bin/schemathesis")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

/// How many requests are made of each endpoint by chance, beside those that go through its bounds one by one.
const EXAMPLES: &str = "4";
const SEED: &str = "1";
const RESOURCES: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: files
spec:
  type: bindings.localstorage
  version: v1
  metadata:
  - name: rootPath
    value: files
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: vault
spec:
  type: secretstores.local.file
  version: v1
  metadata:
  - name: secretsFile
    value: secrets.json
";
