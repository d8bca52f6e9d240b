//! Who holds a port: the listening socket is found in `/proc/net/tcp` and `tcp6`, then the process that has
//! it open. So "address in use" can name the program to stop.

use crate::procfs;
use std::fmt;
use std::fs;
use std::path::Path;

/// The process that listens on a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// Who listens on a TCP port of this machine. `None` when nobody does, or when the process belongs to another
/// user and cannot be seen. Reads all of `/proc`: some milliseconds.
pub fn port_holder(port: u16) -> Option<Holder> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listeners(&table, port))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let pid = procfs::pids().find(|&pid| has_open(pid, &links))?;
    let command = procfs::command_line(pid).unwrap_or_else(|| "?".to_owned());
    Some(Holder { pid: u32::try_from(pid).ok()?, command })
}

/// The inodes of the sockets that listen on `port`, from the kernel's table: the second column is
/// `address:port` in hexadecimal, the fourth the state (`0A` is LISTEN), the tenth the inode.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    table.lines().skip(1).filter_map(|line| listener(line, port)).collect()
}

fn listener(line: &str, port: u16) -> Option<u64> {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    let local = columns.get(1)?.rsplit(':').next()?;
    let listens = *columns.get(3)? == "0A" && u16::from_str_radix(local, 16).ok()? == port;
    listens.then(|| columns.get(9)?.parse().ok())?
}

fn has_open(pid: i32, links: &[String]) -> bool {
    let Ok(files) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else { return false };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| links.iter().any(|link| link == target)))
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command: String = self.command.chars().take(COMMAND_CHARS_MAX).collect();
        write!(f, "pid {} (`{command}`)", self.pid)
    }
}

const COMMAND_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:1F90 0100007F:8001 01 00000000:00000000 00:00000000 00000000 0 0 4712 1 0 100 0 0 10 0\n\
            2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1 0 100 0 0 10 0\n";
        assert_eq!(listeners(table, 8080), [4711]);
    }

    #[test]
    fn this_process_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = port_holder(socket.local_addr().unwrap().port()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(holder.to_string().contains("supervisor"), "{holder}");
    }
}
