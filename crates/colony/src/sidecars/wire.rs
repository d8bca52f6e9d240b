//! How messages and listeners travel: over a Unix socket in the folder, listeners as descriptors beside the first bytes.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};

use super::message::{Asker, LENGTH_BYTES, decode, encode, length};

/// Listens in a folder, in place of what a process that was killed may have left there. Whoever connects may have its
/// listeners served and anything read: that is for this user alone.
pub(super) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let path = folder.join(SOCKET);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(by_descriptor(&File::open(folder)?))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Nobody is listened to any more.
pub(super) fn unlisten(folder: &Path) {
    let _ = fs::remove_file(folder.join(SOCKET));
}

/// Connects to who listens in a folder.
pub(super) async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let folder = File::open(folder)?;
    let stream = UnixStream::connect(by_descriptor(&folder)).await?;
    is_same_user(&stream)?;
    Ok(stream)
}

/// Whether the other end is this user's, or the administrator's.
pub(super) fn is_same_user(stream: &UnixStream) -> io::Result<()> {
    let (other, own) = (stream.peer_cred()?.uid(), nix::unistd::getuid().as_raw());
    match other == own || other == 0 || own == 0 {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::PermissionDenied, "another user's process")),
    }
}

/// This process, as it introduces itself.
pub(super) fn introduction() -> Asker {
    let network = fs::read_link("/proc/self/ns/net").unwrap_or_default();
    Asker { version: VERSION.to_owned(), network: network.display().to_string() }
}

/// Sends a first message, with descriptors.
pub(super) async fn ask(
    stream: &mut UnixStream,
    message: &impl Serialize,
    attached: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if attached.len() > ATTACHED_MAX {
        let wrong = format!("{} listeners, and {ATTACHED_MAX} are the most", attached.len());
        return Err(io::Error::new(ErrorKind::InvalidInput, wrong));
    }
    let frame = encode(message).map_err(wrong)?;
    let sent = stream.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ATTACHED_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !attached.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(attached));
        }
        let first = &frame[..LENGTH_BYTES];
        Ok(sendmsg(&*stream, &[IoSlice::new(first)], &mut control, SendFlags::NOSIGNAL)?)
    });
    let sent = sent.await?;
    stream.write_all(&frame[sent..]).await
}

/// Receives a first message: its JSON, and the descriptors.
pub(super) async fn asked(stream: &mut UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut first = [0; LENGTH_BYTES];
    let mut attached = Vec::new();
    let got = stream.async_io(Interest::READABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ATTACHED_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [IoSliceMut::new(&mut first)];
        let got = recvmsg(&*stream, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(all) = message {
                attached.extend(all);
            }
        }
        Ok(got.bytes)
    });
    let got = got.await?;
    if got == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    stream.read_exact(&mut first[got..]).await?;
    let mut json = vec![0; length(first).map_err(wrong)?];
    stream.read_exact(&mut json).await?;
    Ok((json, attached))
}

/// Sends a later message.
pub(super) async fn tell(to: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(message).map_err(wrong)?).await
}

/// Receives later messages.
pub(super) struct Hearing<R> {
    from: R,
    received: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Hearing<R> {
    pub(super) fn new(from: R) -> Hearing<R> {
        Hearing { from, received: Vec::new() }
    }

    /// The next one; an error if the other is gone. May be given up and called again.
    pub(super) async fn next<T: for<'a> Deserialize<'a>>(&mut self) -> io::Result<T> {
        loop {
            if let Some((message, taken)) = decode(&self.received).map_err(wrong)? {
                self.received.drain(..taken);
                return Ok(message);
            }
            if self.from.read_buf(&mut self.received).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn wrong(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// The socket by way of its folder's descriptor: the path of a socket may have 107 bytes only, and folders lie deep.
fn by_descriptor(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

/// What this process speaks. The number behind the program's version counts what has been changed in messages since.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-2");
/// The name of the socket.
const SOCKET: &str = "host.sock";
/// Most descriptors with a message; the kernel takes 253.
const ATTACHED_MAX: usize = 128;
