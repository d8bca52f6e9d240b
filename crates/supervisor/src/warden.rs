//! The thread that starts processes and makes sure that none outlives this one.
//!
//! A thread of its own, because the kernel sends a child its "parent is dead" signal when the *thread* that
//! started it ends: this one ends only with the supervisor. It also tells the guardian and the ledger of
//! every process group, and starts the guardian again when it dies.

use crate::config::Observer;
use crate::event::Event;
use crate::guardian::{GUARDIAN_ARGUMENT, IGNORED};
use crate::ledger::{self, Before, Entry, Ledger};
use crate::mark::{self, Mark};
use crate::procfs::{self, Stat};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A process to start.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The file to execute.
    pub program: PathBuf,
    /// What the program sees as its own name, then its arguments.
    pub words: Vec<String>,
    pub dir: PathBuf,
    /// Set over the inherited environment.
    pub env: Vec<(OsString, OsString)>,
    /// Under which name the ledger has it.
    pub instance: String,
    /// Handed down to all its descendants. Without it, what leaves its group is not followed.
    pub mark: Option<Mark>,
}

/// A started process, the leader of its group.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub child: Child,
    pub group: Group,
}

/// A process group, and what has left it: killed when this is dropped before it was found empty.
#[derive(Debug)]
pub(crate) struct Group {
    id: i32,
    empty: bool,
    /// Until no stray was found.
    mark: Option<Mark>,
}

/// The handle to the thread; the thread ends with it.
#[derive(Debug)]
pub(crate) struct Warden {
    requests: mpsc::Sender<Request>,
    node: String,
}

enum Request {
    Spawn(Launch, oneshot::Sender<io::Result<Spawned>>),
    Forget(i32),
    /// It lived so long.
    GuardianDied(Duration),
    End(Option<oneshot::Sender<Option<oneshot::Receiver<()>>>>),
}

impl Warden {
    /// Starts the thread. Must be called within a runtime. `lock` is held as long as the thread lives.
    pub fn start(
        executable: PathBuf,
        ledger: PathBuf,
        lock: File,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Warden> {
        let (requests, inbox) = mpsc::channel();
        let runtime = Handle::current();
        let again = requests.clone();
        let executable = Executable::open(executable);
        let node = node_name();
        let name = node.clone();
        thread::Builder::new().name("warden".to_owned()).spawn(move || {
            let _within = runtime.enter();
            let (ledger, before) = Ledger::open(ledger, &name);
            let thread = Thread {
                executable,
                node: name,
                ledger,
                observer,
                guardian: None,
                quick_deaths: 0,
                again,
                lock,
            };
            thread.run(&before, &inbox);
        })?;
        Ok(Warden { requests, node })
    }

    /// By what an instance's processes are found wherever they went.
    pub fn mark(&self, instance: &str) -> Mark {
        Mark::of_instance(&self.node, instance)
    }

    /// Starts a process in a group of its own.
    pub async fn spawn(&self, launch: Launch) -> io::Result<Spawned> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request::Spawn(launch, reply));
        let gone = || io::Error::other("the supervisor is shutting down");
        sent.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Nothing of this group is left.
    pub fn forget(&self, group: i32) {
        // When the thread is gone there is nothing that could be forgotten.
        let _ = self.requests.send(Request::Forget(group));
    }

    /// Ends the thread and the guardian.
    pub async fn end(&self) {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::End(Some(reply))).is_ok()
            && let Ok(Some(guardian)) = answer.await
        {
            let _ = guardian.await;
        }
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::End(None));
    }
}

struct Guardian {
    /// The writing end of its standard input.
    pipe: File,
    ended: oneshot::Receiver<()>,
}

/// What becomes the guardian, held open: a guardian that is started later must be of this version, although
/// another file may have taken the place of the executable by then, or none.
struct Executable {
    path: PathBuf,
    /// `None` when it may not be read. Then the path has to do.
    file: Option<File>,
}

impl Executable {
    fn open(path: PathBuf) -> Self {
        let is_this = std::env::current_exe().is_ok_and(|this| this == path);
        let file = File::open(if is_this { Path::new("/proc/self/exe") } else { &path }).ok();
        Self { path, file }
    }

    /// To be started as a child of this process.
    fn command(&self) -> Command {
        let open =
            self.file.as_ref().map(|file| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
        let mut command = Command::new(open.as_ref().unwrap_or(&self.path));
        command.arg0(&self.path);
        command
    }
}

struct Thread {
    executable: Executable,
    node: String,
    ledger: Ledger,
    observer: Arc<dyn Observer>,
    guardian: Option<Guardian>,
    quick_deaths: u32,
    again: mpsc::Sender<Request>,
    lock: File,
}

impl Thread {
    fn run(mut self, before: &Before, inbox: &mpsc::Receiver<Request>) {
        for (pid, instance) in ledger::clean(before) {
            self.observer.event(&Event::Cleaned { instance, pid });
        }
        self.start_guardian();
        while let Ok(request) = inbox.recv() {
            match request {
                // A caller that has gone away drops the process, which kills it.
                Request::Spawn(launch, reply) => drop(reply.send(self.spawn(launch))),
                Request::Forget(group) => self.forget(group),
                Request::GuardianDied(lived) => self.restart_guardian(lived),
                Request::End(reply) => {
                    let guardian = self.guardian.take().map(|guardian| guardian.ended);
                    drop(self);
                    if let Some(reply) = reply {
                        let _ = reply.send(guardian);
                    }
                    return;
                }
            }
        }
    }

