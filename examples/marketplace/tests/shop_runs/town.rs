//! The program running, whole or in parts, behind the paths that clients know.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use crate::http::{Answer, ask};

/// Running processes by service; the monolith is the only one of its town.
pub struct Town {
    running: BTreeMap<String, Running>,
    ports: BTreeMap<String, u16>,
}

/// A process that dies with its town, also when a test panics.
struct Running(Mutex<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.0.get_mut().expect("no panic while locked");
        drop(child.kill());
        drop(child.wait());
    }
}

impl Town {
    /// The shop as one process.
    pub fn monolith() -> Town {
        let mut town = Town { running: BTreeMap::new(), ports: BTreeMap::new() };
        town.start("monolith", 0);
        town
    }

    /// The shop as eight, each called directly.
    pub fn services() -> Town {
        let mut town = Town { running: BTreeMap::new(), ports: BTreeMap::new() };
        for service in START_ORDER {
            town.start(service, 0);
        }
        town
    }

    /// Starts a service on `port`, 0 for any, and waits until it says that it listens.
    pub fn start(&mut self, service: &str, port: u16) {
        let mut command = program();
        command.arg(service).env("PORT", port.to_string()).stdout(Stdio::piped());
        for (peer, port) in &self.ports {
            command.env(format!("{}_URL", peer.to_uppercase()), format!("http://127.0.0.1:{port}"));
        }
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port = line.trim().rsplit(':').next().and_then(|p| p.parse().ok());
        self.ports.insert(service.to_owned(), port.unwrap_or_else(|| panic!("no port in `{line}`")));
        self.running.insert(service.to_owned(), Running(Mutex::new(child)));
        assert_eq!(ask(self.ports[service], "GET", "/healthz", &[], "").status, 200);
    }

    /// Kills a service and returns the port it had.
    pub fn stop(&mut self, service: &str) -> u16 {
        drop(self.running.remove(service).expect("it runs"));
        self.ports[service]
    }

    /// Asks every process to end.
    pub fn terminate(&self) {
        for process in self.running.values() {
            let id = process.0.lock().expect("no panic while locked").id().to_string();
            assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        }
    }

    /// Asks every process to end and makes sure that it does so cleanly.
    pub fn close(self) {
        self.terminate();
        for (service, process) in &self.running {
            let ended = process.0.lock().expect("no panic while locked").wait().expect("it ends");
            assert_eq!(ended.code(), Some(0), "{service}");
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "")
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut all = headers.to_vec();
        all.push(("content-type", "application/json"));
        self.ask("POST", path, &all, &body.to_string())
    }

    pub fn form(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = headers.to_vec();
        all.push(("content-type", "application/x-www-form-urlencoded"));
        self.ask("POST", path, &all, body)
    }

    /// Does what the gateway does: finds the service and the path that it knows.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        if let Some(&port) = self.ports.get("monolith") {
            return ask(port, method, path, headers, body);
        }
        for (prefix, service, instead) in ROUTES {
            if let Some(rest) = path.strip_prefix(prefix) {
                let path = format!("{instead}{rest}");
                return ask(self.ports[service], method, &path, headers, body);
            }
        }
        ask(self.ports["storefront"], method, path, headers, body)
    }
}

/// The built program, without anything that the environment could tell it.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marketplace"));
    command.env_clear();
    command
}

/// Peers before those who call them.
const START_ORDER: [&str; 8] =
    ["catalog", "payments", "delivery", "notifications", "cart", "recommendations", "checkout", "storefront"];

const ROUTES: [(&str, &str, &str); 8] = [
    ("/api/catalog", "catalog", ""),
    ("/api/cart", "cart", ""),
    ("/api/checkout", "checkout", "/"),
    ("/api/orders", "checkout", "/orders"),
    ("/api/payments", "payments", ""),
    ("/api/delivery", "delivery", ""),
    ("/api/notifications", "notifications", ""),
    ("/api/recommendations", "recommendations", ""),
];
