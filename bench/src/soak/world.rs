//! The marketplace that is soaked: `colony up` on a manifest of its own, and the commands on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::troubles::Trouble;
use super::{Binaries, Plan};
use crate::harness::{Error, Process, Result, free_port, http};

/// The manifest that users are shown.
const MANIFEST: &str = include_str!("../../../examples/marketplace/colony.yaml");
const SHOPPING: &str = include_str!("../../../examples/marketplace/shopping.yaml");
/// Limits that nobody reaches, one for every other reload.
const LIMITS: [&str; 2] = ["limit: 2000/s per client", "limit: 3000/s per client"];

/// A running shop.
pub struct World {
    colony: PathBuf,
    process: Process,
    pub gateway: u16,
    manifest: String,
    reloads: usize,
    /// Goes last: what runs has its files in there.
    folder: TempDir,
}

impl World {
    /// Starts the shop, with a route to the `clock` of the streams, and waits until all of it is ready.
    pub fn start(binaries: &Binaries, clock: u16) -> Result<World> {
        let folder = tempfile::tempdir().map_err(|error| Error::new("make a folder for the run", error))?;
        let gateway = free_port()?;
        let manifest = manifest(&binaries.shop, gateway, clock);
        write(&folder.path().join("colony.yaml"), &manifest)?;
        write(&folder.path().join("shopping.yaml"), SHOPPING)?;
        let mut command = Command::new(&binaries.colony);
        command.arg("up").current_dir(folder.path());
        let process = Process::start("colony", command, folder.path())?;
        let colony = binaries.colony.clone();
        let mut world = World { colony, process, gateway, manifest, reloads: 0, folder };
        let (colony, path) = (world.colony.clone(), world.folder.path().to_owned());
        world.process.wait_until(|| ready(&colony, &path))?;
        match http::get(gateway) {
            Ok(answer) if answer.status == 200 => Ok(world),
            Ok(answer) => Err(Error::say(format!("the shop answers {}", answer.status))),
            Err(error) => Err(Error::new("ask the shop", error)),
        }
    }

    /// Does it.
    pub fn make(&mut self, trouble: Trouble) -> Result<()> {
        match trouble {
            Trouble::Kill(service) => self.kill_one(service),
            Trouble::Restart(service) => self.colony(&["restart", service]).map(drop),
            Trouble::Scale(service, count) => self.colony(&["scale", service, &count.to_string()]).map(drop),
            Trouble::Reload => self.reload(),
            Trouble::Fault(call, options) => {
                let add = ["fault", "add", call].into_iter().chain(options.iter().copied());
                self.colony(&add.collect::<Vec<_>>()).map(drop)
            }
        }
    }

    fn kill_one(&self, service: &str) -> Result<()> {
        let status = self.status()?;
        let services = status["services"].as_array().into_iter().flatten();
        let mut instances = services
            .filter(|one| one["name"] == service)
            .flat_map(|one| one["instances"].as_array())
            .flatten();
        let pid = instances.find(|one| one["state"] == "ready").and_then(|one| one["pid"].as_i64());
        // All of it may be on its way back from the last time.
        let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) else { return Ok(()) };
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| Error::new("kill an instance", error))
    }

    fn reload(&mut self) -> Result<()> {
        self.reloads += 1;
        let text = self.manifest.replace(LIMITS[0], LIMITS[self.reloads % 2]);
        write(&self.folder.path().join("colony.yaml"), &text)?;
        self.colony(&["apply"]).map(drop)
    }

    /// The resident size of Colony itself.
    pub fn rss_kib(&self) -> Result<u64> {
        self.status()?["rss_kib"].as_u64().ok_or_else(|| Error::say("the status names no `rss_kib`"))
    }

    /// Customers, for as long as planned.
    pub fn load(&self, plan: &Plan) -> Result<Load> {
        let report = self.folder.path().join("load.json");
        let out = fs::File::create(&report).map_err(|error| Error::new("write the load's report", error))?;
        let (rate, seconds) = (plan.rate.to_string(), format!("{}s", plan.time.as_secs()));
        let seed = plan.seed.to_string();
        let options =
            ["load", "-s", "shopping", "--rate", &rate, "--duration", &seconds, "--seed", &seed, "--json"];
        let child = Command::new(&self.colony)
            .args(options)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(out)
            .spawn()
            .map_err(|error| Error::new("start the load", error))?;
        Ok(Load { child, report })
    }

    /// What happened to each call, before it all ends.
    pub fn end(mut self) -> Result<Value> {
        self.process.expect_alive()?;
        self.status()
    }

    fn status(&self) -> Result<Value> {
        let out = self.colony(&["status", "--json"])?;
        serde_json::from_str(&out).map_err(|error| Error::new("read the status", error))
    }

    fn colony(&self, arguments: &[&str]) -> Result<String> {
        colony(&self.colony, self.folder.path(), arguments)
    }
}

