//! Which node a command talks to, and where its data are.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::world::{binary, kill, wait};

/// A folder with systems in it, whose nodes know of one another.
struct Place {
    dir: tempfile::TempDir,
    nodes: Vec<Child>,
}

impl Place {
    fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("a folder"), nodes: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn manifest(&self, file: &str, name: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        let text = format!(
            "name: {name}\ngateway: {{ listen: 127.0.0.1:0 }}\nservices:\n  a: {{ run: sleep 1000, ready: none }}\n"
        );
        std::fs::write(path, text).expect("written");
    }

    fn command(&self, folder: &str, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.path().join(folder)).stdin(Stdio::null());
        command.env("XDG_RUNTIME_DIR", self.path()).env_remove("COLONY_DATA");
        command
    }

    fn run(&self, folder: &str, args: &[&str]) -> Output {
        self.command(folder, args).output().expect("runs")
    }

    /// Starts a node and waits until it can be asked.
    fn up(&mut self, folder: &str, args: &[&str], data: &str) {
        let args = [&["up", "--quiet"], args].concat();
        let node = self.command(folder, &args).stdout(Stdio::null()).spawn().expect("starts");
        self.nodes.push(node);
        wait("the node", || self.run("", &["status", "--data", data]).status.success());
    }

    /// The name of the system that `status` shows.
    fn name(&self, folder: &str, args: &[&str]) -> String {
        let output = self.run(folder, &[&["status", "--json"], args].concat());
        let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        status["name"].as_str().map_or_else(|| status.to_string(), str::to_owned)
    }

    fn refusal(&self, folder: &str, args: &[&str]) -> String {
        let output = self.run(folder, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).expect("text")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for node in &self.nodes {
            kill(node.id() as i32, libc::SIGTERM);
        }
        for node in &mut self.nodes {
            let _ = node.wait();
        }
    }
}

#[test]
fn a_data_folder_in_use_is_said_to_be_whose() {
    let mut place = Place::new();
    place.manifest("a.yaml", "first");
    place.manifest("b.yaml", "second");
    place.up("", &["a.yaml"], ".colony");
    let pid = format!("pid {}", place.nodes[0].id());
    let said = place.refusal("", &["up", "b.yaml"]);
    let running = place.path().canonicalize().expect("there").join("a.yaml");
    assert!(said.contains(&running.display().to_string()) && said.contains(&pid), "{said}");
    assert!(said.contains("colony up b.yaml --data") && said.contains("colony stop"), "{said}");
    assert!(!said.contains("b.yaml is up"), "{said}");
    let said = place.refusal("", &["up", "a.yaml"]);
    assert!(said.contains("a.yaml is up already") && said.contains(&pid), "{said}");
}

#[test]
fn two_systems_of_a_folder_run_with_a_data_folder_each() {
    let mut place = Place::new();
    place.manifest("a.yaml", "first");
    place.manifest("b.yaml", "second");
    place.up("", &["a.yaml"], ".colony");
    place.up("", &["b.yaml", "--data", "other"], "other");
    assert!(place.path().join("other/supervisor.lock").exists());
    assert_eq!(place.name("", &["--data", "other"]), "second");
    let by_variable = place.command("", &["status"]).env("COLONY_DATA", "other").output().expect("runs");
    assert!(String::from_utf8_lossy(&by_variable.stdout).contains("second"));
    let said = place.refusal("", &["stop"]);
    assert!(said.contains("/other  (b.yaml, pid") && said.contains("/.colony  (a.yaml, pid"), "{said}");
    assert!(place.run("", &["stop", "--data", "other"]).status.success());
    assert_eq!(place.name("", &[]), "first");
    assert!(place.refusal("", &["status", "--data", "other"]).contains("no node runs with the data folder"));
}

#[test]
fn a_node_with_its_data_elsewhere_is_found_by_its_manifest() {
    let mut place = Place::new();
    place.manifest("shop/colony.yaml", "shop");
    std::fs::create_dir(place.path().join("shop/deep")).expect("created");
    place.up("shop", &["--data", "../data"], "data");
    assert!(!place.path().join("shop/.colony").exists());
    assert_eq!(place.name("shop/deep", &[]), "shop");
    assert_eq!(place.name("data", &[]), "shop");
}

#[test]
fn nodes_below_a_folder_are_preferred_and_several_are_listed() {
    let mut place = Place::new();
    for name in ["one", "two"] {
        place.manifest(&format!("{name}/colony.yaml"), name);
        place.up(name, &[], &format!("{name}/.colony"));
    }
    std::fs::create_dir_all(place.path().join("above/inner")).expect("created");
    let said = place.refusal("above", &["status"]);
    for name in ["one", "two"] {
        let folder = place.path().canonicalize().expect("there").join(name);
        assert!(said.contains(&format!("-C {}  (colony.yaml, pid", folder.display())), "{said}");
    }
    std::fs::rename(place.path().join("above"), place.path().join("one/above")).expect("moved");
    assert_eq!(place.name("one/above/inner", &[]), "one");
    place.manifest("shops/three/colony.yaml", "three");
    place.up("shops/three", &[], "shops/three/.colony");
    assert_eq!(place.name("shops", &[]), "three");
}
