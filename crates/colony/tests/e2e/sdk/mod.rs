//! Dapr's own SDKs, as they are published.
//!
//! They are installed by pip, npm and Go in the versions that `crates/colony/tests/sdk` names, which needs Python, Node.js, Go
//! and the package indexes: more than a contributor needs otherwise, so this is only there with the feature `conformance`,
//! as in CI.

mod go;
mod javascript;
mod python;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::sidecar::Sidecar;
use crate::world::root;

const HOME: &str = "crates/colony/tests/sdk";

/// The folder of a Python that has the SDK, and of what comes with it.
pub fn python() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = target().join("python");
        let mut venv = Command::new("python3");
        run(venv.args(["-m", "venv"]).arg(&folder), "Debian's packages are `python3` and `python3-venv`");
        let bin = folder.join("bin");
        let mut pip = Command::new(bin.join("python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        run(pip.arg(root().join(HOME).join("requirements.txt")), "it comes from the Python package index");
        bin
    })
}

/// Where Node.js finds the SDK, and what comes with it.
pub fn node() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = target().join("node");
        std::fs::create_dir_all(&folder).expect("made");
        let mut changed = false;
        for file in ["package.json", "package-lock.json"] {
            let wanted = std::fs::read(root().join(HOME).join(file)).expect("it is there");
            changed |= std::fs::read(folder.join(file)).ok().as_ref() != Some(&wanted);
            std::fs::write(folder.join(file), wanted).expect("written");
        }
        let modules = folder.join("node_modules");
        // npm writes this file when all else is there.
        if changed || !modules.join(".package-lock.json").exists() {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
            run(&mut npm, "Debian's packages are `nodejs` and `npm`; it comes from npm's registry");
        }
        modules
    })
}

/// A folder with the resources that applications use.
fn resources() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let resources = dir.path().join("resources");
    std::fs::create_dir(&resources).expect("made");
    for file in ["application.yaml", "secrets.json"] {
        std::fs::copy(root().join(HOME).join("resources").join(file), resources.join(file)).expect("copied");
    }
    dir
}

/// Runs a program beside a sidecar until it ends, which must be well.
fn play(program: &mut Command, sidecar: &Sidecar) {
    let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
    program.env("DAPR_HTTP_PORT", port(&sidecar.http)).env("DAPR_GRPC_PORT", port(&sidecar.grpc));
    let output = program.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn run(command: &mut Command, needs: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {needs}"));
    assert!(output.status.success(), "{command:?}: {}; {needs}", String::from_utf8_lossy(&output.stderr));
}
