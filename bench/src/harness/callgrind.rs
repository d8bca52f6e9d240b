//! Instructions that a program executes in user space, counted by valgrind's `callgrind`.
//!
//! Their number hardly depends on how busy the machine is or how fast, so that a difference of a hundredth can be
//! told. What the kernel does for the program is not among them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Error, Result};

/// The tool, and the folder of what it writes: a file a process, at its end.
pub struct Callgrind {
    valgrind: PathBuf,
    folder: PathBuf,
}

impl Callgrind {
    pub fn new(valgrind: &Path, folder: &Path) -> Callgrind {
        Callgrind { valgrind: valgrind.to_owned(), folder: folder.to_owned() }
    }

    /// The command under the tool.
    pub fn around(&self, command: &Command) -> Command {
        let mut under = Command::new(&self.valgrind);
        under
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", self.file("%p").display()))
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            under.current_dir(folder);
        }
        under
    }

    /// All instructions of a process that has ended.
    pub fn total(&self, process: u32) -> Result<u64> {
        let file = self.file(&process.to_string());
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Error::new(format!("read what callgrind counted in {}", file.display()), error)
        })?;
        total(&text).ok_or_else(|| Error::say("callgrind counted nothing: the process was killed"))
    }

    fn file(&self, process: &str) -> PathBuf {
        self.folder.join(format!("callgrind.{process}.out"))
    }
}

fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stays_what_it_is_under_the_tool() {
        let tool = Callgrind::new(Path::new("/usr/bin/valgrind"), Path::new("/run"));
        let mut command = Command::new("/bin/colony");
        command.args(["up", "a file.yaml"]).current_dir("/own");
        let under = tool.around(&command);
        let words: Vec<_> = under.get_args().skip(2).map(|word| word.to_str().unwrap()).collect();
        assert_eq!(words, ["--callgrind-out-file=/run/callgrind.%p.out", "/bin/colony", "up", "a file.yaml"]);
        assert_eq!(under.get_current_dir(), Some(Path::new("/own")));
    }

    #[test]
    fn the_total_is_found() {
        let text = "# callgrind format\nevents: Ir\nsummary: 12 \n\nfn=(1)\n0 12\n\ntotals: 12\n";
        assert_eq!(total(text), Some(12));
        assert_eq!(total("# callgrind format\nevents: Ir\n"), None);
    }
}
