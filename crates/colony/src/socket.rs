//! Where a node listens for commands: a socket in its data folder, reached from both sides.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Name of the control socket in the data folder.
pub(crate) const SOCKET: &str = "control.sock";

/// Connects to the node of a data folder.
pub(crate) async fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    let folder = std::fs::File::open(data_dir)?;
    UnixStream::connect(by_descriptor(&folder)).await
}

/// Listens in a data folder. A socket that a killed node left behind is replaced.
pub(crate) fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let folder = std::fs::File::open(data_dir)?;
    let _ = std::fs::remove_file(data_dir.join(SOCKET));
    UnixListener::bind(by_descriptor(&folder))
}

/// The socket by way of its folder's descriptor: the path of a socket may have 107 bytes only, and
/// folders lie deep.
fn by_descriptor(folder: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}
