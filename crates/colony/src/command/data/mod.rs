//! `colony data`: folders of durable data, a file for each thing that can be done with one.

mod backup;
mod exercise;
mod export;
mod inspect;
mod meter;
mod repair;
mod restore;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use engine::{OpenError, with_causes};

use crate::args::DataCommand;
use crate::failure::Failure;

pub(crate) fn run(command: &DataCommand) -> Result<ExitCode, Failure> {
    match command {
        DataCommand::Backup(args) => backup::run(args),
        DataCommand::Restore(args) => restore::run(args),
        DataCommand::Inspect(args) => inspect::run(args),
        DataCommand::Verify(args) => verify::run(args),
        DataCommand::Repair(args) => repair::run(args),
        DataCommand::Export(args) => export::run(args),
        DataCommand::Exercise(args) => exercise::run(args),
    }
}

/// Why a folder's data could not be opened, and what to do about it.
pub(crate) fn refused(folder: &Path, error: &OpenError) -> Failure {
    let failure = Failure::new(with_causes(error));
    let dir = folder.display();
    match error {
        OpenError::Nothing(_) => failure.hint("name the folder that has `log` and `store` in it"),
        OpenError::Open(log::OpenError::Locked { .. }) => failure,
        OpenError::Unfinished(_) => restore::unfinished(folder).into_iter().fold(failure, Failure::hint),
        OpenError::Open(log::OpenError::Version { .. }) => {
            failure.hint("use the version that wrote it, or a newer one")
        }
        OpenError::Open(
            log::OpenError::Damaged { .. } | log::OpenError::Missing { .. } | log::OpenError::Hole { .. },
        )
        | OpenError::Ahead { .. }
        | OpenError::Behind { .. }
        | OpenError::Entry { .. }
        | OpenError::Log(_)
        | OpenError::Store(_) => failure.hint(format!("`colony data verify {dir}` says what is damaged")),
        _ => failure,
    }
}

/// Bytes as one says them: `512 B`, `4.0 KiB`, `1.5 GiB`.
fn bytes(count: u64) -> String {
    let mut size = count as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") }
}

/// So many of something.
fn count(number: u64, one: &str) -> String {
    count_of(number, one, &format!("{one}s"))
}

/// So many of something whose plural is not its own with an s.
fn count_of(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_counts_are_said_as_people_say_them() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
        assert_eq!([count(1, "record"), count(2, "record")], ["1 record", "2 records"]);
    }
}
