//! Backups of a folder that a process has open: it is asked over a socket in the folder, and answers with the backup.
//!
//! Whoever connects gets one, and says nothing: what version of the format it is, it says itself. One is made at a
//! time, since each keeps the log from being given back; whoever comes meanwhile is told so in a backup that was given up. The
//! same becomes of one whose reader takes nothing for [`STALL`].

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::format::{Encoder, GivenUp, Kind};

/// Makes a backup and writes it.
type Make = Box<dyn Fn(&mut dyn Write) + Send + Sync>;

/// Answers who asks, until it is dropped.
pub(crate) struct Serving {
    folder: PathBuf,
    desk: Arc<Desk>,
    accepting: Option<JoinHandle<()>>,
}

struct Desk {
    listener: UnixListener,
    is_over: AtomicBool,
    is_busy: AtomicBool,
    make: Make,
    /// Who is being answered, or was last.
    client: Mutex<Option<Client>>,
}

struct Client {
    stream: UnixStream,
    answering: JoinHandle<()>,
}

/// Somebody is being answered; when this ends, nobody is any more.
struct Answer {
    desk: Arc<Desk>,
    stream: UnixStream,
}

impl Serving {
    /// Opens the socket in `folder`, in place of what a process that was killed may have left there.
    pub fn start(
        folder: &Path,
        make: impl Fn(&mut dyn Write) + Send + Sync + 'static,
    ) -> io::Result<Serving> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(by_descriptor(&File::open(folder)?))?;
        // All that there is can be had here.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let desk = Desk {
            listener,
            is_over: AtomicBool::new(false),
            is_busy: AtomicBool::new(false),
            make: Box::new(make),
            client: Mutex::default(),
        };
        let desk = Arc::new(desk);
        let accepting = Arc::clone(&desk);
        let accepting =
            thread::Builder::new().name("backups".to_owned()).spawn(move || accepting.accept())?;
        Ok(Serving { folder: folder.to_owned(), desk, accepting: Some(accepting) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.desk.is_over.store(true, Ordering::SeqCst);
        // SAFETY: a plain system call on a descriptor that is open. Who waits in `accept` gets an error.
        unsafe { libc::shutdown(self.desk.listener.as_raw_fd(), libc::SHUT_RDWR) };
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        if let Some(client) = self.desk.client().take() {
            let _ = client.stream.shutdown(Shutdown::Both);
            let _ = client.answering.join();
        }
        let _ = fs::remove_file(self.folder.join(SOCKET));
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // First this: who sees that it has ended may ask again.
        self.desk.is_busy.store(false, Ordering::SeqCst);
        // Also where another handle is kept.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Desk {
    fn accept(self: &Arc<Self>) {
        while !self.is_over.load(Ordering::SeqCst) {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    // Whoever could not be answered sees that it ends.
                    let _ = self.answer(stream);
                }
                // Too many files are open, as a rule: soon there may be less.
                Err(_) if !self.is_over.load(Ordering::SeqCst) => thread::sleep(ACCEPT_AGAIN),
                Err(_) => {}
            }
        }
    }

    fn answer(self: &Arc<Self>, mut stream: UnixStream) -> io::Result<()> {
        stream.set_write_timeout(Some(STALL))?;
        if !self.becomes_free() {
            let why = "another backup is being made, and one is made at a time".to_owned();
            return Encoder::begin(&mut stream)?.frame(Kind::GivenUp, &GivenUp { why });
        }
        let mut client = self.client();
        if let Some(before) = client.take() {
            let _ = before.answering.join();
        }
        let mut answer = Answer { desk: Arc::clone(self), stream: stream.try_clone()? };
        self.is_busy.store(true, Ordering::SeqCst);
        let answering = thread::Builder::new()
            .name("backup".to_owned())
            .spawn(move || (answer.desk.make)(&mut answer.stream))?;
        *client = Some(Client { stream, answering });
        Ok(())
    }

    /// Whether nobody is being answered. That somebody is gone who was killed a moment ago is noticed a moment later.
    fn becomes_free(&self) -> bool {
        let begun = Instant::now();
        while self.is_busy.load(Ordering::SeqCst) {
            if begun.elapsed() > MOMENT || self.is_over.load(Ordering::SeqCst) {
                return false;
            }
            thread::sleep(LOOK_AGAIN);
        }
        true
    }

    fn client(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the process that has `folder` open for a backup, which is then read from what is returned.
///
/// # Errors
///
/// If nobody listens there.
pub fn ask(folder: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(by_descriptor(&File::open(folder)?))?;
    stream.set_read_timeout(Some(STALL))?;
    Ok(stream)
}

/// The socket by way of its folder's descriptor: the path of a socket may have 107 bytes only, and folders lie deep.
fn by_descriptor(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

/// The name of the socket.
pub const SOCKET: &str = "backup.sock";
/// After how long of nothing each side takes the other to be gone.
const STALL: Duration = Duration::from_secs(120);
/// How long somebody waits for another to be gone.
const MOMENT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
