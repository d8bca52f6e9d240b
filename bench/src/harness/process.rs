//! A process of a benchmark: in a group of its own, ended with everything it started.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Error, Result, interrupt, usage};

/// A running server. Dropping it ends it and all its children.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in a file of `folder`.
    ///
    /// It gets SIGTERM when this program dies, however it does. The kernel ties that to the thread
    /// that starts it, so this must be called on one that lives as long as the run.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Process> {
        let log = folder.join(format!("{name}.log"));
        let output =
            File::create(&log).map_err(|error| Error::new(format!("write {}", log.display()), error))?;
        let errors = output.try_clone().map_err(|error| Error::new("share a log file", error))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        // SAFETY: prctl is a plain system call, safe between fork and exec.
        unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGTERM).map_err(std::io::Error::from)) };
        let child = command.spawn().map_err(|error| Error::new(format!("start {name}"), error))?;
        Ok(Process { name: name.to_owned(), child, log })
    }

    /// The process that was started; its children may do the work.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ask`, which tells what is wrong, finds nothing.
    pub fn wait_until(&mut self, ask: impl Fn() -> std::result::Result<(), String>) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            let Err(last) = ask() else { return Ok(()) };
            self.expect_alive()?;
            if Instant::now() > deadline {
                return Err(self.failed(&format!("is not ready after {} s: {last}", READY.as_secs())));
            }
            interrupt::pause()?;
        }
    }

    /// An error with the last lines of its log if it has ended.
    pub fn expect_alive(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(self.failed(&format!("ended with {status}"))),
            _ => Ok(()),
        }
    }

    /// CPU time and memory of the whole tree, now.
    pub fn usage(&self) -> usage::Usage {
        usage::of_tree(self.id())
    }

    fn failed(&self, why: &str) -> Error {
        let mut text = String::new();
        if let Ok(mut log) = File::open(&self.log) {
            let _ = log.read_to_string(&mut text);
        }
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
        Error::say(format!("{} {why}\n  {tail}", self.name))
    }

    fn end(&mut self) {
        let group = Pid::from_raw(self.id().cast_signed());
        for (signal, patience) in [(Signal::SIGTERM, GRACE), (Signal::SIGKILL, GRACE)] {
            let _ = killpg(group, signal);
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                let ended = !matches!(self.child.try_wait(), Ok(None));
                // Signal 0 asks whether anyone of the group is left.
                if ended && killpg(group, None).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

const READY: Duration = Duration::from_secs(15);
const GRACE: Duration = Duration::from_secs(5);
const LOG_LINES: usize = 12;