    fn spawn(&mut self, launch: Launch) -> io::Result<Spawned> {
        let child = command(&launch).spawn()?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .ok_or_else(|| io::Error::other("no process id"))?;
        let group = Group { id, empty: false, mark: launch.mark };
        let started = Stat::of(id).map_or(0, |stat| stat.started);
        self.tell(&format!("add {id} {started}\n"));
        // Without its ledger a later run cannot clean up; this run is not worse off.
        let _ = self.ledger.add(id, Entry { started, instance: launch.instance });
        Ok(Spawned { child, group })
    }

    fn forget(&mut self, group: i32) {
        self.tell(&format!("del {group}\n"));
        let _ = self.ledger.remove(group);
    }

    fn tell(&mut self, line: &str) {
        // A guardian that has died is noticed by who waits for it, and started again with all groups.
        if let Some(guardian) = &mut self.guardian {
            let _ = guardian.pipe.write_all(line.as_bytes());
        }
    }

    fn restart_guardian(&mut self, lived: Duration) {
        self.guardian = None;
        self.quick_deaths = if lived < GUARDIAN_PAUSE { self.quick_deaths + 1 } else { 0 };
        if self.quick_deaths > QUICK_DEATHS_MAX {
            let why = format!("`{} {GUARDIAN_ARGUMENT}` ends at once", self.executable.path.display());
            return self.observer.event(&Event::GuardianFailed { why });
        }
        if let Some(pid) = self.start_guardian() {
            self.observer.event(&Event::GuardianRestarted { pid });
        }
    }

    fn start_guardian(&mut self) -> Option<u32> {
        match self.try_start_guardian() {
            Ok(pid) => Some(pid),
            Err(error) => {
                let why = format!("cannot execute `{}`: {error}", self.executable.path.display());
                self.observer.event(&Event::GuardianFailed { why });
                None
            }
        }
    }

    fn try_start_guardian(&mut self) -> io::Result<u32> {
        let mut command = self.executable.command();
        command.arg(GUARDIAN_ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: between fork and exec only these system calls are made; none allocates or takes a lock.
        unsafe { command.pre_exec(leave_session) };
        let mut child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        let pipe = child.stdin.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let pipe = File::from(pipe.into_owned_fd()?);
        let (end, ended) = oneshot::channel();
        self.guardian = Some(Guardian { pipe, ended });
        self.tell(&format!("node {}\n", self.node));
        let groups: Vec<String> = self
            .ledger
            .groups()
            .iter()
            .map(|(group, entry)| format!("add {group} {}\n", entry.started))
            .collect();
        groups.iter().for_each(|line| self.tell(line));
        let again = self.again.clone();
        Handle::current().spawn(async move {
            let begun = tokio::time::Instant::now();
            let _ = child.wait().await;
            let _ = end.send(());
            let lived = begun.elapsed();
            if lived < GUARDIAN_PAUSE {
                tokio::time::sleep(GUARDIAN_PAUSE).await;
            }
            let _ = again.send(Request::GuardianDied(lived));
        });
        Ok(pid)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Closing alone is not enough: a child of another thread may hold a copy between its fork and exec.
        let _ = self.lock.unlock();
    }
}

fn command(launch: &Launch) -> Command {
    let (name, arguments) =
        launch.words.split_first().map_or((None, &[][..]), |(name, rest)| (Some(name), rest));
    let mut command = Command::new(&launch.program);
    if let Some(name) = name {
        command.arg0(name);
    }
    command.args(arguments).current_dir(&launch.dir).envs(launch.env.iter().map(|(k, v)| (k, v)));
    command.envs(launch.mark.iter().map(|mark| (mark::VARIABLE, mark.handed_down())));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let parent = std::process::id();
    // SAFETY: between fork and exec only two system calls are made; neither allocates or takes a lock.
    unsafe { command.pre_exec(move || die_with_parent(parent)) };
    command
}

/// Another one at each start, on this machine.
fn node_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", std::process::id(), now.as_nanos())
}

/// SIGKILL for this process when the thread that started it ends. When that has already happened the signal
/// would never come, so the parent is looked at after it was asked for.
fn die_with_parent(parent: u32) -> io::Result<()> {
    // SAFETY: system calls without pointers.
    let (asked, now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
    if asked != 0 || u32::try_from(now) != Ok(parent) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// Takes the guardian out of reach of the terminal, from its very first moment.
fn leave_session() -> io::Result<()> {
    // SAFETY: system calls without pointers.
    unsafe {
        for signal in IGNORED {
            libc::signal(signal, libc::SIG_IGN);
        }
        libc::setsid();
    }
    Ok(())
}

impl Group {
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Collects members that became our children; true when no member runs any more. Only after the leader
    /// itself was collected.
    pub fn is_empty(&mut self) -> bool {
        // SAFETY: a null status is allowed; nothing else is pointed to.
        while unsafe { libc::waitpid(-self.id, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
        self.empty = !procfs::group_is_alive(self.id);
        self.empty
    }

    /// Who has left the group and still runs. Only after the group was found empty, and until none is found.
    pub fn strays(&mut self) -> Vec<i32> {
        let strays = self.mark.iter().flat_map(|mark| mark.strays(&[])).map(|(pid, _)| pid).collect();
        self.mark.take_if(|_| Vec::is_empty(&strays));
        strays
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.empty {
            procfs::signal_group(self.id, libc::SIGKILL);
        }
        self.mark.iter().for_each(Mark::kill);
    }
}

/// One that lived shorter is started again only after this pause.
const GUARDIAN_PAUSE: Duration = Duration::from_secs(1);
/// So many in a row that died at once, and it is given up.
const QUICK_DEATHS_MAX: u32 = 3;
