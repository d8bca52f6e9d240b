//! Chromium, by way of chromedriver: [WebDriver](https://www.w3.org/TR/webdriver2/) over HTTP, as far as these tests need it.
//!
//! A browser costs a second or more to start, so tests that run at the same time or wait for their turn share one ([`shared`]); it
//! is ended with the last of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::kill;

/// A chromedriver with one browser.
pub struct Chrome {
    driver: Child,
    address: String,
    session: String,
    /// What the browser keeps.
    _folder: TempDir,
}

/// Why a command was refused: the name that WebDriver has for it, and a text.
#[derive(Debug)]
#[allow(dead_code, reason = "what is not looked at is shown when a test fails")]
pub struct Refusal {
    pub error: String,
    pub message: String,
}

type Answer = Result<Value, Refusal>;

/// How long one command may take.
const COMMAND_MAX: Duration = Duration::from_secs(90);
/// How long chromedriver may take to say where it listens.
const START_MAX: Duration = Duration::from_secs(60);
/// How often a browser is started that does not come up; on a machine that is busy it takes itself for dead.
const STARTS_MAX: usize = 3;

static SHARED: Mutex<Weak<Chrome>> = Mutex::new(Weak::new());

/// The browser that there is, or a new one.
pub fn shared() -> Arc<Chrome> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(chrome) = shared.upgrade()
        && chrome.lives()
    {
        return chrome;
    }
    let chrome = Arc::new(Chrome::start());
    *shared = Arc::downgrade(&chrome);
    chrome
}

impl Chrome {
    fn start() -> Chrome {
        let mut tried = Vec::new();
        for _ in 0..STARTS_MAX {
            match Chrome::try_start() {
                Ok(chrome) => return chrome,
                Err(why) => tried.push(why),
            }
        }
        panic!(
            "these tests need a browser (Debian's packages are `chromium` and `chromium-driver`): {tried:#?}"
        );
    }

    fn try_start() -> Result<Chrome, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut driver = Command::new("chromedriver");
        driver
            .args(["--port=0", "--log-level=SEVERE"])
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path());
        driver.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // The browser's processes are in its group, and end with it.
        let mut driver = driver.process_group(0).spawn().map_err(|error| format!("chromedriver: {error}"))?;
        let port = port_of(&mut driver);
        let data = folder.path().join("data");
        let mut chrome = Chrome {
            address: format!("127.0.0.1:{}", port.unwrap_or(0)),
            driver,
            session: String::new(),
            _folder: folder,
        };
        port.ok_or("chromedriver does not say where it listens")?;
        let mut arguments: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", data.display()));
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            // A dialog is a finding: it stays until somebody looks.
            "unhandledPromptBehavior": "ignore",
            "timeouts": { "script": 60_000, "pageLoad": 60_000 },
        });
        let session =
            chrome.ask("POST", "/session", Some(json!({ "capabilities": { "alwaysMatch": wanted } })));
        let session = session.map_err(|refused| format!("{refused:?}"))?;
        chrome.session = session["sessionId"].as_str().ok_or("no session")?.to_owned();
        Ok(chrome)
    }

    fn lives(&self) -> bool {
        self.get("/window/handles").is_ok()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", &format!("/session/{}{path}", self.session), None)
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", &format!("/session/{}{path}", self.session), Some(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", &format!("/session/{}{path}", self.session), None)
    }

    /// A command of the [browser's own protocol](https://chromedevtools.github.io/devtools-protocol/).
    pub fn command(&self, name: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": name, "params": parameters }))
            .unwrap_or_else(|refused| panic!("{name}: {refused:?}"))
    }

    /// What the pages' consoles had of errors since it was asked for last.
    pub fn errors(&self) -> Vec<String> {
        let said = self.post("/se/log", json!({ "type": "browser" })).unwrap_or_default();
        let said = said.as_array().cloned().unwrap_or_default();
        let severe = said.iter().filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// As it was when it was new, whatever the test before has left.
    pub fn clean(&self) {
        let _ = self.post("/alert/dismiss", json!({}));
        let handles = self.get("/window/handles").unwrap_or_default();
        for extra in handles.as_array().into_iter().flatten().skip(1) {
            let _ = self.post("/window", json!({ "handle": extra }));
            let _ = self.delete("/window");
        }
        let _ = self.post("/window", json!({ "handle": handles[0] }));
        let _ = self.post("/url", json!({ "url": "about:blank" }));
        self.command("Network.clearBrowserCookies", json!({}));
        self.command("Emulation.clearDeviceMetricsOverride", json!({}));
        self.command("Network.setBlockedURLs", json!({ "urls": [] }));
        self.errors();
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let (status, mut document) = exchange(&self.address, method, path, body).map_err(|error| {
            Refusal { error: "no answer".to_owned(), message: format!("{method} {path}: {error}") }
        })?;
        let value = document["value"].take();
        if status == 200 {
            return Ok(value);
        }
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Err(Refusal { error: text("error"), message: text("message") })
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.delete("");
        }
        kill(-(self.driver.id() as i32), libc::SIGKILL);
        let _ = self.driver.wait();
    }
}

/// Nothing of its own is fetched, asked for or shown; a container has no room in `/dev/shm` and no sandbox.
const FLAGS: [&str; 15] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-background-timer-throttling",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--window-size=1280,900",
    // Names for other sites' pages.
    "--host-resolver-rules=MAP *.example 127.0.0.1",
];

/// The port that it says that it listens on. What it says further is read and dropped.
fn port_of(driver: &mut Child) -> Option<u16> {
    let mut said = BufReader::new(driver.stdout.take()?);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        while said.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let port = line
                .split_once("successfully on port ")
                .and_then(|(_, rest)| rest.trim_end().trim_end_matches('.').parse::<u16>().ok());
            if let Some(port) = port {
                let _ = tell.send(port);
            }
            line.clear();
        }
    });
    told.recv_timeout(START_MAX).ok()
}

/// One request over a connection of its own, which chromedriver leaves open: the answer is as long as it says.
fn exchange(address: &str, method: &str, path: &str, body: Option<Value>) -> std::io::Result<(u16, Value)> {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(COMMAND_MAX))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let begun = Instant::now();
    let mut reader = BufReader::new(stream);
    let (mut line, mut status, mut length) = (String::new(), 0, 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || begun.elapsed() > COMMAND_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if status == 0 {
            status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer)?;
    Ok((status, serde_json::from_slice(&answer)?))
}
