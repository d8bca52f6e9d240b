//! Dapr's quickstart programs, written anew from their descriptions, in Python and JavaScript: over plain HTTP and with the SDKs
//! as they are published, on what the quickstarts declare and on the engine's own components.
//!
//! A folder of `crates/colony/tests/quickstarts` is a language; all of its programs run at once, as its `dapr.yaml` says or as its
//! `colony.yaml` does.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::components::postgres_server::Server as Postgres;
use crate::components::server::Server as Redis;
use crate::port::free_port;
use crate::run::Run;
use crate::sdk::{node, python};
use crate::world::root;

const HOME: &str = "crates/colony/tests/quickstarts";

/// What programs write, by their application's id.
type Expected = [(&'static str, &'static [&'static str])];

const PYTHON: &Expected = &[
    ("invoke-checkout-http", &["Order passed: {\"orderId\": 10}"]),
    ("invoke-order-processor-http", &["Order received : {\"orderId\": 1}"]),
    (
        "invoke-checkout-sdk",
        &[
            "Order passed: {\"orderId\": 5, \"over\": \"http\"}",
            "Order passed: {\"orderId\": 5, \"over\": \"grpc\"}",
        ],
    ),
    ("invoke-order-processor-sdk", &["Order received : {\"orderId\": 1, \"over\": \"http\"}"]),
    ("pubsub-checkout-http", &["Published data: {\"orderId\": 10}"]),
    ("pubsub-checkout-sdk", &["Published data: {\"orderId\": 10}"]),
    (
        "state-order-processor-http",
        &["Getting Order: {\"orderId\":\"1\"}", "Deleted Order: {'orderId': '10'}"],
    ),
    (
        "state-order-processor-sdk",
        &["Getting Order: {\"orderId\": \"1\"}", "Deleted Order: {'orderId': '10'}"],
    ),
    ("secrets-order-processor-http", &["Fetched Secret: {'secret': 'YourPasswordHere'}"]),
    ("secrets-order-processor-sdk", &["Fetched Secret: {'secret': 'YourPasswordHere'}"]),
];

const JAVASCRIPT: &Expected = &[
    ("invoke-checkout-http", &["Order passed: {\"orderId\":10}"]),
    ("invoke-order-processor-http", &["Order received : {\"orderId\":1}"]),
    (
        "invoke-checkout-sdk",
        &[
            "Order passed to invoke-order-processor-sdk: {\"orderId\":3,\"over\":\"HTTP\"}",
            "Order passed to invoke-order-processor-grpc: {\"orderId\":3,\"over\":\"HTTP\"}",
            "Order passed to invoke-order-processor-sdk: {\"orderId\":3,\"over\":\"GRPC\"}",
            "Order passed to invoke-order-processor-grpc: {\"orderId\":3,\"over\":\"GRPC\"}",
        ],
    ),
    ("pubsub-checkout-http", &["Published data: {\"orderId\":10}"]),
    ("pubsub-checkout-sdk", &["Published data: {\"orderId\":10}"]),
    ("state-order-processor-http", &["Getting Order: {\"orderId\":1}", "Deleted Order: {\"orderId\":10}"]),
    ("state-order-processor-sdk", &["Getting Order: {\"orderId\":1}", "Deleted Order: {\"orderId\":10}"]),
    ("secrets-order-processor-http", &["Fetched Secret: {\"secret\":\"YourPasswordHere\"}"]),
    ("secrets-order-processor-sdk", &["Fetched Secret: {\"secret\":\"YourPasswordHere\"}"]),
];

/// What is the same in each language.
const ALL: &Expected = &[
    ("pubsub-order-processor-http", &["Subscriber received : 1", "Subscriber received : 10"]),
    ("pubsub-order-processor-sdk", &["Subscriber received : 1", "Subscriber received : 10"]),
    ("pubsub-order-processor-grpc", &["Subscriber received : 1", "Subscriber received : 10"]),
    (
        "batch-http",
        &[
            "insert into orders (orderid, customer, price) values(3, 'Tony James', 35.56)",
            "Finished processing batch",
        ],
    ),
    ("batch-sdk", &["Finished processing batch"]),
    ("job-scheduler-http", &["Job details for C-3PO", "Deleted job: C-3PO"]),
    ("job-service-http", &["Job scheduled: R2-D2", "Executing maintenance job: Oil Change"]),
    ("configuration-order-processor-http", &["Configuration for orderId1", "101", "102", "App subscribed"]),
    ("configuration-order-processor-sdk", &["Configuration for orderId1", "101", "102", "App subscribed"]),
];

const PYTHON_JOBS: &Expected =
    &[("job-service-sdk", &["Deleted job: C-3PO", "Executing maintenance job: Oil Change"])];

/// When what is configured has been changed.
const CHANGED: &Expected = &[
    ("configuration-order-processor-http", &["103", "104", "App unsubscribed from config changes"]),
    ("configuration-order-processor-sdk", &["103", "104", "App unsubscribed from config changes"]),
];

#[test]
fn programs_in_python_run_on_what_the_quickstarts_declare() {
    World::new("python").runs(&RUN, &[PYTHON, PYTHON_JOBS, ALL]);
}

#[test]
fn programs_in_python_run_on_the_engine() {
    World::new("python").on_the_engine().runs(&RUN, &[PYTHON, PYTHON_JOBS, ALL]);
}

#[test]
fn programs_in_javascript_run_on_what_the_quickstarts_declare() {
    World::new("javascript").runs(&RUN, &[JAVASCRIPT, ALL]);
}

#[test]
fn programs_in_javascript_run_on_the_engine() {
    World::new("javascript").on_the_engine().runs(&RUN, &[JAVASCRIPT, ALL]);
}

#[test]
fn programs_in_python_run_under_colony_up_without_a_redis() {
    World::new("python").without_redis().runs(&UP, &[PYTHON, PYTHON_JOBS, ALL]);
}

#[test]
fn programs_in_javascript_run_under_colony_up_without_a_redis() {
    World::new("javascript").without_redis().runs(&UP, &[JAVASCRIPT, ALL]);
}

const RUN: [&str; 3] = ["run", "-f", "."];
const UP: [&str; 2] = ["up", "--embedded"];

/// A copy of the programs, and what they are connected to.
struct World {
    dir: TempDir,
    folder: PathBuf,
    redis: Redis,
    /// Whether that is where items are configured.
    is_on_redis: bool,
    postgres: Arc<Postgres>,
    database: String,
    _alone: MutexGuard<'static, ()>,
}

/// Twenty programs are enough for a small machine.
static ALONE: Mutex<()> = Mutex::new(());
/// Longest wait for a line; far above what it takes.
const PATIENCE: Duration = Duration::from_secs(300);

impl World {
    fn new(language: &str) -> World {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().expect("a folder");
        copy(&root().join(HOME), dir.path());
        let folder = dir.path().join(language);
        let (redis, postgres) = (Redis::start(), Postgres::shared());
        let database = postgres.database();
        postgres.ask(&database, "create table orders (orderid int, customer varchar, price numeric)");
        let world = World { dir, folder, redis, is_on_redis: true, postgres, database, _alone };
        world.connect();
        world
    }

    /// Has all that the engine can keep kept there.
    fn on_the_engine(mut self) -> World {
        self.is_on_redis = false;
        copy(&self.dir.path().join("engine"), &self.dir.path().join("components"));
        self
    }

    /// Has nobody answer where the components say that a Redis is.
    fn without_redis(mut self) -> World {
        self.redis.kill();
        self.is_on_redis = false;
        self
    }

    /// Puts the places of this test's servers where Dapr's are by default, and ports that are free in place of the programs'.
    fn connect(&self) {
        let redis = format!("localhost:{}", self.redis.port);
        let postgres = format!("port={} dbname={}", self.postgres.port, self.database);
        let components = self.dir.path().join("components");
        let secrets = components.join("secrets.json").display().to_string();
        for file in fs::read_dir(components).expect("read") {
            edit(&file.expect("a file").path(), |text| {
                let text = text.replace("localhost:6379", &redis).replace("secrets.json", &secrets);
                text.replace("port=5432 dbname=orders", &postgres)
            });
        }
        edit(&self.folder.join("dapr.yaml"), |text| {
            let line = |line: &str| match line.split_once("appPort: ") {
                Some((space, _)) => format!("{space}appPort: {}\n", free_port()),
                None => format!("{line}\n"),
            };
            text.lines().map(line).collect()
        });
    }

    /// Runs all programs until each has written what it should.
    fn runs(self, words: &[&str], expected: &[&Expected]) {
        self.configure("101", "102");
        let mut run = self.run(words);
        // An instance has a number.
        let number = if words == UP { "-1" } else { "" };
        let wait = |expected: &Expected| {
            for (app, lines) in expected {
                lines.iter().for_each(|line| come(&run, &format!("{app}{number}"), line));
            }
        };
        expected.iter().for_each(|expected| wait(expected));
        self.configure("103", "104");
        wait(CHANGED);
        run.signal(libc::SIGTERM);
        assert_eq!(run.exit_code(), Some(0), "{:#?}", run.lines());
        let rows = self.postgres.ask(&self.database, "select count(*), sum(price) from orders");
        assert_eq!(rows, "6|302.56");
    }

    /// Sets what is configured, as an operator would.
    fn configure(&self, one: &str, two: &str) {
        if self.is_on_redis {
            self.redis.ask(&["MSET", "orderId1", one, "orderId2", two]);
            return;
        }
        let items = format!(
            r#"{{"items":[{{"key":"orderId1","value":"{one}"}},{{"key":"orderId2","value":"{two}"}}]}}"#
        );
        let script =
            format!("curl -sf localhost:$DAPR_HTTP_PORT/v1.0/configuration/configstore -d '{items}'");
        let mut run = self.run(&["run", "--app-id", "operator", "--", "sh", "-c", &script]);
        assert_eq!(run.exit_code(), Some(0), "{:#?}", run.lines());
    }

    fn run(&self, words: &[&str]) -> Run {
        let mut path = OsString::from(python());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let env = [("PATH", &*path), ("NODE_PATH", node().as_os_str())];
        Run::start_in(&self.dir, &self.folder, "colony", words, &env)
    }
}

/// Waits for a line. That of the last of twenty programs may take a while.
fn come(run: &Run, who: &str, line: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !run.said(who, line) {
        assert!(Instant::now() < deadline, "no sign of {who}: {line}: {:#?}", run.lines());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Copies a folder, over what is there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copied");
        }
    }
}

fn edit(path: &Path, change: impl Fn(String) -> String) {
    let text = fs::read_to_string(path).expect("read");
    fs::write(path, change(text)).expect("written");
}