fn colony(binary: &Path, folder: &Path, arguments: &[&str]) -> Result<String> {
    let run = Command::new(binary).args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let out = run.map_err(|error| Error::new("run colony", error))?;
    if !out.status.success() {
        let said = [out.stdout, out.stderr].concat();
        let (what, said) = (arguments.join(" "), String::from_utf8_lossy(&said).into_owned());
        return Err(Error::say(format!("`colony {what}` failed: {said}")));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn ready(binary: &Path, folder: &Path) -> std::result::Result<(), String> {
    let out = colony(binary, folder, &["status", "--json"]).map_err(|error| error.to_string())?;
    let status: Value = serde_json::from_str(&out).map_err(|error| error.to_string())?;
    let services = status["services"].as_array().into_iter().flatten();
    let waiting: Vec<_> = services.filter(|one| one["state"] != "ready").map(|one| &one["name"]).collect();
    if waiting.is_empty() { Ok(()) } else { Err(format!("not ready: {waiting:?}")) }
}

/// The shop's own, without its builds, on another port and with one more route.
fn manifest(shop: &Path, gateway: u16, clock: u16) -> String {
    let lines = MANIFEST.lines().filter(|line| !line.trim_start().starts_with("build:"));
    let text: Vec<&str> = lines.collect();
    text.join("\n")
        .replace("../../target/release/marketplace", &shop.display().to_string())
        .replace("listen: 127.0.0.1:8080", &format!("listen: 127.0.0.1:{gateway}"))
        .replace("  routes:\n", "  routes:\n    - { path: /ticks, to: clock }\n")
        .replace(
            "\nservices:\n",
            &format!("\nservices:\n  clock: {{ url: \"http://127.0.0.1:{clock}\" }}\n\n"),
        )
        + "\n"
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Error::new(format!("write {}", path.display()), error))
}

/// Customers on their way.
pub struct Load {
    child: Child,
    report: PathBuf,
}

impl Load {
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; returns its report.
    pub fn end(mut self) -> Result<Value> {
        self.child.wait().map_err(|error| Error::new("wait for the load", error))?;
        let text =
            fs::read_to_string(&self.report).map_err(|error| Error::new("read the load's report", error))?;
        serde_json::from_str(&text).map_err(|error| Error::new("read the load's report", error))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shops_manifest_is_the_one_that_users_are_shown() {
        let text = manifest(Path::new("/bin/shop"), 18000, 19000);
        assert!(text.contains("listen: 127.0.0.1:18000\n"));
        assert!(text.contains("- { path: /ticks, to: clock }"));
        assert!(text.contains("run: /bin/shop checkout\n"));
        assert!(text.contains("clock: { url: \"http://127.0.0.1:19000\" }"));
        assert!(!text.contains("build:") && !text.contains("target/release"));
        assert!(text.contains(LIMITS[0]), "a reload has something to change");
    }
}
